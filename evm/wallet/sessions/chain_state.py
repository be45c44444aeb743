"""What the session contract reads from its chain when it checks a signature; here the caller brings it along."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from evm.address import Address
from evm.fields import UINT64_MAX, UINT256_MAX
from evm.wallet.context import EXTENSIONS
from evm.wallet.errors import require

SESSION_MANAGER: Final = EXTENSIONS["Rc5"].sessions
"""Of Rc4 and Rc5. Older ones signed hashes that hold for other wallets, too, and are not served."""


@dataclass(frozen=True, slots=True)
class ChainState:
    """One chain at one time.

    `usage` are the totals that `getLimitUsage` answers for the wallet, by usage hash; what is not there is 0.
    `implicit_results` are the answers of targets to `acceptImplicitRequest`, by index of the call, as far as known.
    """

    chain_id: int
    timestamp_s: int
    usage: Mapping[bytes, int] = field(default_factory=lambda: MappingProxyType({}))
    implicit_results: Mapping[int, bytes] = field(default_factory=lambda: MappingProxyType({}))
    session_manager: Address = SESSION_MANAGER

    def __post_init__(self) -> None:
        require(0 < self.chain_id <= UINT256_MAX, "wallet-session-state")
        require(0 <= self.timestamp_s <= UINT64_MAX, "wallet-session-state")
