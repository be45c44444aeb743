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
from enclave.guard.judging import Outcome, judge
from enclave.guard.limits import MAX_RULES
from enclave.records import Records
from enclave.secret import Secret
from evm.address import Address, checksum
from evm.effects import MAX_EFFECTS, effects_of_payload
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
    part = seconds / 4
    typical_s = _fastest(lambda: _decide(typical, few), part)
    worst_s = _fastest(lambda: _decide(widest, many), part)
    return [
        Figure("payload of 2 transfers, effects and decision", typical_s * 1e3, "ms", at_most=TYPICAL_MS),
        Figure(f"  of {MAX_EFFECTS} transfers, by {MAX_RULES} rules", worst_s * 1e3, "ms", at_most=WORST_MS),
        Figure("reservation of a budget, store in memory", _reserve(few, part) * 1e6, "us"),
    ]


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
            await budgets.reserve(decision.draws, Outcome.ALLOW)
        while time.perf_counter() < end:
            start = time.perf_counter()
            await budgets.reserve(decision.draws, Outcome.ALLOW)
            fastest = min(fastest, time.perf_counter() - start)
        return fastest

    return asyncio.run(run())


def _fastest(run: Callable[[], object], seconds: float) -> float:
    fastest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def main() -> None:
    """Print the figures."""
    for figure in measure(4.0):
        print(f"{figure.name:<52} {figure.value:10.3f} {figure.unit:<3} {figure.target}")


if __name__ == "__main__":
    main()
