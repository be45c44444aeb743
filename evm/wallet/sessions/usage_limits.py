"""What explicit sessions have used up, and the call that writes it down.

The session contract keeps, for each wallet, a total under a usage hash: one for each cumulative rule, one for the coins
that a key has sent. A payload that touches any of them begins with `incrementUsageLimit` and the new totals.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from evm.address import Address
from evm.fields import UINT256_MAX
from evm.wallet.abi import array, encode, selector, word
from evm.wallet.errors import require
from evm.wallet.reader import Reader
from evm.wallet.sessions.permission import SessionPermissions, value_usage_hash
from evm.wallet.values import HASH_BYTES

INCREMENT_SELECTOR: Final = selector("incrementUsageLimit((bytes32,uint256)[])")
MAX_LIMITS: Final = 1024  # own choice; writing each costs 22,100 gas (EIP-2929), and a transaction has 2^24 (EIP-7825)

_CODE: Final = "wallet-session-usage"
_REASON: Final = "InvalidLimitUsageIncrement"


@dataclass(frozen=True, slots=True)
class UsageLimit:
    """A new total under a usage hash, not what is added to it."""

    usage_hash: bytes
    amount: int

    def __post_init__(self) -> None:
        require(len(self.usage_hash) == HASH_BYTES, f"{_CODE}-hash")
        require(0 <= self.amount <= UINT256_MAX, f"{_CODE}-amount", "Panic")


@dataclass(slots=True)
class SessionUsage:
    """What one key has used: coins, and each cumulative rule that was evaluated, in order. Totals, in units of each."""

    signer: Address
    value: int
    limits: dict[bytes, int] = field(default_factory=dict)
    _hashes: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def hash_of(self, session: SessionPermissions, permission_index: int, rule_index: int) -> bytes:
        """The rule's usage hash, made once: it covers the whole permission, and many calls may stand under one."""
        key = permission_index, rule_index
        if key not in self._hashes:
            self._hashes[key] = session.permissions[permission_index].usage_hash(self.signer, rule_index)
        return self._hashes[key]

    @property
    def totals(self) -> list[UsageLimit]:
        """What the increment call has to list for this key: the rules even at 0, the coins only above it."""
        found = [UsageLimit(usage_hash, amount) for usage_hash, amount in self.limits.items()]
        return found + [UsageLimit(value_usage_hash(self.signer), self.value)] * (self.value > 0)


class UsageTracker:
    """The running totals of a payload, key by key in order of their first call, on top of what the chain has stored."""

    __slots__ = ("_sessions", "_stored")

    def __init__(self, stored: Mapping[bytes, int]) -> None:
        self._stored = stored
        self._sessions: dict[Address, SessionUsage] = {}

    def of(self, signer: Address) -> SessionUsage:
        """The usage of one key. Asking is a first call: the key's stored coins count from then on."""
        if signer not in self._sessions:
            self._sessions[signer] = SessionUsage(signer, self._stored.get(value_usage_hash(signer), 0))
        return self._sessions[signer]

    def add(self, usage: SessionUsage, usage_hash: bytes, amount: int) -> int:
        """The total under a cumulative rule's hash after `amount` more."""
        total = usage.limits.get(usage_hash, self._stored.get(usage_hash, 0)) + amount
        require(total <= UINT256_MAX, f"{_CODE}-overflow", "Panic")
        usage.limits[usage_hash] = total
        return total

    @property
    def totals(self) -> tuple[UsageLimit, ...]:
        """What the increment call of this payload has to list; nothing where no limit applies."""
        return tuple([total for usage in self._sessions.values() for total in usage.totals])


def encode_increment(limits: Iterable[UsageLimit]) -> bytes:
    """The calldata of `incrementUsageLimit`."""
    return INCREMENT_SELECTOR + encode(array(*[limit.usage_hash + word(limit.amount) for limit in limits]))


def parse_increment(data: bytes) -> tuple[UsageLimit, ...]:
    """The totals in the calldata of `incrementUsageLimit`, in its one encoding."""
    reader = Reader(data, f"{_CODE}-call")
    require(reader.take(4) == INCREMENT_SELECTOR and reader.uint(32) == 32, f"{_CODE}-call")
    count = reader.uint(32)
    require(count <= MAX_LIMITS, f"{_CODE}-count")
    found = tuple([UsageLimit(reader.take(HASH_BYTES), reader.uint(32)) for _ in range(count)])
    require(reader.ended, f"{_CODE}-call")
    return found


def apply_increment(stored: Mapping[bytes, int], limits: Iterable[UsageLimit]) -> dict[bytes, int]:
    """What the chain has stored after the call; no total may decrease."""
    after = dict(stored)
    for limit in limits:
        require(limit.amount >= after.get(limit.usage_hash, 0), f"{_CODE}-decrease", _REASON)
        after[limit.usage_hash] = limit.amount
    return after
