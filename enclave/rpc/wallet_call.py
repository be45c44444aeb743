"""What the wallet methods have in common: a verified session, the scope's template, the record, errors in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from enclave.accounts import Accounts
from enclave.clock import TrustedClock
from enclave.config import Right, WalletTemplate
from enclave.errors import Refusal
from enclave.identity import Identity
from enclave.nonces import Nonces
from enclave.rpc.authorized import Authorized, Authorizer
from enclave.rpc.envelope import SignedCall, encode_json
from enclave.sequence.wallet_records import SmartWallet, WalletRecords
from enclave.sessions import VerifiedSession
from evm.address import Address, parse_address
from evm.errors import EvmError
from evm.wallet.errors import WalletError
from protocol import errors, limits
from protocol.services import RecordKey

_SESSION: Final = frozenset({"session"})


@dataclass(frozen=True, slots=True)
class WalletCall:
    """A call under a verified session, in a scope that has smart wallets. Its nonce is not yet spent."""

    caller: Authorized
    session: VerifiedSession
    template: WalletTemplate

    @property
    def identity(self) -> Address:
        """The address of the enclave's key for the login."""
        return parse_address(self.caller.login.address)

    def require(self, *rights: Right) -> None:
        """RIGHT_NOT_GRANTED unless the scope's measured configuration names all of them."""
        if not set(rights) <= set(self.caller.scope.rights):
            raise Refusal(errors.RIGHT_NOT_GRANTED)


class WalletCalls:
    """Authorizes calls and finds what they are about."""

    def __init__(
        self, authorizer: Authorizer, accounts: Accounts, wallets: WalletRecords, nonces: Nonces, clock: TrustedClock
    ) -> None:
        self._authorizer = authorizer
        self._accounts = accounts
        self._wallets = wallets
        self._nonces = nonces
        self._clock = clock

    async def authorize(self, call: SignedCall, members: frozenset[str]) -> WalletCall:
        """The call, once its session is verified. `members` are the method's own."""
        caller = await self._authorizer.authorize(call, members | _SESSION)
        template = caller.scope.wallet
        if template is None:
            raise Refusal(errors.RIGHT_NOT_GRANTED)
        return WalletCall(caller, self._authorizer.session(call, caller), template)

    async def wallet(self, call: WalletCall) -> SmartWallet:
        """The wallet of the caller's account; WALLET_NOT_FOUND without one."""
        wallet = await self._wallets.load(call.caller.login.account_id)
        if wallet is None:
            raise Refusal(errors.WALLET_NOT_FOUND)
        if wallet.plan.identity != call.identity:
            raise Refusal(errors.DATA_INTEGRITY_ERROR)
        return wallet

    async def identity(self, call: WalletCall) -> Identity:
        """The identity that the verified session stands for."""
        account = await self._accounts.load(RecordKey("account", call.caller.login.account_id))
        if account is None:
            raise Refusal(errors.SIGNER_NOT_FOUND)
        return account.require_login(call.session.identity_hash)

    async def consume(self, call: WalletCall) -> None:
        """Spend the call's nonce, durably."""
        caller = call.caller
        now_ms = self._clock.monotonic_ms()
        await self._nonces.consume(caller.scope.scope, caller.device.auth_key, caller.nonce, now_ms)


@contextmanager
def wallet_rules() -> Iterator[None]:
    """Turns refusals of formats and rules into those of the wire; the contract's own reason stands in brackets."""
    try:
        yield
    except WalletError as error:
        cause = error.code if error.reason is None else f"{error.code} ({error.reason})"
        raise Refusal(errors.WALLET_RULE, cause) from None
    except EvmError as error:
        raise Refusal(errors.UNDECODABLE, error.code) from None


def bounded(answer: dict[str, Any]) -> dict[str, Any]:
    """`answer`, unless no frame would hold it; then nothing may be signed for it."""
    if len(encode_json(answer)) > limits.MAX_UNDERSTOOD_BYTES:
        raise Refusal(errors.UNDECODABLE, "understood-too-long")
    return answer
