"""LegacyWallet/Address and LegacyWallet/Sign: wallets of the second generation, served and not made."""

from typing import Any, Final

from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.nonces import Nonces
from enclave.rpc.authorized import Authorized, Authorizer
from enclave.rpc.envelope import SignedCall
from enclave.rpc.wallet_call import bounded, wallet_rules
from enclave.second_opinion import SecondOpinion
from enclave.sequence.legacy import SOURCES, WHOSE, parse_legacy, parse_legacy_wallet
from enclave.wallets import Wallets
from evm.signature import parse_signature
from evm.wallet.legacy.signer import key_signature
from evm.wallet.values import to_hex
from protocol import errors

_SESSION: Final = frozenset({"session"})
_RIGHT: Final = "sign_legacy_wallet"


class LegacyWalletService:
    """The login's key as a signer of the parent of a user's wallet."""

    def __init__(
        self,
        authorizer: Authorizer,
        wallets: Wallets,
        nonces: Nonces,
        clock: TrustedClock,
        second_opinion: SecondOpinion,
    ) -> None:
        self._authorizer = authorizer
        self._wallets = wallets
        self._nonces = nonces
        self._clock = clock
        self._second_opinion = second_opinion

    async def address(self, call: SignedCall) -> dict[str, Any]:
        """Where a user's wallet is and who acts for it."""
        caller = await self._authorizer.authorize(call, _SESSION | WHOSE)
        self._authorizer.session(call, caller)
        self._require_right(caller)
        with wallet_rules():
            wallet = parse_legacy_wallet(call.params)
        now_ms = self._clock.monotonic_ms()
        await self._nonces.consume(caller.scope.scope, caller.device.auth_key, caller.nonce, now_ms)
        return wallet.described()

    async def sign(self, call: SignedCall) -> dict[str, Any]:
        """Sign for the parent, so that the user's wallet approves of transactions, a message or typed data."""
        caller = await self._authorizer.authorize(call, _SESSION | WHOSE | SOURCES | {"chainId"})
        session = self._authorizer.session(call, caller)
        self._require_right(caller)
        second = await self._second_opinion.get()
        with wallet_rules():
            asked = parse_legacy(call.params, second)
        answer = bounded(asked.described())
        signature = await self._wallets.sign(
            session, caller.login, asked.signed_digest, right=_RIGHT, nonce=caller.nonce
        )
        with wallet_rules():
            typed = key_signature(parse_signature(signature))
        return answer | {"signature": to_hex(typed), "signer": caller.login.address}

    def _require_right(self, caller: Authorized) -> None:
        if _RIGHT not in caller.scope.rights:
            raise Refusal(errors.RIGHT_NOT_GRANTED)
