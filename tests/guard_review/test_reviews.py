"""Held requests: what is held, who decides, what is signed after that, and how often."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct

from enclave.guard.held import Held, ReviewDecision, read_held
from enclave.guard.limits import MAX_REVIEW_LINE_BYTES, MAX_REVIEW_QUORUM, MAX_STATEMENT_BYTES
from enclave.guard.sign_request import SignRequest
from evm.address import Address, checksum, parse_address
from evm.wallet.payload import Call, CallsPayload
from protocol import cbor, limits
from protocol.errors import PROOF_VERIFICATION_FAILED
from tests.enclave_guard.guard_rules import DOCUMENT, PAYROLL, USD
from tests.enclave_login.authenticator import ELIGIBLE, PRESENT, b64u
from tests.evm_effects.made import SAFE, WALLET, calldata
from tests.guard_review.review_world import HOLD_S, LARGE, Reviewer, ReviewWorld, challenge, held_id, large, terms
from tests.guard_wire.guard_world import (
    OWNER,
    RefusedByGuard,
    approval,
    hash_signature,
    recovered,
    request_for,
    said,
)


async def test_held_request_is_signed_once_after_a_quorum_approves(guard: ReviewWorld) -> None:
    id_ = await guard.hold(large())
    assert await guard.hold(large()) == id_
    await guard.approve(id_)
    address = await guard.address()
    assert recovered(large(), await guard.sign(large())) == address
    assert await guard.hold(large()) != id_, "an approval is for one signature"


async def test_one_refusal_refuses_with_its_reason(guard: ReviewWorld) -> None:
    ada, ben, cleo = guard.reviewers
    id_ = await guard.hold(large())
    assert await guard.decide(id_, "approve", ada) == "held"
    assert await guard.decide(id_, "refuse", cleo) == "refused"
    with pytest.raises(RefusedByGuard, match="review-ended"):
        await guard.decide(id_, "approve", ben)
    assert await guard.refused(large()) == f"guard:review-refused:{id_}"
    assert await guard.hold(large(nonce=1)) != id_


async def test_refusal_counts_until_the_approval_is_used(guard: ReviewWorld) -> None:
    id_ = await guard.hold(large())
    await guard.approve(id_)
    assert await guard.decide(id_, "refuse", guard.reviewers[2]) == "refused"
    assert await guard.refused(large()) == f"guard:review-refused:{id_}"


async def test_held_and_approved_requests_expire(guard: ReviewWorld) -> None:
    held, approved = await guard.hold(large()), await guard.hold(large(nonce=1))
    await guard.approve(approved)
    await guard.pass_time(HOLD_S)
    for request, id_ in ((large(), held), (large(nonce=1), approved)):
        assert await guard.refused(request) == f"guard:review-expired:{id_}"
        with pytest.raises(RefusedByGuard, match="review-ended"):
            await guard.decide(id_, "approve", guard.reviewers[2])
    await guard.pass_time(HOLD_S)
    assert await guard.hold(large()) != held, "after as long again it can be asked anew"


async def test_reviewer_counts_once(guard: ReviewWorld) -> None:
    ada = guard.reviewers[0]
    id_ = await guard.hold(large())
    statement = (await guard.read(id_))["statement"]
    assertion = ada.answer(challenge(statement, "approve"))
    await guard.review("Decide", id=id_, decision="approve", assertion=assertion)
    for again in (assertion, ada.answer(challenge(statement, "approve"))):
        with pytest.raises(RefusedByGuard, match="review-decided"):
            await guard.review("Decide", id=id_, decision="approve", assertion=again)
    assert (await guard.read(id_))["state"] == "held"


@pytest.mark.parametrize("knobs", [{"flags": PRESENT}, {"flags": 0}, {"flags": PRESENT | 4 | 0x10 & ~ELIGIBLE}])
async def test_decision_needs_a_verified_person(guard: ReviewWorld, knobs: dict[str, Any]) -> None:
    id_ = await guard.hold(large())
    guard.reviewers[0].passkey.flags = knobs["flags"]
    statement = (await guard.read(id_, guard.reviewers[1]))["statement"]
    await refused_proof(guard, id_, guard.reviewers[0].answer(challenge(statement, "approve")))


async def refused_proof(guard: ReviewWorld, id_: str, assertion: str, decision: str = "approve") -> str:
    with pytest.raises(RefusedByGuard) as refused:
        await guard.review("Decide", id=id_, decision=decision, assertion=assertion)
    assert refused.value.code == PROOF_VERIFICATION_FAILED.code
    return refused.value.cause


async def test_assertion_is_for_one_request_one_verdict_one_site_and_one_panel(guard: ReviewWorld) -> None:
    ada, ben, _ = guard.reviewers
    id_, other = await guard.hold(large()), await guard.hold(large(nonce=1))
    statement, of_other = (await guard.read(id_))["statement"], (await guard.read(other))["statement"]
    asked = (await guard.review("Challenge"))["challenge"]
    forged = json.loads(ada.answer(challenge(statement, "approve")))
    forged["response"]["signature"] = json.loads(ben.answer(challenge(statement, "approve")))["response"]["signature"]
    stranger = Reviewer("stranger")
    impostor = Reviewer("impostor")
    impostor.passkey.id = ada.passkey.id
    elsewhere = Reviewer("elsewhere")
    elsewhere.passkey = ada.passkey
    causes = [
        await refused_proof(guard, id_, ada.answer(challenge(of_other, "approve"))),
        await refused_proof(guard, id_, ada.answer(challenge(statement, "approve")), "refuse"),
        await refused_proof(guard, id_, ada.answer(challenge(statement, "refuse"))),
        await refused_proof(guard, id_, ada.answer(challenge(statement.replace("Transfer", "Keep"), "approve"))),
        await refused_proof(guard, id_, ada.answer(asked)),
        await refused_proof(guard, id_, ada.answer(challenge(statement, "approve"), "https://evil.example.test")),
        await refused_proof(guard, id_, json.dumps(forged)),
        await refused_proof(guard, id_, stranger.answer(challenge(statement, "approve"))),
        await refused_proof(guard, id_, impostor.answer(challenge(statement, "approve"))),
        await refused_proof(guard, id_, "{}"),
    ]
    assert causes == [
        *["passkey challenge does not match"] * 5,
        "passkey origin is not accepted",
        "passkey signature is invalid",
        "passkey is no reviewer's",
        "passkey signature is invalid",
        "passkey answer is malformed",
    ]
    ada.passkey.rp_id = "other.example.test"
    assert "another site" in await refused_proof(guard, id_, ada.answer(challenge(statement, "approve")))
    assert (await guard.read(id_, ben))["decisions"] == []


async def test_counter_of_a_passkey_has_to_rise_over_all_that_it_signs(guard: ReviewWorld) -> None:
    ada = guard.reviewers[0]
    id_ = await guard.hold(large())
    statement = (await guard.read(id_))["statement"]
    ada.passkey.count -= 1
    assert await refused_proof(guard, id_, ada.answer(challenge(statement, "approve"))) == (
        "passkey counter did not rise"
    )
    assert await guard.decide(id_, "approve", ada) == "held"


async def test_passkeys_without_a_counter_decide(pki_folder: Path) -> None:
    reviewers = [Reviewer(name, counts=False) for name in ("ada", "ben")]
    guard = ReviewWorld(pki_folder, *reviewers)
    await guard.boot()
    id_ = await guard.hold(large())
    await guard.approve(id_)
    await guard.sign(large())
    await guard.stop()


async def test_statement_tells_what_would_be_signed(guard: ReviewWorld) -> None:
    found = await guard.read(await guard.hold(large()))
    told = json.loads(found["statement"])
    assert (told["wallet"], told["chainId"], told["askedBy"]) == (checksum(WALLET), "1", [OWNER.address])
    assert told["digest"] == large()["msg"]
    assert told["heldBy"] == "budget:usd-day"
    assert told["words"] == [
        f'Transfer 3000 of "usd" {checksum(USD)} from {checksum(WALLET)} to {checksum(PAYROLL)} "payroll", on chain 1'
    ]
    assert told["expiresS"] - told["heldAtS"] == HOLD_S
    [effect] = told["effects"]
    assert (effect["kind"], effect["amount"]) == ("transfer", str(3_000 * 10**6))
    assert json.loads(told["request"])["message"]["calls"][0]["data"] == _data(large())
    assert any("3000 usd, after 0 usd already" in line for line in found["budgets"])


def _data(request: dict[str, Any]) -> str:
    document = json.loads(bytes.fromhex(request["payloadData"][2:]))
    data: str = document["message"]["calls"][0]["data"]
    return data


async def test_approval_draws_on_budgets_as_every_signature_does(guard: ReviewWorld) -> None:
    sent, other_sent = large(amount=6_000 * 10**6), large(nonce=1, amount=5_500 * 10**6)
    id_, other = await guard.hold(sent), await guard.hold(other_sent)
    for held in (id_, other):
        await guard.approve(held)
    await guard.sign(sent)
    assert await guard.refused(other_sent) == "guard:deny:budget:usd-day"
    assert (await guard.read(other))["outcome"] == "deny"


async def test_parallel_requests_share_one_approval(guard: ReviewWorld) -> None:
    id_ = await guard.hold(large())
    await guard.approve(id_)
    answers = await asyncio.gather(*(guard.sign(large()) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(answer, str) for answer in answers) <= 1
    assert all(isinstance(answer, str | RefusedByGuard) for answer in answers), answers


async def test_parallel_requests_are_held_as_one_and_parallel_decisions_all_count(guard: ReviewWorld) -> None:
    causes = await asyncio.gather(*(guard.refused(large()) for _ in range(8)))
    assert len(set(causes)) == 1
    id_ = held_id(causes[0])
    statement = (await guard.read(id_))["statement"]
    answers = [who.answer(challenge(statement, "approve")) for who in guard.reviewers[:2]]
    made = await asyncio.gather(
        *(guard.review("Decide", id=id_, decision="approve", assertion=answer) for answer in answers)
    )
    assert sorted(each["state"] for each in made) == ["approved", "held"]
    assert len((await guard.read(id_))["decisions"]) == 2


async def test_more_than_people_can_read_is_refused(guard: ReviewWorld) -> None:
    call = Call(USD, data=calldata("transfer(address,uint256)", PAYROLL, 100 * 10**6))
    most = request_for(CallsPayload((call,) * 24, nonce=0))
    await guard.hold(most)
    assert await guard.refused(request_for(CallsPayload((call,) * 40, nonce=0))) == "guard:review-size"


def test_largest_record_of_a_review_fits_the_store() -> None:
    """A statement at its bound, and as many decisions as there can be, each with evidence at its bound."""
    held = Held(bytes(16), b" " * MAX_STATEMENT_BYTES, "x" * 71, 2**53, 2**53, 2**53)
    line = "x" * MAX_REVIEW_LINE_BYTES
    made = [ReviewDecision("x" * 64, "approve", 2**53, line, bytes(65)) for _ in range(MAX_REVIEW_QUORUM + 1)]
    full = replace(held, decisions=tuple(made))
    assert read_held(full.body()) == full
    assert len(cbor.dumps(full.body())) + 28 <= limits.MAX_RECORD_BYTES


async def test_another_request_is_not_approved_with_it(guard: ReviewWorld) -> None:
    await guard.approve(await guard.hold(large()))
    digest = bytes.fromhex(large()["msg"][2:])
    stranger = EthAccount.from_key(b"\x55" * 32)
    others = [
        large(nonce=1),
        large(amount=6_001 * 10**6),
        large() | {"signatures": [hash_signature(digest, stranger)]},
        large() | {"signatures": [hash_signature(digest), hash_signature(digest, stranger)]},
    ]
    for other in others:
        await guard.hold(other)


async def test_approval_is_for_the_effects_that_were_shown(guard: ReviewWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an update of the image that reads the same request in another way."""
    id_ = await guard.hold(large())
    await guard.approve(id_)
    read = SignRequest.effects
    monkeypatch.setattr(
        SignRequest, "effects", lambda request, tokens: tuple(replace(e, expires_s=1) for e in read(request, tokens))
    )
    assert await guard.hold(large()) != id_


