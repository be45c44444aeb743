"""A tenant with users from before: their list, the parent wallet of enclave and guard, and what moves them over."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from evm.address import Address, checksum, parse_address
from evm.intents.user_wallet import ChildWalletV2, child_wallet, verify_parent
from evm.wallet.configuration import Configuration
from evm.wallet.configuration_json import configuration_to_json
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.topology import Branch, SignerLeaf
from protocol.user_list import Entry, proof_of, root_of
from tests.appliance import SCOPE
from tests.appliance import config as parsed_config
from tests.waas.embedded import scopes
from tests.waas.guarded import Guarded, guarded

SALT = bytes(31) + b"\x07"
USERS: list[Entry] = [(f"Email:user-{number}@example.com", f"123|0x{number:064x}") for number in range(5)]
ADA = ("Email:ada@example.com", "123|0x" + "ab" * 32)
LISTED = [*USERS, ADA]


class Former:
    """Both enclaves, with a parent wallet of their keys in the measured configuration."""

    def __init__(self, both: Guarded, parent: V2Configuration) -> None:
        self.both = both
        self.parent = parent

    @property
    def address(self) -> Address:
        return V2.wallet_address(self.parent.image_hash)

    def wallet(self, user: str = ADA[1]) -> ChildWalletV2:
        [enclave, guard] = [leaf.address for leaf in _leaves(self.parent)]
        verified = verify_parent(self.parent, self.address, enclave=enclave, guard=guard, user_salt=SALT)
        return child_wallet(verified, user)

    async def show(self, number: int, entry: Entry | None = None, **changes: Any) -> dict[str, Any]:
        """What an operator does for every entry of the list."""
        login, user = entry or LISTED[number]
        proof = ["0x" + each.hex() for each in proof_of(LISTED, number)]
        facts = {"login": login, "user": user, "index": number, "count": len(LISTED), "proof": proof}
        return await call(self.both, "Show", **{"scope": SCOPE, **facts, **changes})


def _leaves(configuration: V2Configuration) -> list[SignerLeaf]:
    tree = configuration.topology
    assert isinstance(tree, Branch)
    return [leaf for leaf in (tree.left, tree.right) if isinstance(leaf, SignerLeaf)]


async def call(both: Guarded, method: str, **members: Any) -> dict[str, Any]:
    response = await both.world.raw(f"/rpc/FormerUsers/{method}", json.dumps(members).encode())
    value: dict[str, Any] = json.loads(response.body)
    return value


def parent_config(parent: V2Configuration, guard: Address, **changes: Any) -> dict[str, Any]:
    """The member `parent` of the measured configuration."""
    shown = Configuration(parent.threshold, parent.checkpoint, parent.topology)
    facts = {"configuration": configuration_to_json(shown), "guard": checksum(guard), "user_salt": "0x" + SALT.hex()}
    return facts | {"users_root": "0x" + root_of(LISTED).hex()} | changes


@asynccontextmanager
async def moved_over(
    folder: Path, *, weights: tuple[int, int] = (1, 1), threshold: int = 2, **changes: Any
) -> AsyncIterator[Former]:
    """As an operator does it: the enclave's key is asked for, the parent made, and a new image configured with it."""
    async with guarded(folder) as both:
        enclave = parse_address((await call(both, "Signer", scope=SCOPE))["signer"])
        guard = parse_address((await both.guard.ask("Get", {}, "GuardRules"))["signer"])
        leaves = [SignerLeaf(address, weight) for address, weight in zip((enclave, guard), weights, strict=True)]
        parent = V2Configuration(threshold, 0, Branch(*leaves))
        first = scopes()[0]["embedded"] | {"parent": parent_config(parent, guard, **changes)}
        template = both.world.config.scopes[0].wallet
        assert template is not None
        assert template.guard is not None
        keys = {name: getattr(template.guard, name) for name in ("wallet", "sessions", "fallback")}
        wallet = scopes()[0]["wallet"] | {"guard": keys}
        both.world.config = parsed_config(scopes=scopes(embedded=first, wallet=wallet))
        await both.world.boot()
        both.world.clock.advance_s(2)
        yield Former(both, parent)
