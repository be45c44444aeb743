"""Reading what an identity provider publishes: its metadata and its key set (RFC 7517; controls OI-02, OI-03, OI-10).

Pure. A key says by itself which algorithm it verifies, so a token never chooses one: RSA means RS256, P-256 means
ES256. A key that does not fit is left out; a set that is ambiguous is refused as a whole.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from enclave.config import OidcClient, host_and_port
from enclave.errors import PortError
from enclave.login.issuers import HttpsUrl, normalize_issuer, parse_https_url
from protocol import canonical_json, limits
from protocol.errors import ProtocolError

_HTTPS_PORT: Final = 443
_PRIVATE_MEMBERS: Final = frozenset(["d", "p", "q", "dp", "dq", "qi", "oth", "k"])


class ProviderAnswerError(PortError):
    """The provider answered something that cannot be used (`provider-…`)."""


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """A public key of a provider and the one algorithm that it verifies."""

    kid: str
    algorithm: Literal["RS256", "ES256"]
    key: RSAKey | ECKey


def parse_discovery(body: bytes, client: OidcClient) -> HttpsUrl:
    """Where the key set lies, from the provider's metadata.

    `ProviderAnswerError`: `provider-json`, `provider-issuer` (names another issuer), `provider-jwks-uri` (not https, or
    neither on the issuer's host nor on one of `client.key_hosts`), `provider-token-endpoint` (not the configured one).
    """
    metadata = _parse_object(body)
    match metadata:
        case {"issuer": str(issuer), "jwks_uri": str(jwks_uri)}:
            pass
        case _:
            raise ProviderAnswerError("provider-json")
    if normalize_issuer(issuer) != normalize_issuer(client.issuer):
        raise ProviderAnswerError("provider-issuer")
    if client.token_endpoint and metadata.get("token_endpoint") != client.token_endpoint:
        raise ProviderAnswerError("provider-token-endpoint")
    url = parse_https_url(jwks_uri)
    if url is None or (url.host, url.port) not in _key_origins(client):
        raise ProviderAnswerError("provider-jwks-uri")
    return url


def _key_origins(client: OidcClient) -> set[tuple[str, int]]:
    origins = {host_and_port(client.issuer), *((host, _HTTPS_PORT) for host in client.key_hosts)}
    return {(host.lower(), port) for host, port in origins}


def parse_key_set(body: bytes) -> dict[str, ProviderKey]:
    """The usable signing keys of a JWK Set by `kid`.

    `ProviderAnswerError`: `provider-json`, `provider-key-set` (no list, too many keys, or two keys of one `kid`).
    """
    match _parse_object(body):
        case {"keys": [*entries]} if len(entries) <= limits.MAX_JWKS_KEYS:
            pass
        case _:
            raise ProviderAnswerError("provider-key-set")
    named = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("kid"), str)]
    if len({entry["kid"] for entry in named}) != len(named):
        raise ProviderAnswerError("provider-key-set")
    keys = (_read_key(entry) for entry in named)
    return {key.kid: key for key in keys if key is not None}


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        value = canonical_json.parse(body, max_bytes=limits.MAX_JWKS_BYTES, max_depth=limits.MAX_JWT_DEPTH)
    except ProtocolError:
        raise ProviderAnswerError("provider-json") from None
    if not isinstance(value, dict):
        raise ProviderAnswerError("provider-json")
    return value


def _read_key(entry: dict[str, Any]) -> ProviderKey | None:
    """The key in a JWK, or None when it is not for signatures, of another kind, weak, malformed or not public."""
    kid = entry["kid"]
    if not 1 <= len(kid) <= limits.MAX_KEY_ID_CHARS or _PRIVATE_MEMBERS & entry.keys():
        return None
    if entry.get("use", "sig") != "sig" or entry.get("key_ops", ["verify"]) != ["verify"]:
        return None
    try:
        match entry:
            case {"kty": "RSA", "n": str(n), "e": str(e)} if entry.get("alg", "RS256") == "RS256":
                rsa = RSAKey.import_key({"kty": "RSA", "n": n, "e": e})
                return ProviderKey(kid, "RS256", rsa) if _is_strong(rsa) else None
            case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y)} if entry.get("alg", "ES256") == "ES256":
                return ProviderKey(kid, "ES256", ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y}))
    except (JoseError, ValueError):  # not base64url, or a point off the curve
        return None
    return None


def _is_strong(key: RSAKey) -> bool:
    """Modulus within the limits; an exponent over 2^16, as FIPS 186-5 asks, and of a size that verifies fast."""
    bits, exponent = key.public_key.key_size, key.public_key.public_numbers().e
    return limits.MIN_RSA_BITS <= bits <= limits.MAX_RSA_BITS and 2**16 < exponent < 2**32
