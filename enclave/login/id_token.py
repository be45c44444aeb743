"""OpenID Connect ID tokens: from an untrusted text to a verified identity (OI-01 to OI-08, OI-13, OI-14).

Nothing of the token is believed before its signature; until then it only names a key, under a name that says so.
joserfc checks the signature; the claims are checked here, because their rules are ours (audience, age, exact types).
Sources: OpenID Connect Core 1.0 section 3.1.3.7, RFC 7515, RFC 7519, RFC 8725; identity-instrument.md 2.2.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from joserfc import jws
from joserfc.errors import JoseError

from enclave.auth_key import Key
from enclave.config import OidcClient
from enclave.errors import Refusal
from enclave.login.issuers import normalize_issuer
from enclave.login.jwks import KeySets
from enclave.login.provider_keys import ProviderKey
from evm.keccak import keccak256
from protocol import canonical_json, limits
from protocol.base64url import decode_b64u, encode_b64u
from protocol.errors import PROOF_VERIFICATION_FAILED, ProtocolError

# Members that would let a token bring its own key or change how it is read (RFC 7515 4.1, RFC 7797).
_REFUSED_HEADERS: Final = frozenset(["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"])


class _Registry(jws.JWSRegistry):
    """joserfc's own size caps are below ours for some header members and large RSA keys; ours come first."""

    max_header_length = limits.MAX_JWT_BYTES
    max_signature_length = limits.MAX_JWT_BYTES


_REGISTRY: Final = _Registry(algorithms=["RS256", "ES256"], strict_check_header=False)


@dataclass(frozen=True, slots=True)
class VerifiedIdToken:
    """What a provider vouches for; made by `verify_id_token` only.

    The identity is (issuer, subject). `email` is for display and never links accounts, whatever `email_verified` says
    (OI-08). `token_hash` (32 bytes) is what single use is counted by (OI-07): it covers the signed part only, because
    anyone can turn an ECDSA signature into a second valid one and so the token into another text.
    """

    issuer: str
    subject: str
    email: str | None
    expires_s: int
    token_hash: bytes


@dataclass(frozen=True, slots=True)
class _UnverifiedHeader:
    """The two members that may choose a verifier (OI-14)."""

    algorithm: str
    kid: str


def token_handle(token: str) -> str:
    """The handle under which clients commit to a token: `0x` and the hex of keccak-256 over its text."""
    return f"0x{keccak256(token.encode('utf-8', 'surrogatepass')).hex()}"


def login_nonce(scope: str, auth_key: Key) -> str:
    """The `nonce` with which a token is asked for when it shall log in nobody but `auth_key` in `scope` (OI-05):
    unpadded base64url of the SHA-256 of `chancery/login-nonce/1`, scope and `keyType:address`, a line each.
    """
    digest = hashlib.sha256(f"chancery/login-nonce/1\n{scope}\n{auth_key}".encode()).digest()
    return encode_b64u(digest)


async def verify_id_token(
    token: str,
    client: OidcClient,
    key_sets: KeySets,
    *,
    now_s: int,
    issued_from_s: int = 0,
    expected_exp: int | None = None,
    expected_nonce: str | None = None,
) -> VerifiedIdToken:
    """The identity that `token` proves to `client` at `now_s` (seconds since the epoch).

    A token that was issued before `issued_from_s` is too old. `expected_exp` is the expiry that was committed to.
    `expected_nonce` binds the token to a login (OI-05); published clients know of none, so a scope asks for it.
    `Refusal`: PROOF_VERIFICATION_FAILED with a fixed cause, or IDENTITY_PROVIDER_ERROR with the code of what failed.
    """
    unverified = _parse_unverified_header(token)
    if unverified.algorithm not in client.algorithms:
        _refuse("token algorithm is not accepted")
    key = await key_sets.key(client, unverified.kid)
    if key.algorithm != unverified.algorithm:
        _refuse("token algorithm is not accepted")
    claims = _verify_signature(token, key)

    issuer = claims.get("iss")
    if not isinstance(issuer, str) or normalize_issuer(issuer) != normalize_issuer(client.issuer):
        _refuse("token issuer does not match")
    _validate_audience(claims, client)
    expires_s = _validate_times(claims, now_s, issued_from_s)
    if expected_exp is not None and expires_s != expected_exp:
        _refuse("token expiry does not match")
    if expected_nonce is not None:
        _validate_nonce(claims, expected_nonce)
    signed_part = token.rpartition(".")[0].encode()
    return VerifiedIdToken(
        normalize_issuer(issuer), _subject(claims), _email(claims), expires_s, hashlib.sha256(signed_part).digest()
    )


