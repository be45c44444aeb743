"""Login by an OpenID Connect ID token (mode IDToken; identity-instrument.md 2.2).

The client commits to the hash of its token, then shows the token, which logs in once (`enclave.login.oidc_proof`).
"""

import hmac
import re
from typing import Final

from attestation.lru import Lru
from enclave.auth_key import Key
from enclave.clock import TrustedClock
from enclave.config import Scope
from enclave.errors import Refusal
from enclave.identity import Identity
from enclave.login.commitments import Commitment, CommitmentKey, Commitments
from enclave.login.id_token import token_handle
from enclave.login.modes import LoginRequest, LoginStarted
from enclave.login.oidc_proof import REUSED, OidcProofs, require_client
from protocol import errors, limits

MODE: Final = "IDToken"
_HANDLE: Final = re.compile(r"0x[0-9a-f]{64}\Z")
_EXP: Final = re.compile(r"[0-9]{1,12}\Z")
_REMEMBERED: Final = 10_000


class IdTokenMode:
    """Implements `LoginMode`."""

    def __init__(self, clock: TrustedClock, commitments: Commitments, proofs: OidcProofs) -> None:
        self._clock = clock
        self._commitments = commitments
        self._proofs = proofs
        # Saves the user a round trip; what decides is the record of used tokens.
        self._used: Lru[str, bool] = Lru(_REMEMBERED)

    def normalize_verifier(self, verifier: str) -> str:
        """The handle in lower case."""
        return verifier.lower()

    async def commit(self, request: LoginRequest) -> LoginStarted:
        """File a commitment to a token's hash, issuer, audience and expiry."""
        if request.identity_type != "OIDC":
            raise Refusal(errors.INVALID_REQUEST, f"unsupported identity type: {request.identity_type}")
        handle = request.handle.lower()
        if not _HANDLE.match(handle):
            raise Refusal(errors.INVALID_REQUEST, "handle must be the hash of the token")
        expires_s = self._require_metadata(request)
        now_s, now_ms = self._clock.now_s(), self._clock.monotonic_ms()
        if expires_s <= now_s:
            raise Refusal(errors.PROOF_VERIFICATION_FAILED, "token expired")
        key = self._key(request.scope, handle, request.auth_key)
        if self._used.get(handle) or self._commitments.live_for(key, now_ms):
            raise Refusal(errors.INVALID_REQUEST, REUSED)
        lifetime_s = min(expires_s - now_s, limits.MAX_ID_TOKEN_AGE_S)  # by then no token passes, whatever it says
        metadata = dict(request.metadata)
        commitment = Commitment(key, handle, now_ms + lifetime_s * 1000, signer=request.signer, metadata=metadata)
        self._commitments.add(commitment, now_ms)
        return LoginStarted(handle, "", "")

    async def complete(self, commitment: Commitment, answer: str, scope: Scope) -> Identity:
        """PROOF_VERIFICATION_FAILED unless `answer` is the committed token and proves an identity to this scope."""
        if not hmac.compare_digest(token_handle(answer).encode(), commitment.handle.encode()):
            raise Refusal(errors.PROOF_VERIFICATION_FAILED, "invalid token hash")
        metadata = commitment.metadata
        client = require_client(scope, metadata["iss"], metadata["aud"])
        identity = await self._proofs.prove(
            answer, client, scope.scope, commitment.key.auth_key, expected_exp=int(metadata["exp"])
        )
        self._used.put(commitment.handle, True)
        return identity

    def _require_metadata(self, request: LoginRequest) -> int:
        metadata = request.metadata
        if metadata.keys() != {"iss", "aud", "exp"} or not _EXP.match(metadata["exp"]):
            raise Refusal(errors.INVALID_REQUEST, "extract metadata: metadata must contain iss, aud, and exp")
        require_client(request.scope, metadata["iss"], metadata["aud"])
        return int(metadata["exp"])

    def _key(self, scope: Scope, handle: str, auth_key: Key) -> CommitmentKey:
        return CommitmentKey(scope.scope, MODE, "OIDC", handle, auth_key)