async def test_new_rules_void_what_is_held_and_approved(guard: ReviewWorld) -> None:
    held, approved = await guard.hold(large()), await guard.hold(large(nonce=1))
    await guard.approve(approved)
    document = json.loads((await guard.ask("Get", {}, "GuardRules"))["document"]) | {"version": 2}
    text = json.dumps(document)
    statement = said("activate guard rules", text.encode(), 2)
    approvals = [approval(number, statement) for number in (0, 1)]
    await guard.ask("Activate", {"document": text, "approvals": approvals}, "GuardRules")
    assert (await guard.read(held))["state"] == "outdated"
    with pytest.raises(RefusedByGuard, match="review-ended"):
        await guard.decide(held, "approve", guard.reviewers[2])
    assert await guard.hold(large(nonce=1)) != approved


async def test_reviewers_who_are_replaced_lose_all_power(guard: ReviewWorld) -> None:
    ada, ben, _ = guard.reviewers
    session = await guard.session(ada)
    await guard.hold(large())
    document = json.loads((await guard.ask("Get", {}, "GuardRules"))["document"])
    text = json.dumps(document | {"version": 2, "review": terms(ben, Reviewer("dora"))})
    approvals = [approval(number, said("activate guard rules", text.encode(), 2)) for number in (0, 1)]
    await guard.ask("Activate", {"document": text, "approvals": approvals}, "GuardRules")
    with pytest.raises(RefusedByGuard, match="review-session"):
        await guard.review("Queue", session=session)
    id_ = await guard.hold(large())
    statement = (await guard.read(id_, ben))["statement"]
    assert "no reviewer's" in await refused_proof(guard, id_, ada.answer(challenge(statement, "approve")))


