"""How the enclave proves to a token endpoint which application it is (RFC 6749 section 2.3).

A secret is a fixed text, or a JWT that is made anew for each exchange and lives for five minutes, as Apple wants it.
"""

import base64
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from enclave.config import ClientSecret, OidcClient
from protocol import canonical_json

_JWT_LIFETIME_S: Final = 300
_ALGORITHMS: Final = ["ES256", "RS256"]


@dataclass(frozen=True, slots=True)
class ClientProof:
    """What an exchange adds to its headers and its form to say who asks. Never in a log, an error or a text."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    form: dict[str, str] = field(default_factory=dict, repr=False)


def client_proof(client: OidcClient, now_s: int) -> ClientProof:
    """The proof of `client` at `now_s`. A public client only says its name."""
    if client.client_secret is None:
        return ClientProof(form={"client_id": client.audience})
    secret = secret_text(client.client_secret, now_s)
    if client.client_authentication == "client_secret_basic":
        # RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
        joined = f"{quote_plus(client.audience)}:{quote_plus(secret)}"
        return ClientProof(headers={"Authorization": f"Basic {base64.b64encode(joined.encode()).decode()}"})
    return ClientProof(form={"client_id": client.audience, "client_secret": secret})


def secret_text(secret: ClientSecret, now_s: int) -> str:
    """The secret as it is sent."""
    generated = secret.generate_jwt
    if generated is None:
        return secret.value
    private_key = generated.signing_key.load()
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = ECKey.import_key(pem) if generated.signing_key.alg == "ES256" else RSAKey.import_key(pem)
    claims = {
        "iss": generated.claims.iss,
        "aud": generated.claims.aud,
        "sub": generated.claims.sub,
        "iat": now_s,
        "exp": now_s + _JWT_LIFETIME_S,
    }
    header = {"alg": generated.signing_key.alg, "kid": generated.signing_key.kid}
    return jws.serialize_compact(header, canonical_json.canonicalize(claims), key, algorithms=_ALGORITHMS)
