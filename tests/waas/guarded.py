"""An instrument whose embedded wallets have a guard, the guard's enclave, and hosts between them that a test may be."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from enclave.errors import GuardError
from evm.address import Address, checksum
from protocol.frames import Response
from protocol.guarding import GUARD_PATH
from tests.appliance import World
from tests.enclave_guard.guard_rules import PAYROLL
from tests.enclave_wallet.wallet_support import FALLBACK, address_of
from tests.guard_wire.guard_world import GuardWorld
from tests.waas.embedded import CHAIN, TEMPLATE, Application, scopes
from tests.waas.relays import KeepingRelay

USD: Final = Address(b"\x22" * 20)
THIEF: Final = Address(b"\x66" * 20)
TOKENS: Final = {"usd": {"chain": CHAIN, "address": checksum(USD), "standard": "erc20", "decimals": 6}}
RULES: Final[dict[str, Any]] = {
    "tokens": TOKENS,
    "lists": {"payroll": [checksum(PAYROLL)]},
    "rules": [
        {"id": "pay", "decision": "allow", "effects": ["transfer"], "assets": ["usd"], "counterparties": ["payroll"]},
        {"id": "coins", "decision": "review", "effects": ["native"], "counterparties": ["payroll"]},
        {"id": "text", "decision": "allow", "effects": ["statement"], "sites": ["plain"]},
    ],
    "budgets": [{"id": "usd-day", "asset": "usd", "per": "wallet", "window_s": 86400, "at_most": "1000"}],
}


class Hosts:
    """Port `Guards`, both hosts of it. `request` and `answer` are what a hostile one makes of what it carries."""

    def __init__(self, guard: GuardWorld) -> None:
        self.guard = guard
        self.down = False
        self.carried: list[bytes] = []
        self.request: Callable[[dict[str, Any]], Any] = lambda value: value
        self.answer: Callable[[Response], tuple[int, bytes]] = lambda response: (response.status, response.body)

    async def ask(self, guard: bytes, request: bytes) -> tuple[int, bytes]:
        if self.down:
            raise GuardError("guard-unreachable")
        self.carried.append(request)
        sent = json.dumps(self.request(json.loads(request))).encode()
        return self.answer(await self.guard.raw(GUARD_PATH, sent))


class Guarded:
    """Both enclaves, and what is between and behind them."""

    def __init__(self, world: World, guard: GuardWorld, hosts: Hosts, relay: KeepingRelay) -> None:
        self.world, self.guard, self.hosts, self.relay = world, guard, hosts, relay

    async def signed_in(self) -> Application:
        app = Application(self.world)
        await app.sign_in_as_guest()
        return app


@asynccontextmanager
async def guarded(
    folder: Path, *, wallets: str = "registered", rules: list[dict[str, Any]] | None = None, **changes: Any
) -> AsyncIterator[Guarded]:
    """Both booted; `rules` are the guard's, `changes` those of the instrument's first scope."""
    guard = GuardWorld(folder, wallets=wallets, **RULES | ({"rules": rules} if rules else {}))
    await guard.boot()
    stand_in = checksum(address_of(FALLBACK))
    keys = {"wallet": (await guard.ask("Get", {}, "GuardRules"))["signer"], "sessions": stand_in, "fallback": stand_in}
    world = World(folder, scopes=scopes(wallet=TEMPLATE | {"guard": keys}, **changes))
    hosts, relay = Hosts(guard), KeepingRelay()
    world.guards, world.relay = hosts, relay
    await world.boot()
    try:
        yield Guarded(world, guard, hosts, relay)
    finally:
        await world.stop()
        await guard.stop()


def payment(amount: int = 5, to: Address = PAYROLL) -> dict[str, Any]:
    """A transaction of an intent."""
    return {"type": "erc20send", "tokenAddress": checksum(USD), "to": checksum(to), "value": str(amount)}


def coins(amount: int = 5) -> dict[str, Any]:
    return {"type": "transaction", "to": checksum(PAYROLL), "value": str(amount), "data": "0x"}
