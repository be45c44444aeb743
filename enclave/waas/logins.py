"""Logins by intents: `initiateAuth` begins one, `openSession` proves it, for the session key that signed both.

Mail and ID tokens go through the enclave's own login modes. A guest proves nothing but its key, by an answer over a
fresh salt. What began is in RAM, counted per try, and consumed by success.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.identity import Identity
from enclave.login import id_token_mode, otp, otp_mode
from enclave.login.commitments import Commitment, CommitmentKey, Commitments
from enclave.login.id_token import parse_unverified_claims, token_handle
from enclave.login.modes import LoginRequest
from enclave.login.proofs import LoginAnswer, LoginProofs, ProvenLogin
from enclave.waas.caller import Caller
from evm.intents.account_data import FederateAccount, IdentityType, InitiateAuth, OpenSession
from protocol import errors

_MODE: Final = "Intent"
GUEST_S: Final = 300  # the original's
_ID_TOKEN_S: Final = 600  # of the first half; the token's own expiry is judged with it


@dataclass(frozen=True, slots=True)
class Begun:
    """The answer to `initiateAuth`."""

    challenge: str
    expires_in_s: int


class IntentLogins:
    """Both halves of a login."""

    def __init__(self, clock: TrustedClock, proofs: LoginProofs, otp_s: int, random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._proofs = proofs
        self._otp_s = otp_s
        self._random = random
        self._begun = Commitments()

    async def begin(self, caller: Caller, data: InitiateAuth) -> Begun:
        """Start a login. The challenge is empty where there is none."""
        match data.identity_type:
            case IdentityType.GUEST if caller.tenant.guest_login:
                return self._begin_guest(caller, data)
            case IdentityType.EMAIL:
                started = await self._proofs.mode(otp_mode.MODE).commit(
                    LoginRequest(caller.scope, "Email", caller.key, _mailbox(caller, data.verifier), None, {})
                )
                return Begun(started.challenge, self._otp_s)
            case IdentityType.OIDC:
                handle, _ = _token_verifier(data.verifier)
                self._file(_key(caller, "OIDC", handle), _ID_TOKEN_S)
                return Begun("", _ID_TOKEN_S)
        raise Refusal(errors.INVALID_REQUEST, f"unsupported identity type: {data.identity_type.value}")

    async def prove(self, caller: Caller, data: OpenSession | FederateAccount) -> ProvenLogin:
        """The identity that the answer proves, to log in or to be linked; the refusals of the wire where it does not.

        A guest is linked to nothing: it is its key, and the key has a user already.
        """
        linking = isinstance(data, FederateAccount)
        if data.verifier is None or data.answer is None:
            raise Refusal(errors.INVALID_REQUEST, "verifier and answer are required")
        match data.identity_type:
            case IdentityType.GUEST if caller.tenant.guest_login and not linking:
                return self._prove_guest(caller, data.verifier, data.answer)
            case IdentityType.EMAIL:
                named = LoginAnswer("Email", otp_mode.MODE, _mailbox(caller, data.verifier), data.answer)
                return await self._proofs.prove(caller.scope, caller.key, named, linking=linking)
            case IdentityType.OIDC:
                return await self._prove_token(caller, data.verifier, data.answer, linking=linking)
        raise Refusal(errors.INVALID_REQUEST, "unsupported identity type")

    def _begin_guest(self, caller: Caller, data: InitiateAuth) -> Begun:
        session = _own_session(caller, data.verifier)
        client_salt, server_salt = otp.generate_salt(self._random), otp.generate_salt(self._random)
        answer = otp.stored_answer(server_salt, otp.client_answer(client_salt, caller.intent.session.text))
        self._file(_key(caller, "Guest", session), GUEST_S, server_salt, (answer,))
        return Begun(client_salt, GUEST_S)

    def _prove_guest(self, caller: Caller, verifier: str, answer: str) -> ProvenLogin:
        session = _own_session(caller, verifier)
        commitment = self._attempt(_key(caller, "Guest", session))
        otp.verify_answer(commitment.answers, commitment.challenge, answer)
        self._begun.consume(commitment)
        return ProvenLogin(Identity("Guest", "", session, None), None, "")

    async def _prove_token(self, caller: Caller, verifier: str, token: str, *, linking: bool) -> ProvenLogin:
        """The token has to be the one that was begun with; issuer and audience are told by it, and verified after."""
        handle, exp = _token_verifier(verifier)
        commitment = self._attempt(_key(caller, "OIDC", handle))
        if token_handle(token) != handle:
            raise Refusal(errors.PROOF_VERIFICATION_FAILED, "invalid token hash")
        issuer, audience = self._client(caller, token)
        metadata = {"iss": issuer, "aud": audience, "exp": exp}
        mode = self._proofs.mode(id_token_mode.MODE)
        await mode.commit(LoginRequest(caller.scope, "OIDC", caller.key, handle, None, metadata))
        named = LoginAnswer("OIDC", id_token_mode.MODE, handle, token)
        proven = await self._proofs.prove(caller.scope, caller.key, named, linking=linking)
        self._begun.consume(commitment)
        return proven

    def _client(self, caller: Caller, token: str) -> tuple[str, str]:
        """Issuer and audience of a configured client, chosen by what the token says of itself."""
        claims = parse_unverified_claims(token)
        named = claims.get("aud")
        audiences = named if isinstance(named, list) else [named]
        for client in caller.scope.oidc:
            same = client.issuer.removesuffix("/") == str(claims.get("iss")).removesuffix("/")
            if same and client.audience in audiences:
                return client.issuer, client.audience
        raise Refusal(errors.PROOF_VERIFICATION_FAILED, "issuer or audience is not accepted")

    def _file(self, key: CommitmentKey, life_s: int, challenge: str = "", answers: tuple[str, ...] = ()) -> None:
        now_ms = self._clock.monotonic_ms()
        deadline_ms = now_ms + life_s * 1000
        self._begun.add(Commitment(key, key.verifier, deadline_ms, challenge=challenge, answers=answers), now_ms)

    def _attempt(self, key: CommitmentKey) -> Commitment:
        return self._begun.start_attempt(key, self._clock.monotonic_ms())


def _key(caller: Caller, kind: str, verifier: str) -> CommitmentKey:
    return CommitmentKey(caller.scope.scope, _MODE, kind, verifier, caller.key)


def _own_session(caller: Caller, verifier: str) -> str:
    """The session id in lower case, which is what a guest is."""
    if verifier.lower() != caller.intent.session.id:
        raise Refusal(errors.INVALID_REQUEST, "verifier must be the session")
    return caller.intent.session.id


def _mailbox(caller: Caller, verifier: str) -> str:
    """The address in `address;session`."""
    address, _, session = verifier.rpartition(";")
    if session.lower() != caller.intent.session.id:
        raise Refusal(errors.INVALID_REQUEST, "verifier must name the session")
    return address


def _token_verifier(verifier: str) -> tuple[str, str]:
    """Hash and expiry in `hash;exp`."""
    handle, _, exp = verifier.partition(";")
    return handle.lower(), exp
