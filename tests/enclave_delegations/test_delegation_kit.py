"""The published kit, unmodified, under Node asks for permissions and lists them; the genuine contracts redeem them.

The kit speaks EIP-1193 to a provider of a few lines, which carries each request to our methods. What it redeems is sent
to the framework's own code on a local node, whose account runs what the enclave has authorized it to run.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evm.address import Address, checksum, parse_address
from evm.delegations.deployment import METAMASK
from host_proxy.cli.pins import mismatches
from simulator.delegations import delegations
from tests.relay import chain as chains

from .delegation_support import CHAIN, CODE, DAY_S, NOW_S, PAYEE, USDC, Delegator, hex_of, pinned, standing_world
from .framework import MANAGER, TOKEN_CODE, Ledger, deployed_hash, install, send
from .kit import EXECUTOR, KINDS, kit_programs, run_kit

ANOTHER_SENDER = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"  # also an account of the node
END_S = NOW_S + 30 * DAY_S


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kit_programs(tmp_path_factory)


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chains.anvil(tmp_path_factory)


@pytest.fixture
async def chain(anvil: Path, tmp_path: Path) -> AsyncIterator[chains.Chain]:
    async with chains.running(anvil, tmp_path, CHAIN) as made:
        yield made


async def test_kit_asks_is_granted_lists_and_revokes(programs: Path, pki_folder: Path) -> None:
    world = standing_world(pki_folder, delegates=[checksum(EXECUTOR)])
    await world.boot()
    user = await Delegator.logged_in(world)
    found = await run_kit(programs, user.ask, NOW_S)
    assert set(found["results"]) == set(KINDS)
    for result in found["results"].values():
        assert (result["chainId"], result["from"]) == (CHAIN, checksum(user.account))
        assert result["manager"] == checksum(MANAGER)
    listed = await user.ask("List")
    hashes = {one["hash"]: one["state"] for one in listed["delegations"]}
    assert all(hashes[result["hash"]] == "signed" for result in found["results"].values())
    assert [result["context"] for result in found["results"].values()] == found["granted"][:-1]
    assert len(found["approved"]) == len(KINDS) + 1
    assert all("At the most, this costs" in " ".join(words) for words in found["approved"])
    assert found["refused"].endswith("DelegationRule: delegation-recipient-open")
    assert (len(found["granted"]), found["left"]) == (len(KINDS) + 1, len(KINDS))
    assert sorted(hashes.values()) == ["revoked"] + ["signed"] * len(KINDS)
    assert set(found["supported"]) == {*KINDS, "token-approval-revocation"}
    await world.stop()


def pins(hashes: dict[Address, str]) -> dict[str, Any]:
    return {
        "manager": pinned(MANAGER, hashes[MANAGER]),
        "enforcers": {name: pinned(address, hashes[address]) for name, address in METAMASK.enforcers.items()},
        "account_code": [pinned(CODE, hashes[CODE])],
        "delegates": [checksum(EXECUTOR)],
    }


@dataclass
class Redeemable:
    """A user whose account runs the framework's code on a chain, and what the kit was granted."""

    user: Delegator
    chain: chains.Chain
    ledger: Ledger
    results: dict[str, Any]

    async def redeem(self, kind: str, what: str, sender: str = chains.ACCOUNT) -> bool:
        return await send(self.chain, **{"from": sender, "to": hex_of(MANAGER), "data": self.results[kind][what]})

    async def balances(self, kind: str) -> list[int]:
        coins = kind.startswith("native")
        return [await self.ledger.of(each, coins=coins) for each in (self.user.account, PAYEE)]


