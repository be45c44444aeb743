"""The Identity Instrument: CommitVerifier, CompleteAuth and Sign in the published wire format.

Clients of the original work unmodified; the defects listed in identity-instrument.md section 8 are not kept: answers
count only from the auth key that committed, once, with the try counted first; nothing that was not proven is
revealed; every request gets an answer.
"""

from functools import partial
from typing import Any

from enclave.account import Account
from enclave.accounts import Accounts
from enclave.clock import TrustedClock
from enclave.config import Config, Scope
from enclave.devices import Devices, Login
from enclave.errors import Refusal
from enclave.login.modes import LoginRequest
from enclave.login.proofs import LoginAnswer, LoginProofs, ProvenLogin
from enclave.rpc import params
from enclave.rpc.envelope import SignedCall
from enclave.sessions import Sessions, Subject
from enclave.wallets import Wallets
from protocol import errors, limits


class IdentityInstrument:
    """The three public methods."""

    def __init__(
        self,
        config: Config,
        clock: TrustedClock,
        proofs: LoginProofs,
        accounts: Accounts,
        devices: Devices,
        sessions: Sessions,
        wallets: Wallets,
    ) -> None:
        self._config = config
        self._clock = clock
        self._proofs = proofs
        self._accounts = accounts
        self._devices = devices
        self._sessions = sessions
        self._wallets = wallets

    async def commit_verifier(self, call: SignedCall) -> dict[str, str]:
        """Start a login. Result `{verifier, loginHint, challenge}`."""
        scope = params.login_scope(call, self._config)
        identity_type = params.identity_type(call.params)
        auth_mode = params.auth_mode(call.params)
        request = LoginRequest(
            scope=scope,
            identity_type=identity_type,
            auth_key=call.auth_key,
            signer=params.signer(call.params, required=False),
            handle=params.text(call.params, "handle"),
            metadata=params.metadata(call.params),
        )
        started = await self._proofs.mode(auth_mode).commit(request)
        return {"verifier": started.verifier, "loginHint": started.login_hint, "challenge": started.challenge}

    async def complete_auth(self, call: SignedCall) -> dict[str, Any]:
        """Finish a login: bind the auth key to the identity's wallet. Result `{signer, identity}`."""
        scope = params.login_scope(call, self._config)
        identity_type = params.identity_type(call.params)
        signer_type = params.text(call.params, "signerType", max_bytes=limits.MAX_BODY_BYTES)
        if signer_type not in ("Ethereum_Secp256k1", "WebCrypto_Secp256r1"):
            params.invalid("invalid signer type")
        auth_mode = params.auth_mode(call.params)
        verifier = params.text(call.params, "verifier", max_bytes=limits.MAX_VERIFIER_BYTES)
        answer = params.text(call.params, "answer", max_bytes=limits.MAX_ANSWER_BYTES)
        lifetime_s = params.lifetime_s(call.params, self._config)
        anew = params.flag(call.params, "newWallet")
        if signer_type != "Ethereum_Secp256k1":
            raise Refusal(errors.INVALID_REQUEST, "signer key type must be Ethereum_Secp256k1")
        named = LoginAnswer(identity_type, auth_mode, verifier, answer)
        proven = await self._proofs.prove(scope, call.auth_key, named)
        identity, signer = proven.identity, proven.signer
        if identity.kind == "Passkey":  # it was linked to an account, and makes none
            account = await self._accounts.find(scope.scope, identity)
        else:
            account = await self._accounts.find_or_create(scope.scope, identity, anew=anew)
        if signer is not None and signer.address != account.address:
            raise Refusal(errors.SIGNER_NOT_FOUND, "the login belongs to another signer")
        await self._enrol(call, scope, account, proven, auth_mode, lifetime_s)
        return {"signer": {"keyType": "Ethereum_Secp256k1", "address": account.address}, "identity": identity.wire()}

    async def sign(self, call: SignedCall) -> dict[str, str]:
        """Sign a 32-byte digest as it is, where the scope grants it. Result `{signature}`."""
        scope = params.scope(call, self._config)
        signer = params.signer(call.params, required=True)
        digest = params.digest(call.params)
        nonce = params.nonce(call.params)
        device, login = self._sessions.require_login(await self._devices.load(scope.scope, call.auth_key))
        if signer is None or signer.address != login.address:
            raise Refusal(errors.SIGNER_NOT_FOUND, "signer mismatch")
        session = self._sessions.verify(device, device.sessions[0], call.public_key, scope.origins[0])
        signature = await self._wallets.sign(session, login, digest, right="sign_digest", nonce=nonce)
        return {"signature": "0x" + signature.hex()}

    async def _enrol(
        self, call: SignedCall, scope: Scope, account: Account, proven: ProvenLogin, method: str, lifetime_s: int
    ) -> None:
        now_s, epoch = self._clock.now_s(), self._sessions.epoch
        whose, ends_s = account.subject(proven.identity), now_s + lifetime_s
        login = Login(account.key.id, account.address, method, now_s, ends_s, epoch, whose, proven.audience)
        subject = Subject(whose, scope.scope, call.auth_key, call.public_key)
        # A lifetime of 0 is a login that has ended already; it has no session.
        sessions = (self._sessions.issue(subject, scope.origins[0], login, lifetime_s),) if lifetime_s else ()
        end_login = partial(self._devices.end_login, scope.scope, account_id=account.key.id)
        await self._accounts.add_device(account, str(call.auth_key), end_login)
        await self._devices.enrol(scope.scope, call.auth_key, login, sessions)
