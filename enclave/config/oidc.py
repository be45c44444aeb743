"""An accepted identity provider for one scope, and how the enclave speaks to it (OI-01, OI-03, OI-04, OI-16).

A client of the service only picks among what stands here: issuer, audience, redirect URI and token endpoint are exact.
"""

import base64
import binascii
import re
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from enclave.config.fields import Measured, Pem, Text, host_and_port
from enclave.errors import BootError
from protocol import limits

_URI_TAIL: Final = r"[!$%&-;=?@A-Z_a-z~]*"  # RFC 3986, without a fragment (RFC 6749 section 3.1.2)
_REDIRECT_URI: Final = re.compile(
    rf"(?:https://[A-Za-z0-9.-]{{1,253}}(?::[0-9]{{1,5}})?(?:/{_URI_TAIL})?"
    rf"|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{{1,5}})?(?:/{_URI_TAIL})?"  # RFC 8252 section 7.3
    rf"|[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:/{_URI_TAIL})\Z"  # RFC 8252 section 7.1: private-use schemes have a dot
)


class SigningKey(Measured, frozen=True, kw_only=True):
    """A private key at the provider: its name there, its one algorithm, and PKCS#8 DER in base64."""

    kid: Text
    alg: Literal["ES256", "RS256"]
    private_key: Annotated[str, msgspec.Meta(min_length=1, max_length=8 * 1024)]

    def __repr__(self) -> str:
        return f"SigningKey({self.kid}, <redacted>)"

    def load(self) -> EllipticCurvePrivateKey | RSAPrivateKey:
        """The key; `ValueError` unless it is one of its algorithm (P-256, or RSA of at least 2,048 bits)."""
        try:
            key = load_der_private_key(base64.b64decode(self.private_key, validate=True), password=None)
        except (binascii.Error, TypeError, UnsupportedAlgorithm):
            raise ValueError("not a PKCS#8 key") from None
        if self.alg == "ES256" and isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
            return key
        if self.alg == "RS256" and isinstance(key, RSAPrivateKey) and key.key_size >= limits.MIN_RSA_BITS:
            return key
        raise ValueError("a key of another kind")


class SecretClaims(Measured, frozen=True, kw_only=True):
    """What a generated client secret says; for Apple: team id, `https://appleid.apple.com`, client id."""

    iss: Text
    aud: Text
    sub: Text


class GeneratedSecret(Measured, frozen=True, kw_only=True):
    """A client secret that is a JWT, made anew for each exchange."""

    claims: SecretClaims
    signing_key: SigningKey


class ClientSecret(Measured, frozen=True, kw_only=True):
    """A client secret: a fixed text, or what a JWT is made of. The members are those of the original's secrets."""

    value: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    generate_jwt: GeneratedSecret | None = None

    def __repr__(self) -> str:
        return "ClientSecret(<redacted>)"


class OidcClient(Measured, frozen=True, kw_only=True):
    """An accepted issuer for one scope: exact issuer text, audience and algorithms (OI-01, OI-03, OI-04)."""

    issuer: Annotated[str, msgspec.Meta(min_length=9, max_length=200)]
    audience: Text
    algorithms: tuple[Literal["RS256", "ES256"], ...] = ("RS256", "ES256")
    key_hosts: tuple[Text, ...] = ()
    """Further hosts on which the issuer's `jwks_uri` may lie."""
    authorized_parties: tuple[Text, ...] = ()
    """Further client ids accepted as `azp`: a phone's native client that asks for tokens of this audience."""
    shared_users: bool = False
    """Whether users of embedded wallets are the same, with one address, in every tenant that says so of this client."""
    require_nonce: bool = False
    """Whether a token must carry `enclave.login.id_token.login_nonce` of the auth key that logs in (OI-05)."""
    redirect_uris: Annotated[tuple[Text, ...], msgspec.Meta(max_length=16)] = ()
    """Exact redirect URIs of the code flow; without one, this client takes ID tokens only."""
    token_endpoint: str = ""
    """The one URL to which codes and the client secret are sent."""
    tls_roots: Pem | Literal[""] = ""
    """PEM of the authorities that may vouch for this provider's servers; without it those that do for all (OI-17)."""
    client_authentication: Literal["none", "client_secret_post", "client_secret_basic"] = "none"
    client_secret: ClientSecret | Literal["provisioned"] | None = None
    """`provisioned`: an administrator gives it to the running enclave, sealed; or here, for whoever has the image."""

    @property
    def takes_secret(self) -> bool:
        """Whether an administrator provisions the client's secret."""
        return isinstance(self.client_secret, str)


def validate_client(client: OidcClient) -> None:
    """`BootError` where a rule is broken that the types do not carry."""
    if bool(client.redirect_uris) != bool(client.token_endpoint):
        raise BootError("config-oidc", "redirect URIs and a token endpoint belong together")
    if not all(
        _REDIRECT_URI.match(uri) and len(uri) <= limits.MAX_METADATA_VALUE_BYTES for uri in client.redirect_uris
    ):
        raise BootError("config-oidc", "redirect URI")
    if client.token_endpoint:
        host_and_port(client.token_endpoint)
    if (client.client_secret is None) != (client.client_authentication == "none"):
        raise BootError("config-oidc", "a client secret and a way to send it belong together")
    if isinstance(client.client_secret, ClientSecret):
        validate_secret(client.client_secret)


def validate_secret(secret: ClientSecret) -> None:
    """`BootError` unless `secret` is either a printable text or a key that fits its algorithm."""
    if bool(secret.value) == (secret.generate_jwt is not None):
        raise BootError("config-client-secret", "a value or a generated one")
    if not (secret.value.isascii() and secret.value.isprintable()):
        raise BootError("config-client-secret", "characters")
    if secret.generate_jwt is not None:
        try:
            secret.generate_jwt.signing_key.load()
        except ValueError:
            raise BootError("config-client-secret", "signing key") from None
