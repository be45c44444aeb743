"""How the enclave proves to a token endpoint which application it is (RFC 6749 section 2.3).

A secret is a fixed text, or a JWT that is made anew for each exchange and lives for five minutes, as Apple wants it. It
stands in the measured configuration, which whoever has the image can read, or in a sealed record that an administrator
has written through the sealed channel.
"""

import base64
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from enclave.config import ClientSecret, OidcClient
from enclave.errors import Refusal
from enclave.login.issuers import normalize_issuer
from enclave.records import Conflict, Records
from protocol import canonical_json
from protocol.errors import BUSY, DATA_INTEGRITY_ERROR, IDENTITY_PROVIDER_ERROR
from protocol.services import RecordKey

_JWT_LIFETIME_S: Final = 300
_ALGORITHMS: Final = ["ES256", "RS256"]


@dataclass(frozen=True, slots=True)
class ClientProof:
    """What an exchange adds to its headers and its form to say who asks. Never in a log, an error or a text."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    form: dict[str, str] = field(default_factory=dict, repr=False)


class ClientSecrets:
    """Secrets of applications, by scope and configured client."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def prove(self, scope: str, client: OidcClient, now_s: int) -> ClientProof:
        """The proof of `client` at `now_s`. IDENTITY_PROVIDER_ERROR while its secret is not provisioned."""
        secret = client.client_secret
        return client_proof(client, await self._load(scope, client) if isinstance(secret, str) else secret, now_s)

    async def provision(self, scope: str, client: OidcClient, secret: ClientSecret) -> None:
        """Keep `secret`, sealed, in place of an earlier one."""
        key = self._key(scope, client)
        [record] = await self._records.load(key)
        version = 0 if record is None else record.version
        try:
            await self._records.save(self._records.change(key, version, msgspec.json.encode(secret)))
        except Conflict:
            raise Refusal(BUSY) from None

    async def _load(self, scope: str, client: OidcClient) -> ClientSecret:
        [record] = await self._records.load(self._key(scope, client))
        if record is None:
            raise Refusal(IDENTITY_PROVIDER_ERROR, "provider-client-secret")
        try:
            return msgspec.json.decode(record.body, type=ClientSecret)
        except (msgspec.MsgspecError, TypeError):
            raise Refusal(DATA_INTEGRITY_ERROR) from None

    def _key(self, scope: str, client: OidcClient) -> RecordKey:
        return self._records.key("client-secret", scope, normalize_issuer(client.issuer), client.audience)


def client_proof(client: OidcClient, secret: ClientSecret | None, now_s: int) -> ClientProof:
    """The proof of `client` at `now_s`. A public client, which has no secret, only says its name."""
    if secret is None:
        return ClientProof(form={"client_id": client.audience})
    text = secret_text(secret, now_s)
    if client.client_authentication == "client_secret_basic":
        # RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
        joined = f"{quote_plus(client.audience)}:{quote_plus(text)}"
        return ClientProof(headers={"Authorization": f"Basic {base64.b64encode(joined.encode()).decode()}"})
    return ClientProof(form={"client_id": client.audience, "client_secret": text})


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