@pytest.fixture
async def redeemable(programs: Path, pki_folder: Path, chain: chains.Chain) -> AsyncIterator[Redeemable]:
    hashes = await install(chain, programs)
    await chain.rpc.call("anvil_setCode", hex_of(USDC), "0x" + TOKEN_CODE)
    world = standing_world(pki_folder, **pins(hashes))
    await world.boot()
    user = await Delegator.logged_in(world)
    code = {"chainId": hex(CHAIN), "address": checksum(CODE), "nonce": "0x0"}
    authorized = await user.sign("SignAuthorization", authorization=code, accountNonce="0x0")
    await chain.rpc.call("evm_setNextBlockTimestamp", NOW_S + 1)
    to_itself = {"from": chains.ACCOUNT, "to": chains.ACCOUNT, "authorizationList": [authorized["authorization"]]}
    assert await send(chain, **to_itself)
    ledger = Ledger(chain, USDC)
    await ledger.give(user.account, 10**18)
    yield Redeemable(user, chain, ledger, (await run_kit(programs, user.ask, NOW_S))["results"])
    await world.stop()


async def test_genuine_contracts_redeem_what_was_granted_and_nothing_else(redeemable: Redeemable) -> None:
    account = await redeemable.chain.rpc.call("eth_getCode", hex_of(redeemable.user.account), "latest")
    assert account == "0xef0100" + CODE.hex()
    for kind in KINDS:
        before = await redeemable.balances(kind)
        for hostile in ("paysTooMuch", "paysAnother", "paysInABatch"):
            assert not await redeemable.redeem(kind, hostile), (kind, hostile)
        assert not await redeemable.redeem(kind, "pays", ANOTHER_SENDER)
        assert await redeemable.redeem(kind, "pays")
        after = await redeemable.balances(kind)
        assert [after[0] - before[0], after[1] - before[1]] == [-60, 60]
    # 40 are left of an allowance and of today's amount; of tomorrow's, and of a stream, more than 60.
    assert [await redeemable.redeem(kind, "pays") for kind in KINDS[:2]] == [False, False]
    await redeemable.chain.rpc.call("evm_setNextBlockTimestamp", NOW_S + DAY_S + 1)
    assert [await redeemable.redeem(kind, "pays") for kind in KINDS[:3]] == [False, True, True]
    await redeemable.chain.rpc.call("evm_setNextBlockTimestamp", END_S)
    assert [await redeemable.redeem(kind, "pays") for kind in KINDS] == [False] * len(KINDS)


async def test_signed_revocation_ends_a_delegation_on_the_chain(redeemable: Redeemable) -> None:
    kind, user = "erc20-token-periodic", redeemable.user
    fees = {"nonce": "0x1", "gas": "0x1e8480", "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x0"}
    revoked = await user.ask("Revoke", hash=redeemable.results[kind]["hash"], fees=fees)
    sent = await redeemable.chain.rpc.call("eth_sendRawTransaction", revoked["transaction"]["raw"])
    await redeemable.chain.mine()
    receipt = await redeemable.chain.rpc.call("eth_getTransactionReceipt", sent)
    assert (sent, int(receipt["status"], 16)) == (revoked["transaction"]["hash"], 1)
    assert not await redeemable.redeem(kind, "pays")
    assert await redeemable.redeem("erc20-token-allowance", "pays")


async def test_pins_of_the_configuration_can_be_held_against_a_node(redeemable: Redeemable) -> None:
    [supported] = (await redeemable.user.ask("Supported"))["chains"]
    for contract in (supported["manager"], *supported["enforcers"].values(), *supported["accountCode"]):
        assert await deployed_hash(redeemable.chain, contract["address"]) == contract["codeHash"]
    # The command does the same, and names each contract that is another.
    url = redeemable.chain.url
    assert await asyncio.to_thread(mismatches, url, supported) == []
    await redeemable.chain.rpc.call("anvil_setCode", hex_of(MANAGER), "0x00")
    [found] = await asyncio.to_thread(mismatches, url, supported)
    assert found.startswith(f"the manager at {checksum(MANAGER)} has code with the hash ")


async def test_simulator_pins_what_the_published_code_deploys(programs: Path, chain: chains.Chain) -> None:
    hashes = await install(chain, programs)
    [simulated] = delegations()["chains"]
    pinned_there = [simulated["manager"], *simulated["enforcers"].values(), *simulated["account_code"]]
    assert {parse_address(one["address"]): one["code_hash"] for one in pinned_there} == hashes
