"""What the delegation methods have in common: a verified session, the nonce, errors in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.nonces import Nonces
from enclave.rpc.authorized import Authorized, Authorizer
from enclave.rpc.envelope import SignedCall
from enclave.sessions import VerifiedSession
from evm.address import Address, parse_address
from evm.delegations.errors import DelegationError
from evm.errors import EvmError
from protocol import errors

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
    """Authorizes calls and spends their nonces."""

    def __init__(self, authorizer: Authorizer, nonces: Nonces, clock: TrustedClock) -> None:
        self._authorizer = authorizer
        self._nonces = nonces
        self._clock = clock

    async def authorize(self, call: SignedCall, members: frozenset[str]) -> DelegationCall:
        """The call, once its session is verified. `members` are the method's own."""
        caller = await self._authorizer.authorize(call, members | _SESSION)
        return DelegationCall(caller, self._authorizer.session(call, caller))

    async def consume(self, call: DelegationCall) -> None:
        """Spend the call's nonce, durably."""
        caller, now_ms = call.caller, self._clock.monotonic_ms()
        await self._nonces.consume(caller.scope.scope, caller.device.auth_key, caller.nonce, now_ms)


@contextmanager
def delegation_rules() -> Iterator[None]:
    """Turns refusals of formats and rules into those of the wire; the rule's name is the cause."""
    try:
        yield
    except DelegationError as error:
        raise Refusal(errors.DELEGATION_RULE, error.code) from None
    except EvmError as error:
        raise Refusal(errors.UNDECODABLE, error.code) from None
