"""What it costs to read, judge and reserve a typical request of a guard, and the slowest that anybody can ask for.

python -m benchmarks.bench_guard
"""

import asyncio
import json
import os
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.report import Figure
from enclave.guard.budgets import Budgets
from enclave.guard.compiling import Rules, compile_rules
from enclave.guard.conditions import Circumstances
from enclave.guard.document import parse_document
from enclave.guard.judging import judge
from enclave.guard.limits import MAX_RULES
from enclave.records import Records
from enclave.secret import Secret
from evm.address import Address, checksum
from evm.effects import MAX_EFFECTS, Effect, effects_of_payload, effects_of_transaction, effects_of_typed_data
from evm.effects.permits import PERMIT2
from evm.transaction import Transaction, TransactionType
from evm.typed_data import parse_typed_data
from evm.wallet.payload import Call, CallsPayload
from simulator.hostile_store import MemoryStore

TYPICAL_MS: Final = 1.0
WORST_MS: Final = 50.0

_WALLET: Final = Address(b"\x11" * 20)
_TOKEN: Final = Address(b"\x22" * 20)
_FRIEND: Final = Address(b"\x33" * 20)
_ABOUT: Final = Circumstances(_WALLET, 1_764_400_000)
_TRANSFER: Final = bytes.fromhex("a9059cbb") + _FRIEND.rjust(32, b"\0") + (5).to_bytes(32, "big")


def measure(seconds: float = 1.0) -> list[Figure]:
    """The fastest rounds; what is slower than that is the machine's doing."""
    typical = CallsPayload((Call(_TOKEN, data=_TRANSFER),) * 2)
    widest = CallsPayload((Call(_TOKEN, data=_TRANSFER),) * MAX_EFFECTS)
    few, many = _rules(10), _rules(MAX_RULES)
    part = seconds / 8
    typical_s = _fastest(lambda: _decide(typical, few), part)
    worst_s = _fastest(lambda: _decide(widest, many), part)
    return [
        Figure("payload of 2 transfers, effects and decision", typical_s * 1e3, "ms", at_most=TYPICAL_MS),
        Figure(f"  of {MAX_EFFECTS} transfers, by {MAX_RULES} rules", worst_s * 1e3, "ms", at_most=WORST_MS),
        *[_largest(name, read, many, part) for name, read in _LARGEST.items()],
        Figure("reservation of a budget, store in memory", _reserve(few, part) * 1e6, "us"),
    ]


def _largest(name: str, read: Callable[[], tuple[Effect, ...]], rules: Rules, seconds: float) -> Figure:
    fastest_s = _fastest(lambda: judge(rules, read(), _ABOUT), seconds)
    return Figure(f"  {name}", fastest_s * 1e3, "ms", at_most=WORST_MS)


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _multicall(calls: list[bytes]) -> bytes:
    """Calldata of `multicall(bytes[])`."""
    padded = [_word(len(call)) + call + bytes(-len(call) % 32) for call in calls]
    ends = [32 * len(calls)]
    for part in padded:
        ends.append(ends[-1] + len(part))
    return (
        bytes.fromhex("ac9650d8") + _word(32) + _word(len(calls)) + b"".join(map(_word, ends[:-1])) + b"".join(padded)
    )


def _tree(levels: int, width: int) -> bytes:
    """Calls inside calls, as many as fit a request."""
    data = _TRANSFER
    for _ in range(levels):
        data = _multicall([data] * width)
    return data


def _items(count: int) -> bytes:
    """Calldata of ERC-1155's batch: the shortest way to many effects."""
    lists = _word(count) + _word(1) * count
    at = (160, 160 + len(lists), 160 + 2 * len(lists))
    parties = _WALLET.rjust(32, b"\0") + _FRIEND.rjust(32, b"\0")
    return bytes.fromhex("2eb2c2d6") + parties + b"".join(map(_word, at)) + lists * 2 + _word(0)


def _called(data: bytes) -> Callable[[], tuple[Effect, ...]]:
    tx = Transaction(TransactionType.DYNAMIC_FEE, 1, 0, 1, 1, 21_000, _TOKEN, 0, data)
    return lambda: effects_of_transaction(tx, _WALLET)


