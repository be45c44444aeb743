"""The guard's wire: what it signs, what it refuses and with which code, its own key, its rules over time."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from enclave.config import parse_config
from enclave.errors import BootError
from enclave.guard import decision_log
from enclave.guard.decision_json import log_line, parse_log_line
from enclave.guard.decision_log import DecisionLog
from enclave.guard.replaying import differences
from enclave.guard.sign_request import parse_sign_request
from enclave.phases import Phase
from enclave.rpc.guard_factors import NAMES as OF_FACTORS
from evm.address import Address, checksum, parse_address
from evm.keccak import keccak256
from evm.wallet.attestation import Attestation, AuthData
from evm.wallet.payload import Call, CallsPayload, ConfigUpdatePayload, MessagePayload
from tests.appliance import config, config_json
from tests.enclave_guard.corpus import ORDINARY
from tests.enclave_guard.guard_rules import DOCUMENT, PAYROLL, STRANGER, USD, about, decide, rules
from tests.evm_effects.made import THIEF, WALLET, calldata
from tests.guard_wire.guard_world import (
    OWNER,
    GuardWorld,
    RefusedByGuard,
    approval,
    eth_signature,
    guard_config,
    hash_signature,
    pay,
    recovered,
    request_for,
    said,
)

PERSONAL = b"\x19Ethereum Signed Message:\n"


async def refused(asking: Any) -> RefusedByGuard:
    with pytest.raises(RefusedByGuard) as caught:
        await asking
    return caught.value


async def test_an_allowed_payload_is_signed_by_the_guards_own_key(guard: GuardWorld) -> None:
    address = await guard.address()
    assert address not in (WALLET, parse_address(OWNER.address))
    found = await guard.ask("SignWith", {"signer": checksum(address), "request": pay(nonce=7)})
    assert recovered(pay(nonce=7), found["sig"]) == address
    assert len(bytes.fromhex(found["sig"][2:])) == 65
    assert found["sig"][-2:] in ("1b", "1c")


async def test_the_guard_tells_its_address(guard: GuardWorld) -> None:
    assert parse_address((await guard.ask("Get", {}, "GuardRules"))["signer"]) == await guard.address()


async def test_the_key_outlives_a_boot_and_is_another_in_another_deployment(
    guard: GuardWorld, pki_folder: Path
) -> None:
    address = await guard.address()
    await guard.boot()
    assert await guard.address() == address
    other = GuardWorld(pki_folder)
    await other.boot()
    assert await other.address() != address
    await other.stop()


@pytest.mark.parametrize("token", [None, {"id": "TOTP", "token": "123456"}])
async def test_a_token_neither_helps_nor_hurts(guard: GuardWorld, token: Any) -> None:
    await guard.ask("Sign", {"request": pay(), "token": token})


SIGNED = {
    "calls": CallsPayload((Call(USD, data=calldata("transfer(address,uint256)", PAYROLL, 5)),), space=3, nonce=7),
    "message": MessagePayload(PERSONAL + b"8I agree."),
}
REFUSED: dict[str, tuple[Any, str]] = {
    "thief": (CallsPayload((Call(USD, data=calldata("transfer(address,uint256)", THIEF, 5)),)), "guard:deny:thieves"),
    "stranger": (CallsPayload((Call(STRANGER, value=1),)), "guard:deny:no-rule"),
    "update": (ConfigUpdatePayload(b"\x98" * 32), "guard:deny:no-control-change"),
    "bytes": (MessagePayload(b"Test message"), "guard:deny:no-rule"),
    "empty": (CallsPayload(()), "guard:deny:no-effects"),
    "session": (
        Attestation(Address(b"\xaa" * 20), b"\0\0\0\1", bytes(32), bytes(32), b"", AuthData("https://x", 1)),
        "guard:deny:no-rule",
    ),
    "larger": (
        CallsPayload((Call(USD, data=calldata("transfer(address,uint256)", PAYROLL, 2_000 * 10**6)),)),
        "guard:second-factor:budget:usd-day",
    ),
    "largest": (
        CallsPayload((Call(USD, data=calldata("transfer(address,uint256)", PAYROLL, 6_000 * 10**6)),)),
        "guard:review:budget:usd-day",
    ),
}


@pytest.mark.parametrize("name", SIGNED)
async def test_payloads_that_rules_allow_are_signed(guard: GuardWorld, name: str) -> None:
    await guard.sign(request_for(SIGNED[name]))


@pytest.mark.parametrize("name", REFUSED)
async def test_payloads_that_rules_do_not_allow_are_denied_by_name(guard: GuardWorld, name: str) -> None:
    what, cause = REFUSED[name]
    refusal = await refused(guard.sign(request_for(what)))
    assert (refusal.code, refusal.cause) == (1001, cause)


def changed(request: dict[str, Any], change: Any) -> dict[str, Any]:
    """The request with its document changed, and nothing else."""
    document = json.loads(bytes.fromhex(request["payloadData"][2:]))
    change(document)
    return request | {"payloadData": "0x" + json.dumps(document).encode().hex()}


def _set(*path: Any, value: Any) -> Any:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_set("message", "calls", 0, "value", value="1"), 2004),
        (_set("message", "calls", 0, "to", value=checksum(STRANGER)), 2004),
        (_set("message", "nonce", value="1"), 2004),
        (_set("message", "calls", 0, "behaviorOnError", value="0"), 2004),
        (_set("message", "calls", 0, "behaviorOnError", value="3"), 2001),
        (_set("message", "calls", 0, "delegateCall", value=True), 2004),
        (_set("message", "calls", 0, "more", value=1), 2001),
        (_set("message", "more", value=1), 2001),
        (_set("domain", "name", value="Sequence Wallet - Recovery Mode"), 2001),
        (_set("domain", "chainId", value=137), 2001),
        (_set("domain", "verifyingContract", value=checksum(STRANGER)), 2001),
        (_set("types", "Call", 0, "name", value="recipient"), 2001),
        (_set("types", "Extra", value=[]), 2001),
        (_set("primaryType", value="Message"), 2001),
        (_set("more", value=1), 2001),
    ],
)
async def test_a_document_that_says_something_else_than_the_digest_is_not_signed(
    guard: GuardWorld, change: Any, code: int
) -> None:
    refusal = await refused(guard.sign(changed(pay(), change)))
    assert refusal.code == code


async def test_spelling_order_and_a_declared_domain_type_do_not_matter(guard: GuardWorld) -> None:
    """Unity writes the same document with other spaces, order and members."""
    request = pay()
    document = json.loads(bytes.fromhex(request["payloadData"][2:]))
    document["types"]["EIP712Domain"] = [{"name": "name", "type": "string"}]
    text = json.dumps(dict(reversed(document.items())), indent=2)
    await guard.sign(request | {"payloadData": "0x" + text.encode().hex()})


@pytest.mark.parametrize(
    ("changes", "code", "cause"),
    [
        ({"msg": "0x" + "00" * 32}, 2004, "guard:digest"),
        ({"msg": "0x00"}, 2001, "guard:request"),
        ({"chainId": 137}, 2001, "guard:request"),
        ({"chainId": "x"}, 2001, "guard:request"),
        ({"wallet": checksum(STRANGER)}, 2001, "guard:request"),
        ({"wallet": None}, 2004, "guard:hash"),
        ({"payloadData": None}, 2004, "guard:hash"),
        ({"payloadData": "", "payloadType": ""}, 2004, "guard:hash"),
        ({"payloadType": "Message"}, 2001, "guard:request"),
        ({"payloadType": "SessionImplicitAuthorize"}, 2004, "guard:payload"),
        ({"payloadData": "0x7b"}, 2001, "guard:request"),
        ({"payloadData": "0x" + b"[" .hex() * 10_000}, 2001, "guard:request"),
        ({"signatures": []}, 2004, "guard:unsigned"),
        ({"signatures": None}, 2004, "guard:unsigned"),
        ({"signatures": [hash_signature(b"\1" * 32)]}, 2004, "guard:signature"),
        ({"signatures": [{"address": OWNER.address, "type": "Hash", "data": "0x00"}]}, 2004, "guard:payload"),
        ({"signatures": [{"address": OWNER.address, "type": "Sapient", "data": "0x00", "imageHash": "0x00"}]}, 2004,
         "guard:unsigned"),
        ({"signatures": [{"address": OWNER.address, "type": "Magic", "data": "0x00"}]}, 2001, "guard:request"),
        ({"surplus": 1}, 2001, "guard:request"),
    ],
)  # fmt: skip
async def test_a_request_that_breaks_a_rule_is_refused_with_its_code(
    guard: GuardWorld, changes: dict[str, Any], code: int, cause: str
) -> None:
    refusal = await refused(guard.sign(pay() | changes))
    assert (refusal.code, refusal.cause) == (code, cause)


async def test_every_signature_has_to_hold_not_just_one(guard: GuardWorld) -> None:
    digest = bytes.fromhex(pay()["msg"][2:])
    good = hash_signature(digest)
    await guard.sign(pay() | {"signatures": [good, eth_signature(digest)]})
    refusal = await refused(guard.sign(pay() | {"signatures": [good, good | {"address": checksum(STRANGER)}]}))
    assert refusal.cause == "guard:signature"


async def test_a_hash_of_which_nothing_else_is_said_is_not_signed(guard: GuardWorld) -> None:
    request = {"chainId": 1, "msg": "0x" + "11" * 32}
    refusal = await refused(guard.ask("SignWith", {"signer": checksum(await guard.address()), "request": request}))
    assert (refusal.code, refusal.cause) == (2004, "guard:hash")


async def test_another_signer_is_not_found(guard: GuardWorld) -> None:
    refusal = await refused(guard.ask("SignWith", {"signer": checksum(STRANGER), "request": pay()}))
    assert refusal.code == 3000
    assert (await refused(guard.ask("SignWith", {"signer": "x", "request": pay()}))).code == 2001


async def test_all_sixteen_methods_answer(guard: GuardWorld) -> None:
    assert await guard.ask("Ping", {}) == {"status": True}
    version = (await guard.ask("Version", {}))["version"]
    assert version.keys() == {"webrpcVersion", "schemaVersion", "schemaHash", "appVersion"}
    status = (await guard.ask("RuntimeStatus", {}))["status"]
    assert status.keys() == {"healthOK", "startTime", "uptime", "ver", "branch", "commitHash"}
    address = checksum(await guard.address())
    assert (await guard.ask("GetSignerConfig", {"signer": address}))["signerConfig"]["address"] == address
    assert await guard.ask("AuthMethods", {}) == {"methods": [], "active": False}
    for method in ("Patch", *OF_FACTORS):
        assert (await refused(guard.ask(method, {}))).code == 1003
    assert len(OF_FACTORS) + 8 == 16


async def test_a_guard_serves_nothing_of_an_instrument_nor_the_other_way(guard: GuardWorld) -> None:
    response = await guard.raw("/rpc/IdentityInstrument/CommitVerifier", b"{}")
    assert json.loads(response.body)["error"] == "WebrpcBadRoute"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (guard_config() | {"role": "instrument"}, "config-role"),
        (guard_config() | {"guard": None}, "config-role"),
        ({"role": "guard"}, "config-role"),
        (guard_config() | {"scopes": config_json()["scopes"]}, "config-scopes"),
        (guard_config(version=0), "config-guard-rules"),
        (guard_config(rules=[{"id": "r", "decision": "allow", "effects": ["native"]}]), "config-guard-rules"),
        (guard_config() | {"guard": guard_config()["guard"] | {"quorum": 1}}, "config-guard-quorum"),
        (guard_config() | {"guard": guard_config()["guard"] | {"quorum": 4}}, "config-guard-quorum"),
        (guard_config() | {"guard": guard_config()["guard"] | {"officers": []}}, "config-guard-quorum"),
    ],
)
def test_a_guards_configuration_that_breaks_a_rule_refuses_the_boot(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(BootError) as caught:
        config(**changes)
    assert caught.value.code == code


def test_a_guards_configuration_survives_its_hash() -> None:
    import msgspec

    found = config(**guard_config())
    assert parse_config(msgspec.json.encode(found)) == found


# Digests of waas-guard-intents.md A.3, made by the unmodified client.
SEEN = parse_address("0xfedcbafedcbafedcbafedcbafedcbafedcbafe00")
PUBLISHED = {
    "01910edcd464f903837df9096fc8a349ef1e173da29ecaa26900bac55120c04a": CallsPayload(
        (Call(parse_address("0x1234567890123456789012345678901234567890"), 1, bytes.fromhex("a9059cbb")),), 3, 7
    ),
    "cfd79bbbeedadf7002ef1fa2acbe2bf7e28c41dba92fe1046cd159ca94a49952": MessagePayload(b"Test message"),
    "430994a7f16b01eac00c33243079c1278290c7fe4df6e444f5ec808123cf0363": ConfigUpdatePayload(b"\x98" * 32),
    "7ab203b1f5e8b1b1ea09652bf0ccb8d81d6c3a215b2bd1325a60fbd119be3524": Attestation(
        Address(bytes.fromhex("abcdef" * 6 + "abcd")),
        b"\0\0\0\1",
        keccak256(b"issuer"),
        keccak256(b"aud"),
        b"app",
        AuthData("https://example.com", 1),
    ),
}


@pytest.mark.parametrize("digest", PUBLISHED)
def test_published_digests_are_those_that_are_computed(digest: str) -> None:
    request = request_for(PUBLISHED[digest], chain_id=137, wallet=SEEN)
    assert request["msg"] == "0x" + digest
    assert parse_sign_request(request).digest.hex() == digest


# --- budgets ---


async def test_what_is_signed_is_drawn_and_what_is_refused_is_not(guard: GuardWorld) -> None:
    for nonce in range(2):
        await guard.sign(pay(500 * 10**6, nonce=nonce))
    for _ in range(3):
        await refused(guard.sign(pay(500 * 10**6, to=THIEF)))
    refusal = await refused(guard.sign(pay(1, nonce=9)))
    assert refusal.cause == "guard:second-factor:budget:usd-day"
    await guard.boot()  # a restart refills nothing
    assert (await refused(guard.sign(pay(1, nonce=9)))).cause == "guard:second-factor:budget:usd-day"
    await guard.pass_time(86_400)
    await guard.sign(pay(500 * 10**6, nonce=10))


async def test_parallel_requests_are_signed_up_to_the_budget_and_no_further(guard: GuardWorld) -> None:
    tries = [guard.sign(pay(100 * 10**6, nonce=nonce)) for nonce in range(30)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, str) for result in results) == 10
    assert {result.cause for result in results if isinstance(result, RefusedByGuard)} == {
        "guard:second-factor:budget:usd-day"
    }


async def test_without_holders_nothing_is_signed_and_the_budget_is_given_back(guard: GuardWorld) -> None:
    await guard.sign(pay(1))
    for holder in guard.kms.mode:
        guard.kms.mode[holder] = "down"
    keys = guard.enclave._generations.current
    keys.close()
    for nonce in range(3):
        with pytest.raises(RefusedByGuard) as caught:
            await guard.sign(pay(900 * 10**6, nonce=nonce))
        assert caught.value.code == 7308
    for holder in guard.kms.mode:
        guard.kms.mode[holder] = "up"
    await guard.boot()
    await guard.sign(pay(900 * 10**6, nonce=5))


async def test_a_store_that_is_down_signs_nothing(guard: GuardWorld) -> None:
    guard.store.down = True
    assert (await refused(guard.sign(pay()))).code == 7102


# --- rules over time ---


def document(version: int, **changes: Any) -> str:
    return json.dumps({**DOCUMENT, "version": version, **changes})


def activation(text: str, *officers: int, version: int | None = None) -> dict[str, Any]:
    signed = said("activate guard rules", text.encode(), version or json.loads(text)["version"])
    return {"document": text, "approvals": [approval(number, signed) for number in officers]}


async def activate(guard: GuardWorld, arguments: dict[str, Any]) -> dict[str, Any]:
    return await guard.ask("Activate", arguments, "GuardRules")


async def test_a_quorum_of_officers_activates_rules_and_they_hold_at_once_and_after_a_boot(guard: GuardWorld) -> None:
    strict = document(2, rules=[])
    assert await activate(guard, activation(strict, 0, 2)) == {"version": 2}
    assert (await refused(guard.sign(pay()))).cause == "guard:deny:no-rule"
    await guard.boot()
    assert (await refused(guard.sign(pay()))).cause == "guard:deny:no-rule"
    found = await guard.ask("Get", {}, "GuardRules")
    assert (found["document"], found["frozen"]) == (strict, False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (activation(document(2), 0), 1000),
        (activation(document(2), 0, 0), 1000),
        (activation(document(2)), 1000),
        (activation(document(2), 0, 1, version=3), 7201),
        (activation(document(1), 0, 1), 1004),
        (activation(document(2, rules=[{"id": "x"}]), 0, 1), 2001),
        (activation(document(2), 0, 1) | {"document": document(3)}, 7201),
        (activation(document(2), 0, 1) | {"approvals": "all"}, 2001),
        (activation(document(2), 0, 1) | {"approvals": [{}]}, 2001),
        ({}, 2001),
    ],
)
async def test_rules_without_quorum_or_of_no_higher_version_are_not_activated(
    guard: GuardWorld, arguments: dict[str, Any], code: int
) -> None:
    assert (await refused(activate(guard, arguments))).code == code
    await guard.sign(pay())


async def test_a_stranger_among_the_approvals_refuses_them_all(guard: GuardWorld) -> None:
    text = document(2)
    arguments = activation(text, 0, 1)
    stranger = approval(0, said("activate guard rules", text.encode(), 2))
    stranger["key"] = {"keyType": "Ethereum_Secp256k1", "address": OWNER.address.lower()}
    arguments["approvals"].append(stranger)
    assert (await refused(activate(guard, arguments))).cause == "guard:officer"


async def test_one_officer_freezes_and_a_quorum_thaws(guard: GuardWorld) -> None:
    in_force = (await guard.ask("Get", {}, "GuardRules"))["document"].encode()
    freeze = {"approval": approval(1, said("freeze guard", in_force, 1))}
    assert await guard.ask("Freeze", freeze, "GuardRules") == {"frozen": True}
    refusal = await refused(guard.sign(pay()))
    assert (refusal.code, refusal.cause) == (2002, "guard:frozen")
    await guard.boot()
    assert (await refused(guard.sign(pay()))).code == 2002
    await activate(guard, activation(document(2), 0, 1))
    await guard.sign(pay())
    assert (await refused(guard.ask("Freeze", freeze, "GuardRules"))).code == 7201  # said about rules of before


async def test_the_version_only_rises_over_images(guard: GuardWorld, pki_folder: Path) -> None:
    await activate(guard, activation(document(5, rules=[]), 0, 1))
    guard.config = config(**guard_config(version=4))
    await guard.boot()
    assert (await refused(guard.sign(pay()))).cause == "guard:deny:no-rule"  # those of version 5 stay in force
    guard.config = config(**guard_config(version=6))
    await guard.boot()
    await guard.sign(pay())
    guard.config = config(**guard_config(version=6, name="other"))
    await guard.boot()
    assert guard.enclave.phases.phase is Phase.HALTED
    assert "guard-rules-version" in guard.enclave.phases.reason


async def test_rules_that_the_store_rolls_back_are_refused(guard: GuardWorld) -> None:
    before = guard.store.snapshot()
    await activate(guard, activation(document(2, rules=[]), 0, 1))
    guard.store.rows = before
    assert (await refused(guard.sign(pay()))).code == 7307


async def test_a_dry_run_says_why_and_signs_and_draws_nothing(guard: GuardWorld) -> None:
    for _ in range(30):
        found = await guard.ask("Judge", {"request": pay(900 * 10**6)}, "GuardRules")
    assert (found["outcome"], found["by"]) == ("allow", "pay")
    assert "sig" not in json.dumps(found)
    denied = await guard.ask("Judge", {"request": pay(to=THIEF)}, "GuardRules")
    assert denied["words"][0].startswith("DENY by thieves: Known thieves")


async def test_an_officer_reads_what_was_decided_and_tries_new_rules_on_it(guard: GuardWorld) -> None:
    for nonce in range(3):
        await guard.sign(pay(5, nonce=nonce))
    await refused(guard.sign(pay(to=THIEF)))
    await guard.ask("Judge", {"request": pay()}, "GuardRules")  # asking is not deciding
    in_force = (await guard.ask("Get", {}, "GuardRules"))["document"].encode()
    read = {"approval": approval(2, said("read guard decisions", in_force, 1))}
    lines = (await guard.ask("Decisions", read, "GuardRules"))["lines"]
    entries = [parse_log_line(line) for line in lines]
    assert [(entry.outcome, entry.by) for entry in entries] == [("allow", "pay")] * 3 + [("deny", "thieves")]
    signatures = [pay(5, nonce=nonce)["signatures"][0]["data"] for nonce in range(3)]
    assert not any(signature[2:] in line or pay()["msg"][2:] in line for signature in signatures for line in lines)
    flips = differences(rules(), rules(rules=[]), entries)
    assert [flip.number for flip in flips] == [1, 2, 3, 4]
    stranger = {"approval": read["approval"] | {"key": approval(0, b"")["key"]}}
    assert (await refused(guard.ask("Decisions", stranger, "GuardRules"))).code == 7201
    assert (await refused(guard.ask("Decisions", {}, "GuardRules"))).code == 2001


async def test_recorded_decisions_are_bounded_and_the_newest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    log = DecisionLog()
    decision = decide(ORDINARY[0].effects())
    size = len(log_line(decision, about(1)))
    monkeypatch.setattr(decision_log, "MAX_KEPT_DECISION_BYTES", 10 * size + 5)
    for second in range(1, 10):
        await log.add(decision, about(second))
    for second in range(1, 5):
        await log.add(decision, about(second))
    assert [parse_log_line(line).about.now_s for line in log.newest(10**6)] == [4, 5, 6, 7, 8, 9, 1, 2, 3, 4]
    assert [parse_log_line(line).about.now_s for line in log.newest(3 * size + 3)] == [2, 3, 4]
    assert log.newest(size) == []