def _refuse(cause: str) -> NoReturn:
    raise Refusal(PROOF_VERIFICATION_FAILED, cause)


def _parse_unverified_header(token: str) -> _UnverifiedHeader:
    if len(token) > limits.MAX_JWT_BYTES:
        _refuse("token is too large")
    parts = token.split(".")
    if len(parts) != 3:
        _refuse("token is malformed")
    header, _, _ = (_decode(part) for part in parts)
    members = _parse_members(header)
    if _REFUSED_HEADERS & members.keys() or str(members.get("typ", "JWT")).upper() != "JWT":
        _refuse("token header is not accepted")
    match members:
        case {"alg": str(algorithm), "kid": str(kid)} if 1 <= len(kid) <= limits.MAX_KEY_ID_CHARS:
            return _UnverifiedHeader(algorithm, kid)
    _refuse("token header is not accepted")


def parse_unverified_claims(token: str) -> dict[str, Any]:
    """What a token says of itself: good for choosing whom it is verified for, and for nothing else."""
    _parse_unverified_header(token)
    return _parse_members(_decode(token.split(".")[1]))


def _decode(part: str) -> bytes:
    raw = decode_b64u(part)
    if not raw:
        _refuse("token is malformed")
    return raw


def _parse_members(part: bytes) -> dict[str, Any]:
    try:
        members = canonical_json.parse(part, max_bytes=limits.MAX_JWT_BYTES, max_depth=limits.MAX_JWT_DEPTH)
    except ProtocolError:
        _refuse("token is malformed")
    if not isinstance(members, dict):
        _refuse("token is malformed")
    return members


def _verify_signature(token: str, key: ProviderKey) -> dict[str, Any]:
    """The claims, once the signature over them holds."""
    try:
        signed = jws.deserialize_compact(token, key.key, registry=_REGISTRY)
    except (JoseError, ValueError):
        _refuse("token signature is invalid")
    return _parse_members(signed.payload)


def _validate_audience(claims: dict[str, Any], client: OidcClient) -> None:
    """OI-04: the token is for us, and when it is for others as well, it was issued to us."""
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or len(audiences) > limits.MAX_AUDIENCES or client.audience not in audiences:
        _refuse("token audience does not match")
    azp = claims.get("azp")
    if azp is None and len(audiences) == 1:
        return
    if azp != client.audience and azp not in client.authorized_parties:
        _refuse("token audience does not match")


def _validate_times(claims: dict[str, Any], now_s: int, issued_from_s: int) -> int:
    """OI-06: the expiry, once `exp`, `iat` and `nbf` are whole seconds that fit now and one another."""
    expires_s, issued_s, not_before_s = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if type(expires_s) is not int or type(issued_s) is not int or type(not_before_s) is not int:
        _refuse("token times are invalid")  # type() because a bool is an int to isinstance
    if min(issued_s, not_before_s) < 0 or not 0 < expires_s - issued_s <= limits.MAX_ID_TOKEN_LIFETIME_S:
        _refuse("token times are invalid")
    if now_s >= expires_s + limits.ID_TOKEN_SKEW_S:
        _refuse("token expired")
    if max(issued_s, not_before_s) > now_s + limits.ID_TOKEN_SKEW_S:
        _refuse("token is not valid yet")
    if now_s - issued_s > limits.MAX_ID_TOKEN_AGE_S or issued_s < issued_from_s:
        _refuse("token is too old")
    return expires_s


def _validate_nonce(claims: dict[str, Any], expected: str) -> None:
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.encode()):
        _refuse("token nonce does not match")


def _subject(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= limits.MAX_SUBJECT_CHARS:
        _refuse("token subject is invalid")
    if not (subject.isascii() and subject.isprintable()):
        _refuse("token subject is invalid")
    return subject


def _email(claims: dict[str, Any]) -> str | None:
    email = claims.get("email")
    shown = isinstance(email, str) and 1 <= len(email) <= limits.MAX_EMAIL_BYTES and email.isprintable()
    return email if shown else None
