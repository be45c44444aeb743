"""Login by passkey (mode Passkey, our own; Web Authentication Level 3).

A passkey is one of the logins of an account, beside the one with which the account was made: a device that is logged
in starts the ceremony `create` and links what comes of it; later the ceremony `get` logs in on any device. Whatever is
signed, is checked here: challenge, origin, site, user verification, algorithm, signature, counter.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from enclave.clock import TrustedClock
from enclave.config import Scope
from enclave.errors import Refusal
from enclave.identity import Identity
from enclave.login.commitments import Commitment, CommitmentKey, Commitments
from enclave.login.modes import LoginRequest, LoginStarted
from enclave.login.passkey.authenticator_data import parse_authenticator_data
from enclave.login.passkey.client_data import verify_client_data
from enclave.login.passkey.credentials import Credentials
from enclave.login.passkey.response import parse_assertion, parse_registration
from protocol import errors, limits
from protocol.base64url import encode_b64u

MODE: Final = "Passkey"
_CREATE: Final[Mapping[str, str]] = {"ceremony": "create"}
_GET: Final[tuple[Mapping[str, str], ...]] = ({}, {"ceremony": "get"})
_CHALLENGE_BYTES: Final = 32


class PasskeyMode:
    """Implements `LoginMode`."""

    def __init__(
        self,
        clock: TrustedClock,
        commitments: Commitments,
        credentials: Credentials,
        random: Callable[[int], bytes],
    ) -> None:
        self._clock = clock
        self._commitments = commitments
        self._credentials = credentials
        self._random = random

    def normalize_verifier(self, verifier: str) -> str:
        """The challenge, as it is."""
        return verifier

    async def commit(self, request: LoginRequest) -> LoginStarted:
        """A fresh challenge for `navigator.credentials`. `metadata` may say `ceremony`: `get` (default) or `create`."""
        if request.identity_type != "Passkey" or not request.scope.passkey_rp_id:
            raise Refusal(errors.INVALID_REQUEST, f"unsupported identity type: {request.identity_type}")
        if request.metadata != _CREATE and request.metadata not in _GET:
            raise Refusal(errors.INVALID_REQUEST, "extract metadata: ceremony is create or get")
        challenge = encode_b64u(self._random(_CHALLENGE_BYTES))
        now_ms = self._clock.monotonic_ms()
        commitment = Commitment(
            key=CommitmentKey(request.scope.scope, MODE, "Passkey", challenge, request.auth_key),
            handle=challenge,
            deadline_ms=now_ms + limits.PASSKEY_CEREMONY_S * 1000,
            signer=request.signer,
            links_only=request.metadata == _CREATE,
        )
        self._commitments.add(commitment, now_ms)
        return LoginStarted(challenge, "", challenge)

    async def complete(self, commitment: Commitment, answer: str, scope: Scope) -> Identity:
        """The passkey's identity, once the authenticator's answer holds. PROOF_VERIFICATION_FAILED otherwise."""
        if commitment.links_only:
            credential_id = await self._register(commitment.handle, answer, scope)
        else:
            credential_id = await self._assert(commitment.handle, answer, scope)
        return passkey_identity(scope.passkey_rp_id, credential_id)

    async def _register(self, challenge: str, answer: str, scope: Scope) -> bytes:
        made = parse_registration(answer)
        verify_client_data(made.client_data, "create", challenge, scope.passkey_origins)
        data = parse_authenticator_data(made.authenticator_data, scope.passkey_rp_id, created=True)
        if data.credential is None or data.credential.id != made.credential_id:
            raise Refusal(errors.PROOF_VERIFICATION_FAILED, "passkey answer is malformed")
        await self._credentials.add(scope.scope, scope.passkey_rp_id, data.credential, data)
        return made.credential_id

    async def _assert(self, challenge: str, answer: str, scope: Scope) -> bytes:
        given = parse_assertion(answer)
        verify_client_data(given.client_data, "get", challenge, scope.passkey_origins)
        data = parse_authenticator_data(given.authenticator_data, scope.passkey_rp_id, created=False)
        known = await self._credentials.find(scope.scope, scope.passkey_rp_id, given.credential_id)
        signed = given.authenticator_data + hashlib.sha256(given.client_data).digest()
        known.public_key.verify(given.signature, signed)
        if data.backup_eligible != known.backup_eligible:
            raise Refusal(errors.PROOF_VERIFICATION_FAILED, "passkey is another one than was registered")
        await self._credentials.advance(scope.scope, scope.passkey_rp_id, given.credential_id, data)
        return given.credential_id


def passkey_identity(rp_id: str, credential_id: bytes) -> Identity:
    """The identity behind a credential: its site, and the SHA-256 of its id in base64url."""
    return Identity("Passkey", rp_id, encode_b64u(hashlib.sha256(credential_id).digest()), None)
