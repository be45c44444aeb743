"""From an ID token to the identity that logs in: verified, bound where the scope demands it, and used once (OI-07).

Used tokens are recorded by a write that must be the first. A host that restarts the enclave over an older store could
hide that record; so a token that was issued before this boot counts for nothing, and the user asks for another.
"""

from typing import Final

from enclave.auth_key import Key
from enclave.clock import TrustedClock
from enclave.config import OidcClient, Scope
from enclave.errors import Refusal
from enclave.identity import Identity
from enclave.login.id_token import VerifiedIdToken, login_nonce, verify_id_token
from enclave.login.issuers import find_client, normalize_issuer
from enclave.login.jwks import KeySets
from enclave.records import Conflict, Records
from protocol.errors import INVALID_REQUEST
from protocol.services import SPENT_TABLE

REUSED: Final = "cannot reuse an old ID token"


class OidcProofs:
    """Takes ID tokens of configured clients, each once."""

    def __init__(self, clock: TrustedClock, records: Records, key_sets: KeySets) -> None:
        self._clock = clock
        self._records = records
        self._key_sets = key_sets
        self._boot_s = clock.now_s()

    async def prove(
        self, token: str, client: OidcClient, scope: str, auth_key: Key, *, expected_exp: int | None = None
    ) -> Identity:
        """The identity that `token` proves to `client`, and the token is spent. PROOF_VERIFICATION_FAILED otherwise,
        INVALID_REQUEST for a used one, IDENTITY_PROVIDER_ERROR when the provider's keys cannot be had.
        """
        verified = await verify_id_token(
            token,
            client,
            self._key_sets,
            now_s=self._clock.now_s(),
            issued_from_s=self._boot_s,
            expected_exp=expected_exp,
            expected_nonce=login_nonce(scope, auth_key) if client.require_nonce else None,
        )
        await self._consume(verified)
        return Identity("OIDC", verified.issuer, verified.subject, verified.email)

    async def _consume(self, token: VerifiedIdToken) -> None:
        key = self._records.key(SPENT_TABLE, "id-token", token.token_hash)
        try:
            await self._records.save(self._records.change(key, 0, token.expires_s))
        except Conflict:
            raise Refusal(INVALID_REQUEST, REUSED) from None


def require_client(scope: Scope, issuer: str, audience: str) -> OidcClient:
    """The configured client that a request's metadata names; INVALID_REQUEST with the wire's causes otherwise."""
    if not normalize_issuer(issuer).startswith("https://"):
        raise Refusal(INVALID_REQUEST, "extract metadata: issuer must be https")
    client = find_client(scope.oidc, issuer, audience)
    if client is None:
        raise Refusal(INVALID_REQUEST, "extract metadata: issuer or audience is not accepted")
    return client