async def test_frozen_guard_signs_nothing_that_was_approved(guard: ReviewWorld) -> None:
    await guard.approve(await guard.hold(large()))
    document = (await guard.ask("Get", {}, "GuardRules"))["document"].encode()
    await guard.ask("Freeze", {"approval": approval(0, said("freeze guard", document, 1))}, "GuardRules")
    assert await guard.refused(large()) == "guard:frozen"


async def test_queue_is_bounded_for_one_account_and_for_all(guard: ReviewWorld) -> None:
    ids = [await guard.hold(large(nonce)) for nonce in range(4)]
    assert await guard.refused(large(4)) == "guard:review-full"
    assert await guard.hold(large(0)) == ids[0]
    await guard.decide(ids[0], "refuse", guard.reviewers[0])
    await guard.hold(large(4))
    asker = 0x1000
    for number in range(28):
        digest = bytes.fromhex(large()["msg"][2:])
        account = EthAccount.from_key((asker + number).to_bytes(32, "big"))
        await guard.hold(large() | {"signatures": [hash_signature(digest, account)]})
    account = EthAccount.from_key((asker - 1).to_bytes(32, "big"))
    full = large() | {"signatures": [hash_signature(bytes.fromhex(large()["msg"][2:]), account)]}
    assert await guard.refused(full) == "guard:review-full"
    queue = await guard.review("Queue", session=await guard.session(guard.reviewers[0]))
    assert len(queue["reviews"]) == 33
    await guard.pass_time(HOLD_S)
    await guard.hold(full)


