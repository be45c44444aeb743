"""What a relay is for those who use it: an operation goes in under a name, and its receipt comes out.

The name makes it once: the same operation may be handed over again at any time, before and after a restart, and does
not happen twice. Another operation under a name that is taken is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol

from host_proxy.errors import RelayFault
from protocol import limits

_ID: Final = re.compile(r"0x[0-9a-f]{64}\Z")
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}\Z")
_DATA: Final = re.compile(r"0x(?:[0-9a-f]{2})*\Z")


@dataclass(frozen=True, slots=True)
class Operation:
    """A call of a wallet, signed: `id` is the digest that was signed, `to` the contract, `data` the call data.

    All texts are 0x and lower-case hex; `wallet` is whose operation it is, where `to` is another contract.
    """

    id: str
    to: str
    data: str
    wallet: str
    quote: str | None = field(default=None, compare=False)
    """A relayer's, by which it is paid."""

    def __post_init__(self) -> None:
        if not (_ID.match(self.id) and _ADDRESS.match(self.to) and _ADDRESS.match(self.wallet)):
            raise RelayFault("relay-operation")
        if len(self.data) > 2 + 2 * limits.MAX_RELAY_REQUEST_BYTES or not _DATA.match(self.data):
            raise RelayFault("relay-operation")


class State(Enum):
    """`PENDING`: on its way. `MINED`: in a block that may still be replaced. `FINAL`: in one that will not."""

    PENDING = "pending"
    MINED = "mined"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Status:
    """How far an operation is, and the receipt, once there is one; `succeeded` says whether it was carried out."""

    state: State
    tx_hash: str | None = None
    succeeded: bool | None = None
    receipt: Mapping[str, Any] | None = None


class Relay(Protocol):
    """Both adapters. Failures are `RelayFault`; an operation that was taken is not lost by any."""

    async def send(self, operations: list[Operation]) -> list[Status]:
        """Take operations, durably, and send them, in this order; what is known by then of each.

        A failure means that none was taken, `relay-would-revert` that the chain would refuse one of them.
        """
        ...

    async def status(self, operation_id: str) -> Status:
        """How far an operation is; `relay-unknown` for one that was never taken, or can no longer happen."""
        ...

    async def fee_options(self, operation: Operation) -> tuple[list[dict[str, Any]], str | None]:
        """What carrying out an operation would cost its wallet, and the quote for it; an empty list: nothing."""
        ...

    async def is_busy_for(self, wallet: str) -> bool:
        """Whether an operation of a wallet was taken that is in no block yet."""
        ...

    async def advance(self) -> None:
        """Look after all operations that are not final: ask for receipts, send again, pay more."""
        ...
