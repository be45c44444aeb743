"""A scope whose accounts may delegate on one chain, a user of it, and what both send."""

from dataclasses import dataclass
from typing import Any

from evm.address import Address, checksum, parse_address
from evm.delegations.deployment import METAMASK
from evm.delegations.model import Delegation
from tests.appliance import SCOPE, Client, FakeClock, Refused, World, config_json
from tests.evm_delegations.samples import CHAIN, DAY_S, EXECUTOR, NOW_S, PAYEE, USDC, WALLET
from tests.evm_delegations.test_delegations_permissions import asked

CODE = Address(bytes.fromhex("63c0c19a282a1b52b07dd5a65b58948a07dae32b"))
"""What accounts may take on: the framework's contract for accounts with a key."""
HASH = "0x" + "c0" * 32
CAPS = {USDC: (10_000, 15_000, 40_000), None: (10**18, 10**18, 2 * 10**18)}
RIGHTS = ["sign_message", "sign_typed_data", "sign_transaction", "grant_delegation", "take_on_code"]


def pinned(address: Address, code_hash: str = HASH) -> dict[str, str]:
    return {"address": checksum(address), "code_hash": code_hash}


def chain_json(chain_id: int = CHAIN, **changes: Any) -> dict[str, Any]:
    levels = ("grant", "account", "scope")
    caps = [
        {"asset": "native" if asset is None else checksum(asset)} | dict(zip(levels, map(str, most), strict=True))
        for asset, most in CAPS.items()
    ]
    return {
        "chain_id": chain_id,
        "manager": pinned(METAMASK.manager.address),
        "enforcers": {name: pinned(address) for name, address in METAMASK.enforcers.items()},
        "delegates": [checksum(EXECUTOR)],
        "caps": caps,
        "account_code": [pinned(CODE)],
    } | changes


def delegations_json(**changes: Any) -> dict[str, Any]:
    return {"max_lifetime_s": 366 * DAY_S, "chains": [chain_json(**changes)]}


def scopes(*, fresh_login: bool = False, **changes: Any) -> list[dict[str, Any]]:
    """The first scope delegates; the second does not."""
    first, second = config_json()["scopes"]
    delegations = delegations_json(**changes) | {"fresh_login": fresh_login}
    return [first | {"rights": RIGHTS, "delegations": delegations}, second]


class StandingClock(FakeClock):
    """Time that passes only when a test says so, from the moment of the samples on."""

    def wall_ms(self) -> int:
        return NOW_S * 1000 + self.wall_offset_ms

    def monotonic_ms(self) -> int:
        return self.monotonic_offset_ms


def standing_world(folder: Any, **changes: Any) -> World:
    """Not yet booted."""
    world = World(folder, scopes=scopes(**changes), limits={"session_s": 3600})
    world.clock = StandingClock()
    return world


@dataclass
class Delegator:
    """A logged-in client and its session."""

    client: Client
    session: str
    account: Address

    @classmethod
    async def logged_in(cls, world: World, email: str = "user@example.com", scope: str = SCOPE) -> "Delegator":
        client = Client(world, scope=scope)
        account = parse_address((await world.log_in(client, email))["signer"]["address"])
        return cls(client, (await client.session())["session"], account)

    async def ask(self, method: str, **members: Any) -> dict[str, Any]:
        return await self.client.own(f"/rpc/Delegation/{method}", session=self.session, **members)

    async def sign(self, method: str, **members: Any) -> dict[str, Any]:
        return await self.client.own(f"/rpc/Signer/{method}", session=self.session, **members)

    async def granted(self, permission: dict[str, Any] | None = None) -> dict[str, Any]:
        """Asked for, shown, and granted."""
        shown = await self.ask("Request", permission=asked() if permission is None else permission)
        return await self.ask("Grant", hash=shown["hash"])

    def draft(self, made: Delegation) -> dict[str, Any]:
        """A delegation of the samples as the kit writes it, of this account instead of the samples' wallet."""
        found = {
            "delegate": hex_of(made.delegate),
            "delegator": hex_of(made.delegator),
            "authority": hex_of(made.authority),
            "caveats": [
                {"enforcer": hex_of(caveat.enforcer), "terms": hex_of(caveat.terms), "args": "0x00"}
                for caveat in made.caveats
            ],
        }
        own = {"delegator": hex_of(self.account) if made.delegator == WALLET else found["delegator"]}
        own["delegate"] = hex_of(self.account) if made.delegate == WALLET else found["delegate"]
        for caveat in found["caveats"]:
            caveat["terms"] = caveat["terms"].replace(WALLET.hex(), self.account.hex())
        return found | own


def hex_of(data: bytes) -> str:
    return "0x" + data.hex()


async def cause_of(awaited: Any) -> str:
    """Why a call is refused."""
    try:
        await awaited
    except Refused as refused:
        return refused.cause or refused.name
    return "accepted"


__all__ = ["CHAIN", "CODE", "DAY_S", "EXECUTOR", "NOW_S", "PAYEE", "USDC", "Delegator", "asked", "cause_of"]