async def test_wallets_that_nobody_can_make_up_have_places_of_their_own(pki_folder: Path) -> None:
    """The rules name one; requests of others fill the queue for all but that one."""
    ours = {"id": "ours", "decision": "allow", "effects": ["fee"], "wallets": [checksum(SAFE)]}
    guard = ReviewWorld(pki_folder, rules=[*DOCUMENT["rules"], ours])
    await guard.boot()
    try:
        payload = CallsPayload((Call(USD, data=calldata("transfer(address,uint256)", PAYROLL, LARGE)),))
        for number in range(33):
            account = EthAccount.from_key((0x1000 + number).to_bytes(32, "big"))
            request = request_for(payload, wallet=Address(number.to_bytes(20, "big")))
            asked = request | {"signatures": [hash_signature(bytes.fromhex(request["msg"][2:]), account)]}
            if number < 32:
                await guard.hold(asked)
            else:
                assert await guard.refused(asked) == "guard:review-full"
        for nonce in range(4):
            await guard.hold(request_for(CallsPayload(payload.calls, nonce=nonce), wallet=SAFE))
        full = request_for(CallsPayload(payload.calls, nonce=4), wallet=SAFE)
        assert await guard.refused(full) == "guard:review-full"
    finally:
        await guard.stop()


async def test_everything_survives_a_restart(guard: ReviewWorld) -> None:
    held, approved, refused = [await guard.hold(large(nonce)) for nonce in range(3)]
    await guard.decide(held, "approve", guard.reviewers[0])
    await guard.approve(approved)
    await guard.decide(refused, "refuse", guard.reviewers[0])
    await guard.boot()
    queue = await guard.review("Queue", session=await guard.session(guard.reviewers[0]))
    assert {row["id"]: row["state"] for row in queue["reviews"]} == {
        held: "held",
        approved: "approved",
        refused: "refused",
    }
    assert await guard.decide(held, "approve", guard.reviewers[1]) == "approved"
    await guard.sign(large(1))


