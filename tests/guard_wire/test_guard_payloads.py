"""Payloads in the name of parents, and messages that are typed documents: read down to what they do, or refused."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evm.address import Address, checksum
from evm.typed_data import parse_typed_data
from evm.wallet.erc1271 import personal_preimage, typed_data_preimage
from evm.wallet.payload import MAX_PARENT_WALLETS, Call, CallsPayload, ConfigUpdatePayload, MessagePayload, Payload
from tests.enclave_guard.guard_rules import DEX, DOCUMENT, NOW_S, PAYROLL, USD
from tests.evm_effects.made import MAX, PERMIT2, SAFE, THIEF, calldata, document
from tests.guard_wire.guard_world import GuardWorld, RefusedByGuard, pay, recovered, request_for

_OF_PARENTS = {"id": "of-parents", "decision": "allow", "effects": ["transfer"], "assets": ["usd"],
               "counterparties": ["payroll"], "accounts": "any"}  # fmt: skip
_WITHOUT = [rule for rule in DOCUMENT["rules"] if rule["id"] not in ("safe-pay", "permit-dex")]
_PERMITS = {"id": "permits", "decision": "allow", "effects": ["approval"], "assets": ["usd"], "by_signature": True,
            "counterparties": ["dex"], "lasts_at_most_s": 2**24}  # fmt: skip


@pytest.fixture
async def guard(pki_folder: Path) -> AsyncIterator[GuardWorld]:
    made = GuardWorld(pki_folder, rules=[*_WITHOUT, _OF_PARENTS, _PERMITS])
    await made.boot()
    yield made
    await made.stop()


async def refused(asking: Any) -> RefusedByGuard:
    with pytest.raises(RefusedByGuard) as caught:
        await asking
    return caught.value


def payment(to: Address, *parents: Address) -> CallsPayload:
    call = Call(USD, data=calldata("transfer(address,uint256)", to, 5))
    return CallsPayload((call,), parent_wallets=parents)


async def test_a_payload_in_the_name_of_a_parent_is_judged_as_what_the_parent_does(guard: GuardWorld) -> None:
    request = request_for(payment(PAYROLL, SAFE))
    assert recovered(request, await guard.sign(request)) == await guard.address()
    decision = await guard.ask("Judge", {"request": request}, "GuardRules")
    assert decision["effects"][0]["account"] == checksum(SAFE)
    assert (await refused(guard.sign(request_for(payment(THIEF, SAFE))))).cause == "guard:deny:thieves"


async def test_the_parents_are_part_of_what_is_signed(guard: GuardWorld) -> None:
    named, other = request_for(payment(PAYROLL, SAFE)), request_for(payment(PAYROLL))
    assert (await refused(guard.sign(named | {"msg": other["msg"]}))).cause == "guard:digest"
    assert (await refused(guard.sign(other | {"payloadData": named["payloadData"]}))).cause == "guard:digest"


async def test_an_update_in_the_name_of_a_parent_changes_the_parent(guard: GuardWorld) -> None:
    update: Payload = ConfigUpdatePayload(b"h" * 32, (SAFE,))
    assert (await refused(guard.sign(request_for(update)))).cause == "guard:deny:no-control-change"


async def test_parents_are_bounded(guard: GuardWorld) -> None:
    request = request_for(payment(PAYROLL, *[SAFE] * MAX_PARENT_WALLETS))
    await guard.sign(request)
    found = json.loads(bytes.fromhex(request["payloadData"][2:]))
    found["message"]["wallets"].append(found["message"]["wallets"][0])
    refusal = await refused(guard.sign(request | {"payloadData": "0x" + json.dumps(found).encode().hex()}))
    assert (refusal.code, refusal.cause) == (2001, "guard:request")


def permit(spender: Address, amount: int = 5) -> dict[str, Any]:
    types = {
        "PermitSingle": "PermitDetails details,address spender,uint256 sigDeadline",
        "PermitDetails": "address token,uint160 amount,uint48 expiration,uint48 nonce",
    }
    detail = {"token": USD, "amount": amount, "expiration": NOW_S, "nonce": 0}
    message = {"details": detail, "spender": spender, "sigDeadline": MAX}
    return document("PermitSingle", types, message, contract=PERMIT2, name="Permit2")


def message_of(found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A request for a message that is the document's preimage, with the document beside it."""
    request = request_for(MessagePayload(typed_data_preimage(parse_typed_data(found))))
    return request | {"auxData": "0x" + json.dumps(found).encode().hex()} | changes


async def test_a_document_that_a_message_is_the_preimage_of_is_judged_as_the_document(guard: GuardWorld) -> None:
    request = message_of(permit(DEX))
    assert recovered(request, await guard.sign(request)) == await guard.address()
    decision = await guard.ask("Judge", {"request": request}, "GuardRules")
    assert (decision["effects"][0]["kind"], decision["by"]) == ("approval", "permits")
    assert (await refused(guard.sign(message_of(permit(THIEF))))).cause == "guard:deny:thieves"
    assert (await refused(guard.sign(message_of(permit(DEX, 2**160 - 1))))).cause == "guard:deny:no-unlimited"


async def test_a_preimage_without_its_document_is_not_understood(guard: GuardWorld) -> None:
    for nothing in (None, "", "0x"):
        request = message_of(permit(DEX), auxData=nothing)
        assert (await refused(guard.sign(request))).cause == "guard:deny:no-rule"
        decision = await guard.ask("Judge", {"request": request}, "GuardRules")
        assert decision["effects"][0]["reason"] == "preimage"


@pytest.mark.parametrize("other", [permit(DEX, 6), permit(THIEF)])
async def test_a_document_that_the_message_is_not_the_preimage_of_is_refused(
    guard: GuardWorld, other: dict[str, Any]
) -> None:
    request = message_of(permit(DEX), auxData="0x" + json.dumps(other).encode().hex())
    refusal = await refused(guard.sign(request))
    assert (refusal.code, refusal.cause) == (2004, "guard:document")
    text = request_for(MessagePayload(personal_preimage(b"I agree."))) | {"auxData": request["auxData"]}
    assert (await refused(guard.sign(text))).cause == "guard:document"


async def test_a_document_that_is_none_is_refused(guard: GuardWorld) -> None:
    for data in (b"{", b"[]", json.dumps(permit(DEX) | {"types": {}}).encode()):
        refusal = await refused(guard.sign(message_of(permit(DEX), auxData="0x" + data.hex())))
        assert refusal.code in (2001, 2004)


async def test_further_data_of_other_payloads_is_not_looked_at(guard: GuardWorld) -> None:
    await guard.sign(pay() | {"auxData": "0x1234"})


async def test_a_message_in_the_name_of_a_parent_is_the_parents(guard: GuardWorld) -> None:
    text = replace(MessagePayload(personal_preimage(b"I agree.")), parent_wallets=(SAFE,))
    decision = await guard.ask("Judge", {"request": request_for(text)}, "GuardRules")
    assert decision["effects"][0]["account"] == checksum(SAFE)
    found = permit(DEX)
    named = MessagePayload(typed_data_preimage(parse_typed_data(found)), (SAFE,))
    request = request_for(named) | {"auxData": "0x" + json.dumps(found).encode().hex()}
    decision = await guard.ask("Judge", {"request": request}, "GuardRules")
    assert (decision["outcome"], decision["effects"][0]["account"]) == ("deny", checksum(SAFE))