def _documented(details: int) -> Callable[[], tuple[Effect, ...]]:
    """A batch of Permit2, read from its JSON each time."""
    names = {"PermitBatch": ("PermitDetails[] details", "address spender", "uint256 sigDeadline"),
             "PermitDetails": ("address token", "uint160 amount", "uint48 expiration", "uint48 nonce"),
             "EIP712Domain": ("uint256 chainId", "address verifyingContract")}  # fmt: skip
    types = {
        name: [dict(zip(("type", "name"), m.split(), strict=True)) for m in found] for name, found in names.items()
    }
    detail = {"token": checksum(_TOKEN), "amount": "1", "expiration": "1", "nonce": "0"}
    document = {
        "types": types,
        "primaryType": "PermitBatch",
        "domain": {"chainId": "1", "verifyingContract": checksum(PERMIT2)},
        "message": {"details": [detail] * details, "spender": checksum(_FRIEND), "sigDeadline": "1"},
    }
    return lambda: effects_of_typed_data(parse_typed_data(document), _WALLET)


_LARGEST: Final[dict[str, Callable[[], tuple[Effect, ...]]]] = {
    "of 500 items of a batch, nobody's token": _called(_items(500)),
    "of calls inside calls, 7 deep": _called(_multicall([_tree(7, 1)] * 12)),
    "of calls inside calls, 2 wide": _called(_tree(6, 2)),
    "of 200 permits in a document": _documented(200),
}


def _rules(count: int) -> Rules:
    """`count` permissions, of which the last one matches."""
    rule = {"decision": "allow", "effects": ["transfer"], "assets": ["usd"], "counterparties": [checksum(_WALLET)]}
    rules: list[dict[str, Any]] = [rule | {"id": f"r{number}"} for number in range(count)]
    rules[-1] |= {"counterparties": [checksum(_FRIEND)]}
    document = {
        "version": 1,
        "name": "bench",
        "chains": [1],
        "tokens": {"usd": {"chain": 1, "address": checksum(_TOKEN), "standard": "erc20"}},
        "rules": rules,
        "budgets": [{"id": "b", "asset": "usd", "per": "wallet", "window_s": 86_400, "at_most": "1" + "0" * 30}],
    }
    return compile_rules(parse_document(json.dumps(document).encode()))


def _decide(payload: CallsPayload, rules: Rules) -> object:
    return judge(rules, effects_of_payload(payload, _WALLET, 1, rules.tokens), _ABOUT)


def _reserve(rules: Rules, seconds: float) -> float:
    """Seconds of one reservation after another of one budget, once its ledger is as long as it gets."""
    decision = judge(rules, effects_of_payload(CallsPayload((Call(_TOKEN, data=_TRANSFER),)), _WALLET, 1, rules.tokens),
                     _ABOUT)  # fmt: skip
    clock = iter(range(10**9))
    records = Records(MemoryStore(), Secret.take(bytearray(32)), "bench", lambda: next(clock), os.urandom)
    budgets = Budgets(records, lambda: next(clock), os.urandom)

    async def run() -> float:
        fastest, end = float("inf"), time.perf_counter() + seconds
        for _ in range(300):
            await budgets.reserve(decision.draws)
        while fastest == float("inf") or time.perf_counter() < end:
            start = time.perf_counter()
            await budgets.reserve(decision.draws)
            fastest = min(fastest, time.perf_counter() - start)
        return fastest

    return asyncio.run(run())


def _fastest(run: Callable[[], object], seconds: float) -> float:
    """Of the processor's time, so that other work of the machine does not count."""
    fastest, end = float("inf"), time.perf_counter() + seconds
    while fastest == float("inf") or time.perf_counter() < end:
        start = time.thread_time()
        run()
        fastest = min(fastest, time.thread_time() - start)
    return fastest


def main() -> None:
    """Print the figures."""
    for figure in measure(4.0):
        print(f"{figure.name:<52} {figure.value:10.3f} {figure.unit:<3} {figure.target}")


if __name__ == "__main__":
    main()