async def test_decisions_are_signed_by_the_guard_with_their_evidence(guard: ReviewWorld) -> None:
    id_ = await guard.hold(large())
    await guard.approve(id_)
    found = await guard.read(id_)
    lines = [json.loads(made["line"]) for made in found["decisions"]]
    assert [(line["reviewer"], line["decision"], line["review"]) for line in lines] == [
        ("ada", "approve", id_),
        ("ben", "approve", id_),
    ]
    for made in found["decisions"]:
        signer = EthAccount.recover_message(encode_defunct(text=made["line"]), signature=made["signature"])
        assert parse_address(signer) == await guard.address()
    document = (await guard.ask("Get", {}, "GuardRules"))["document"].encode()
    asked = {"approval": approval(0, said("read guard decisions", document, 1))}
    assert (await guard.ask("Decisions", asked, "GuardRules"))["reviews"] == found["decisions"]


async def test_reading_needs_a_session_of_a_reviewer(guard: ReviewWorld) -> None:
    ada = guard.reviewers[0]
    id_ = await guard.hold(large())
    session = await guard.session(ada)
    forged = [
        session[:-2],
        "",
        session + "AA",
        "A" * 200,
        "A" * 4000,
        "ä",
        (await guard.review("Challenge"))["challenge"],
    ]
    for wrong in forged:
        for method, more in (("Queue", {}), ("Rules", {}), ("Get", {"id": id_})):
            with pytest.raises(RefusedByGuard, match="guard:review-session") as refused:
                await guard.review(method, session=wrong, **more)
            assert refused.value.code == 1000
    await guard.pass_time(900)
    with pytest.raises(RefusedByGuard) as refused:
        await guard.review("Queue", session=session)
    assert refused.value.code == 1002


async def test_session_needs_a_fresh_challenge_of_this_guard(guard: ReviewWorld) -> None:
    ada = guard.reviewers[0]
    asked = (await guard.review("Challenge"))["challenge"]
    other = (await guard.review("Challenge"))["challenge"]
    with pytest.raises(RefusedByGuard, match="does not match"):
        await guard.review("OpenSession", challenge=asked, assertion=ada.answer(other))
    own = b64u(bytes(80))
    with pytest.raises(RefusedByGuard, match="guard:review-challenge"):
        await guard.review("OpenSession", challenge=own, assertion=ada.answer(own))
    assertion = ada.answer(asked)
    await guard.review("OpenSession", challenge=asked, assertion=assertion)
    with pytest.raises(RefusedByGuard, match="counter did not rise"):
        await guard.review("OpenSession", challenge=asked, assertion=assertion)
    late = ada.answer(other)
    await guard.pass_time(120)
    with pytest.raises(RefusedByGuard, match="guard:review-challenge"):
        await guard.review("OpenSession", challenge=other, assertion=late)


async def test_reviewers_are_served_past_the_host_alone(guard: ReviewWorld) -> None:
    for method in ("Challenge", "OpenSession", "Queue", "Get", "Rules", "Decide"):
        with pytest.raises(RefusedByGuard, match="guard:review-unsealed"):
            await guard.ask(method, {}, "GuardReview")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("Challenge", {"more": ""}),
        ("OpenSession", {"challenge": ""}),
        ("Queue", {"session": 1}),
        ("Decide", {"id": "00", "decision": "approve", "assertion": ""}),
        ("Decide", {"id": "0" * 32, "decision": "Approve", "assertion": ""}),
        ("Decide", {"id": "A" * 32, "decision": "approve", "assertion": ""}),
        ("Decide", {"id": "0" * 32, "decision": "approve", "assertion": "", "session": ""}),
    ],
)
async def test_other_arguments_are_refused(guard: ReviewWorld, method: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(RefusedByGuard, match="guard:review-arguments"):
        await guard.review(method, **arguments)


async def test_unknown_request_is_not_found(guard: ReviewWorld) -> None:
    for method, more in (
        ("Get", {"session": await guard.session(guard.reviewers[0])}),
        ("Decide", {"decision": "approve", "assertion": "{}"}),
    ):
        with pytest.raises(RefusedByGuard) as refused:
            await guard.review(method, id="0" * 32, **more)
        assert (refused.value.code, refused.value.cause) == (3000, "guard:review")
