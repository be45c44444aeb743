"""What the delegation methods have in common: a verified session, the nonce, errors in one place."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from enclave.accounts import Accounts
from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.login.notices import Notice, Notices
from enclave.nonces import Nonces
from enclave.rpc.authorized import Authorized, Authorizer
from enclave.rpc.envelope import SignedCall
from enclave.sessions import VerifiedSession
from evm.address import Address, parse_address
from evm.delegations.errors import DelegationError
from evm.errors import EvmError
from protocol import errors
from protocol.services import RecordKey

_SESSION: Final = frozenset({"session"})


@dataclass(frozen=True, slots=True)
class DelegationCall:
    """A call under a verified session. Its nonce is not yet spent."""

    caller: Authorized
    session: VerifiedSession

    @property
    def account(self) -> Address:
        """The account of the login's key: who delegates."""
        return parse_address(self.caller.login.address)

    @property
    def account_id(self) -> bytes:
        """Under which the account's records lie."""
        return self.caller.login.account_id


class DelegationCalls:
    """Authorizes calls, spends their nonces, and tells owners what was signed for their account."""

    def __init__(
        self, authorizer: Authorizer, accounts: Accounts, nonces: Nonces, clock: TrustedClock, notices: Notices
    ) -> None:
        self._authorizer = authorizer
        self._accounts = accounts
        self._nonces = nonces
        self._clock = clock
        self._notices = notices

    async def authorize(self, call: SignedCall, members: frozenset[str]) -> DelegationCall:
        """The call, once its session is verified. `members` are the method's own."""
        caller = await self._authorizer.authorize(call, members | _SESSION)
        return DelegationCall(caller, self._authorizer.session(call, caller))

    async def consume(self, call: DelegationCall) -> None:
        """Spend the call's nonce, durably."""
        caller, now_ms = call.caller, self._clock.monotonic_ms()
        await self._nonces.consume(caller.scope.scope, caller.device.auth_key, caller.nonce, now_ms)

    async def tell(self, call: DelegationCall, notice: Notice) -> None:
        """Mail the owner, if that can be done soon: whoever has the session may be somebody else."""
        with suppress(Refusal):
            account = await self._accounts.load(RecordKey("account", call.account_id))
            if account is not None:
                await self._notices.tell(account, notice)


@contextmanager
def delegation_rules() -> Iterator[None]:
    """Turns refusals of formats and rules into those of the wire; the rule's name is the cause."""
    try:
        yield
    except DelegationError as error:
        raise Refusal(errors.DELEGATION_RULE, error.code) from None
    except EvmError as error:
        raise Refusal(errors.UNDECODABLE, error.code) from None
