"""GuardIntents/Sign: the second signature of embedded wallets, asked for by an instrument through both hosts.

Whoever asks: what counts is the intent that a session key signed, and the signature of an account that acts for the
wallet. The rules judge it as they judge everything.
"""

from typing import Any, Final

from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.guard.cosigning import Cosigner
from enclave.guard.intent_request import IntentRequest, parse_intent_request, sign_request_of
from enclave.guard.sign_request import SignRequest
from enclave.guard.signing_key import GuardKey
from enclave.guard.wallet_book import WalletBook
from enclave.rpc.envelope import Call, parse_object, require_json_post
from enclave.rpc.factor_arguments import parse_auth_token, require_private
from evm.errors import EvmError
from evm.intents.shown_wallet import ShownWalletV3
from protocol import guard_errors
from protocol.guarding import GUARD_PATH

_OWN: Final = ("guard-", "intent-", "bundle-")


class GuardIntentsService:
    """The one method."""

    def __init__(
        self, key: GuardKey, cosigner: Cosigner, wallets: WalletBook, clock: TrustedClock, *, plain_tokens: bool
    ) -> None:
        """`plain_tokens`: whether second factors are taken in the clear, which both hosts then read."""
        self._plain_tokens = plain_tokens
        self._key = key
        self._cosigner = cosigner
        self._wallets = wallets
        self._clock = clock
        self.methods: Final = {GUARD_PATH: self.sign}

    async def sign(self, call: Call) -> dict[str, Any]:
        """`{intent, wallet, signature, token?}` -> `{sig}`: 65 bytes over what the intent makes the wallet sign."""
        require_json_post(call)
        arguments, guard = parse_object(call.body), await self._key.address()
        token = parse_auth_token(arguments.pop("token", None))
        if token is not None:
            require_private(call, plain=self._plain_tokens)
        try:
            asked = parse_intent_request(arguments, self._clock.now_s())
            request = sign_request_of(asked, guard)
        except EvmError as error:
            raise _refusal(error.code) from None
        await self._register(asked, request)
        return {"sig": "0x" + (await self._cosigner.sign(request, token)).hex()}

    async def _register(self, asked: IntentRequest, request: SignRequest) -> None:
        """The wallet with what was shown of it: from now on those count for it who are in there, and nobody else."""
        if isinstance(asked.shown, ShownWalletV3):
            await self._wallets.register(asked.shown.configuration, asked.shown.context, request.wallet)
        else:
            await self._wallets.register_child(request.wallet, request.cosigners)


def _refusal(code: str) -> Refusal:
    stable = code if code.startswith(_OWN) else "guard-payload"
    wrong = guard_errors.INVALID_ARGUMENT if code == "guard-request" else guard_errors.VALIDATION_FAILED
    return Refusal(wrong, "guard:" + stable.removeprefix("guard-"))
