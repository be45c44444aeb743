"""What a transaction pays for its place: at first, and again when it does not get one (EIP-1559)."""

from dataclasses import dataclass

from host_proxy.errors import RelayFault

_BUMP_PERCENT = 125  # nodes replace a transaction for 10 % more of both; a little beyond that


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei for each unit of gas: the most in all, and the most of it that goes to the block's maker."""

    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class FeeRules:
    """What the operator is ready to pay: the highest fee, and the gas of one operation."""

    max_fee_cap: int
    max_gas: int
    gas_percent: int = 125
    """How much more gas than estimated is allowed: what an operation needs may grow until it is mined."""

    def first(self, base_fee: int, priority_fee: int) -> Fees:
        """Enough for a base fee that doubles; `relay-fee-cap` when the chain asks for more than the cap by now."""
        if base_fee + priority_fee > self.max_fee_cap:
            raise RelayFault("relay-fee-cap")
        return Fees(min(2 * base_fee + priority_fee, self.max_fee_cap), priority_fee)

    def next(self, last: Fees, base_fee: int, priority_fee: int) -> Fees | None:
        """Fees for which a node replaces the last attempt, following the chain's; None when the cap leaves no room."""
        wanted = 2 * base_fee + priority_fee
        least = -(-last.max_fee * _BUMP_PERCENT // 100)
        if least > self.max_fee_cap:
            return None
        tip = max(priority_fee, -(-last.priority_fee * _BUMP_PERCENT // 100), 1)
        max_fee = min(max(wanted, least), self.max_fee_cap)
        return Fees(max_fee, min(tip, max_fee)) if tip > last.priority_fee else None

    def gas(self, estimate: int) -> int:
        """The gas limit for an estimate; `relay-gas` when it is beyond the rule."""
        limit = estimate * self.gas_percent // 100
        if limit > self.max_gas:
            raise RelayFault("relay-gas")
        return limit
