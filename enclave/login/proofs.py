"""The second half of every login: the try is counted, the answer is judged, the commitment is consumed (OT-02, OT-03).

Used by CompleteAuth, and by whoever else needs an identity proven by the device key that asked for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from enclave.auth_key import Key
from enclave.config import Scope
from enclave.errors import Refusal
from enclave.identity import Identity, IdentityKind
from enclave.login.commitments import Commitment, CommitmentKey, Commitments
from enclave.login.modes import LoginMode
from protocol import errors, limits


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """What a client says to finish a login."""

    identity_type: IdentityKind
    auth_mode: str
    verifier: str
    answer: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProvenLogin:
    """Whose login it was. `signer` is the one that it named at its start, `audience` the client id for which the
    identity provider vouched; empty for a login by mail.
    """

    identity: Identity
    signer: Key | None
    audience: str


class LoginProofs:
    """The login modes, and the commitments that they share."""

    def __init__(
        self, modes: Mapping[str, LoginMode], commitments: Commitments, monotonic_ms: Callable[[], int]
    ) -> None:
        self._modes = modes
        self._commitments = commitments
        self._monotonic_ms = monotonic_ms

    def mode(self, auth_mode: str) -> LoginMode:
        """The mode of a published name; INVALID_REQUEST when there is none behind it."""
        mode = self._modes.get(auth_mode)
        if mode is None:
            raise Refusal(errors.INVALID_REQUEST, f"get auth handler: unknown auth mode: {auth_mode}")
        return mode

    async def prove(self, scope: Scope, auth_key: Key, answer: LoginAnswer, *, linking: bool = False) -> ProvenLogin:
        """What `answer` proves for a login that `auth_key` started, to log in or, when `linking`, to be linked.

        The commitment's refusals, or the mode's; the third wrong answer is TOO_MANY_ATTEMPTS.
        """
        mode = self.mode(answer.auth_mode)
        verifier = mode.normalize_verifier(answer.verifier)
        key = CommitmentKey(scope.scope, answer.auth_mode, answer.identity_type, verifier, auth_key)
        commitment = self._commitments.start_attempt(key, self._monotonic_ms())
        if commitment.links_only and not linking:
            raise Refusal(errors.INVALID_REQUEST, "a new passkey is linked before it logs in")
        identity = await self._judge(mode, commitment, answer.answer, scope)
        self._commitments.consume(commitment)
        audience = commitment.metadata.get("aud", "") if identity.kind == "OIDC" else ""
        return ProvenLogin(identity, commitment.signer, audience)

    async def _judge(self, mode: LoginMode, commitment: Commitment, answer: str, scope: Scope) -> Identity:
        try:
            return await mode.complete(commitment, answer, scope)
        except Refusal as refusal:
            if refusal.error is errors.IDENTITY_PROVIDER_ERROR:
                commitment.attempts -= 1  # the provider's trouble is not the user's try
            elif refusal.error is errors.ANSWER_INCORRECT and commitment.attempts >= limits.MAX_OTP_ATTEMPTS:
                raise Refusal(errors.TOO_MANY_ATTEMPTS) from None
            raise
