"""Whose signatures count for a wallet: told by configurations that prove themselves."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as EthAccount

from evm.address import Address, checksum, parse_address
from evm.wallet.configuration import Configuration
from evm.wallet.configuration_json import configuration_to_json
from evm.wallet.context import CONTEXTS, DEFAULT_CONTEXT
from evm.wallet.payload import Call, CallsPayload, ConfigUpdatePayload
from evm.wallet.topology import Branch, NestedLeaf, SignerLeaf
from tests.enclave_guard.guard_rules import DOCUMENT, PAYROLL, STRANGER, USD
from tests.evm_effects.made import calldata
from tests.guard_wire.guard_world import OWNER, GuardWorld, RefusedByGuard, hash_signature, request_for

DEVICE = EthAccount.from_key(b"\x31" * 32)
THIEF = EthAccount.from_key(b"\x66" * 32)
_UPDATES = {"id": "updates", "decision": "allow", "effects": ["account-change"], "counterparties": ["any"]}
UPDATES = [_UPDATES, *(rule for rule in DOCUMENT["rules"] if rule["id"] != "no-control-change")]


@pytest.fixture
async def guard(pki_folder: Path) -> AsyncIterator[GuardWorld]:
    """One that lets configurations change, and serves whoever asks."""
    made = GuardWorld(pki_folder, rules=UPDATES)
    await made.boot()
    yield made
    await made.stop()


async def refused(asking: Any) -> RefusedByGuard:
    with pytest.raises(RefusedByGuard) as caught:
        await asking
    return caught.value


def configuration(guard: Address, *owners: Any, checkpoint: int = 0) -> Configuration:
    """Two of two: an owner, however nested, and the guard."""
    keys = Branch(SignerLeaf(parse_address(owners[0].address), 1), SignerLeaf(STRANGER, 0))
    if len(owners) > 1:
        keys = Branch(keys, SignerLeaf(parse_address(owners[1].address), 1))
    return Configuration(2, checkpoint, Branch(NestedLeaf(keys, 1, 1), SignerLeaf(guard, 1)))


async def register(guard: GuardWorld, found: Configuration, **more: Any) -> dict[str, Any]:
    return await guard.ask("Register", {"configuration": configuration_to_json(found), **more}, "GuardWallets")


def payment(wallet: Address, by: Any, nonce: int = 0, amount: int = 5) -> dict[str, Any]:
    call = Call(USD, data=calldata("transfer(address,uint256)", PAYROLL, amount))
    request = request_for(CallsPayload((call,), nonce=nonce), wallet=wallet)
    return request | {"signatures": [hash_signature(bytes.fromhex(request["msg"][2:]), by)]}


async def registered(guard: GuardWorld) -> Address:
    found = configuration(await guard.address(), OWNER)
    return parse_address((await register(guard, found))["address"])


async def test_a_wallet_is_known_by_its_first_configuration_and_its_signers_count(guard: GuardWorld) -> None:
    found = configuration(await guard.address(), OWNER, DEVICE)
    answer = await register(guard, found)
    wallet = DEFAULT_CONTEXT.wallet_address(found.image_hash)
    assert answer == {"address": checksum(wallet), "signers": sorted([OWNER.address, DEVICE.address])}
    for owner in (OWNER, DEVICE):
        await guard.sign(payment(wallet, owner))
    assert await register(guard, found) == answer
    other = await register(guard, found, context="Rc4")
    assert parse_address(other["address"]) == CONTEXTS["Rc4"].wallet_address(found.image_hash)


async def test_a_stranger_gets_nothing_for_a_known_wallet_and_uses_nothing_up(guard: GuardWorld) -> None:
    wallet = await registered(guard)
    for nonce in range(5):
        refusal = await refused(guard.sign(payment(wallet, THIEF, nonce, 900 * 10**6)))
        assert (refusal.code, refusal.cause) == (2004, "guard:unsigned")
    assert (await refused(guard.ask("Judge", {"request": payment(wallet, THIEF)}, "GuardRules"))).code == 2004
    await guard.sign(payment(wallet, OWNER, 9, 900 * 10**6))
    mixed = payment(wallet, OWNER)
    mixed["signatures"] = [hash_signature(bytes.fromhex(mixed["msg"][2:]), THIEF), *mixed["signatures"]]
    await guard.sign(mixed)


async def test_an_account_without_weight_does_not_count(guard: GuardWorld) -> None:
    found = configuration(await guard.address(), OWNER)
    no_weight = Configuration(2, 0, Branch(found.topology, SignerLeaf(parse_address(DEVICE.address), 0)))
    wallet = parse_address((await register(guard, no_weight))["address"])
    assert (await refused(guard.sign(payment(wallet, DEVICE)))).cause == "guard:unsigned"


async def test_a_configuration_that_is_not_the_wallets_makes_nobody_count_for_it(guard: GuardWorld) -> None:
    wallet = await registered(guard)
    forged = configuration(await guard.address(), THIEF)
    assert parse_address((await register(guard, forged))["address"]) != wallet
    refusal = await refused(register(guard, forged, wallet=checksum(wallet)))
    assert (refusal.code, refusal.cause) == (2004, "guard:configuration")
    assert (await refused(guard.sign(payment(wallet, THIEF)))).cause == "guard:unsigned"


async def test_a_wallet_of_another_guard_or_none_is_not_taken(guard: GuardWorld) -> None:
    for other in (STRANGER, parse_address(DEVICE.address)):
        assert (await refused(register(guard, configuration(other, OWNER)))).cause == "guard:configuration"


@pytest.mark.parametrize(
    "arguments", [{}, {"configuration": {}}, {"configuration": None, "wallet": "0x"}, {"context": "Rc9"}]
)
async def test_what_is_no_configuration_is_refused(guard: GuardWorld, arguments: dict[str, Any]) -> None:
    assert (await refused(guard.ask("Register", arguments, "GuardWallets"))).code == 2001


async def test_a_later_configuration_counts_once_the_guard_has_signed_the_update_to_it(guard: GuardWorld) -> None:
    wallet = await registered(guard)
    later = configuration(await guard.address(), OWNER, DEVICE, checkpoint=1)
    named = {"wallet": checksum(wallet)}
    assert (await refused(register(guard, later, **named))).cause == "guard:configuration"
    update = request_for(ConfigUpdatePayload(later.image_hash), wallet=wallet, chain_id=0)
    assert (await refused(guard.sign(update))).cause == "guard:deny:no-every-chain"
    assert (await refused(register(guard, later, **named))).cause == "guard:configuration"
    await guard.sign(request_for(ConfigUpdatePayload(later.image_hash), wallet=wallet))
    await guard.boot()
    answer = await register(guard, later, **named)
    assert answer["signers"] == sorted([OWNER.address, DEVICE.address])
    await guard.sign(payment(wallet, DEVICE))
    another = replace(later, checkpoint=2)
    assert (await refused(register(guard, another, **named))).cause == "guard:configuration"


async def test_a_guard_for_registered_wallets_serves_no_others(pki_folder: Path) -> None:
    strict = GuardWorld(pki_folder, wallets="registered")
    await strict.boot()
    try:
        refusal = await refused(strict.sign(payment(STRANGER, OWNER)))
        assert (refusal.code, refusal.cause) == (3000, "guard:wallet")
    finally:
        await strict.stop()
