"""Two enclaves, one wallet: an instrument's signature and a guard's make one that the contracts take; none does alone.

Each is hostile in turn: whoever has all keys of one image still moves nothing that the other would not.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.guard.signing_key import GuardKey
from evm.address import Address, checksum, parse_address
from evm.signature import parse_signature
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.payload_json import typed_data
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import key_signature
from evm.wallet.signature.merging import assemble
from evm.wallet.signature.signature_json import parse_leaf_signature
from tests.appliance import World
from tests.enclave_guard.guard_rules import DOCUMENT, PAYROLL, USD
from tests.enclave_wallet.wallet_support import (
    FALLBACK,
    SmartUser,
    address_of,
    call,
    calls,
    transfer,
    verify,
    wallet_scopes,
)
from tests.evm_effects.made import THIEF
from tests.guard_wire.guard_world import GuardWorld, RefusedByGuard, hash_signature, request_for

CHAIN_ID = 1
PAYMENT = calls(call(USD, data=transfer(PAYROLL, 5)))
THEFT = calls(call(USD, data=transfer(THIEF, 5)))


@pytest.fixture
async def user(pki_folder: Path, guard: GuardWorld) -> AsyncIterator[SmartUser]:
    """A user of an instrument whose wallets are under this guard."""
    address = checksum(await guard.address())
    keys = {"wallet": address, "sessions": checksum(address_of(FALLBACK)), "fallback": checksum(address_of(FALLBACK))}
    world = World(pki_folder, scopes=wallet_scopes(guard=keys))
    await world.boot()
    yield await SmartUser.with_wallet(world)
    await world.stop()


def asked(user: SmartUser, operation: Operation, *signatures: dict[str, str]) -> dict[str, Any]:
    """The guard's request for an operation, with signatures of accounts."""
    found = request_for(operation.payload, chain_id=CHAIN_ID, wallet=user.wallet)
    assert found["payloadType"] == typed_data(operation.payload, user.wallet, CHAIN_ID)["primaryType"]
    return found | {"signatures": list(signatures)}


def as_listed(leaf: dict[str, Any]) -> dict[str, str]:
    """An instrument's leaf signature as the guard's wire lists it."""
    by = leaf["signature"]
    data = by["r"] + by["s"][2:] + f"{27 + by['yParity']:02x}"
    return {"address": leaf["address"], "type": "Hash", "data": data}


async def together(user: SmartUser, operation: Operation, guard: Address, answer: dict[str, Any], sig: str) -> str:
    leaves = [parse_leaf_signature(answer["leaf"]), key_signature(guard, parse_signature(bytes.fromhex(sig[2:])))]
    return "0x" + encode_signature(assemble(await user.configuration(), operation, leaves)).hex()


async def test_both_signatures_make_one_that_the_wallet_takes(user: SmartUser, guard: GuardWorld) -> None:
    operation = user.operation(PAYMENT, CHAIN_ID)
    answer = await user.sign_payload(PAYMENT, CHAIN_ID)
    sig = await guard.sign(asked(user, operation, as_listed(answer["leaf"])))
    whole = await together(user, operation, await guard.address(), answer, sig)
    verify(whole, operation, await user.configuration())


async def test_an_instrument_in_the_wrong_hands_gets_what_the_rules_allow_and_no_more(
    user: SmartUser, guard: GuardWorld
) -> None:
    """Its key signs whatever is wanted; the guard refuses theft, and payments above the budget."""
    configuration = await user.configuration()
    theft = await user.sign_payload(THEFT, CHAIN_ID)
    operation = user.operation(THEFT, CHAIN_ID)
    with pytest.raises(WalletError, match="wallet-signature-weight"):
        verify(theft["partial"], operation, configuration)
    with pytest.raises(RefusedByGuard, match="guard:deny:thieves"):
        await guard.sign(asked(user, operation, as_listed(theft["leaf"])))
    paid = 0
    for nonce in range(30):
        payment = calls(call(USD, data=transfer(PAYROLL, 400 * 10**6)), nonce=str(nonce))
        answer = await user.sign_payload(payment, CHAIN_ID)
        try:
            await guard.sign(asked(user, user.operation(payment, CHAIN_ID), as_listed(answer["leaf"])))
        except RefusedByGuard:
            break
        paid += 400
    assert paid == 800


async def test_a_guard_in_the_wrong_hands_moves_nothing(user: SmartUser, guard: GuardWorld) -> None:
    """Its key signs whatever is wanted, as often as it wants."""
    secrets = await guard.enclave._deployment.open()
    from enclave.records import Records

    records = Records(guard.store, secrets.record_secret, "test-deployment", guard.clock.wall_ms, guard.entropy.random)
    key = GuardKey(records, guard.enclave._shards, (2, 3), guard.entropy.random)
    assert await key.address() == await guard.address()
    operation, configuration = user.operation(THEFT, CHAIN_ID), await user.configuration()
    leaf = key_signature(await key.address(), parse_signature(await key.sign(operation.digest)))
    alone = "0x" + encode_signature(assemble(configuration, operation, [leaf])).hex()
    with pytest.raises(WalletError, match="wallet-signature-weight"):
        verify(alone, operation, configuration)


async def test_a_strangers_signature_beside_the_guards_is_worth_nothing(user: SmartUser, guard: GuardWorld) -> None:
    operation, configuration = user.operation(PAYMENT, CHAIN_ID), await user.configuration()
    listed = hash_signature(operation.digest)
    sig = await guard.sign(asked(user, operation, listed))
    stranger = parse_signature(bytes.fromhex(listed["data"][2:]))
    guards = key_signature(await guard.address(), parse_signature(bytes.fromhex(sig[2:])))
    with pytest.raises(WalletError):
        assemble(configuration, operation, [guards, key_signature(parse_address(listed["address"]), stranger)])


def test_rules_of_the_tests_pay_the_payroll() -> None:
    assert checksum(PAYROLL) in DOCUMENT["lists"]["payroll"]
