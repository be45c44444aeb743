"""Embedded wallets under a guard: half signed by the instrument, whole by the guard's own reading of the user's intent.

Each enclave is hostile in turn, and so are the hosts between them.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import coincurve
import pytest

from enclave.waas import confirmations
from evm.address import checksum
from evm.intents.bundle import bundle_of
from evm.intents.names import parse_intent_data
from evm.wallet.configuration_json import parse_configuration
from evm.wallet.erc1271 import personal_preimage
from protocol import limits
from protocol.frames import Response
from protocol.guarding import GUARD_PATH
from tests.evm_intents.samples import TYPED_DATA, K1Key
from tests.guard_wire.guard_world import RefusedByGuard
from tests.waas.embedded import CHAIN, Application, verify_message
from tests.waas.guarded import THIEF, Guarded, coins, guarded, payment
from tests.waas.relays import verify_relayed


def sending(*transactions: dict[str, Any], identifier: str = "one") -> dict[str, Any]:
    return {"network": str(CHAIN), "identifier": identifier, "transactions": list(transactions)}


@pytest.fixture
async def both(pki_folder: Path) -> AsyncIterator[Guarded]:
    async with guarded(pki_folder) as made:
        yield made


async def asked_by_instrument(both: Guarded, app: Application, **data: Any) -> dict[str, Any]:
    """What an instrument asks for a payment, as the hosts see it."""
    await app.of_wallet("sendTransaction", **sending(payment(), **data))
    found: dict[str, Any] = json.loads(both.hosts.carried[-1])
    return found


async def refused(both: Guarded, request: Any) -> str:
    """The cause with which the guard refuses a request."""
    with pytest.raises(RefusedByGuard) as caught:
        await both.guard.ask(GUARD_PATH.rpartition("/")[2], request, "GuardIntents")
    return caught.value.cause


async def test_half_signed_by_one_is_whole_by_both_and_relayed(both: Guarded) -> None:
    app = await both.signed_in()
    data = sending(payment())
    answer = await app.of_wallet("sendTransaction", **data)
    assert answer["code"] == "transactionReceipt"
    [sent] = both.relay.sent
    intent: Any = parse_intent_data("sendTransaction", {"wallet": app.wallet, **data})
    verify_relayed(sent, bundle_of(intent).operation, app.wallet)


async def test_messages_have_both_signatures_and_documents_are_judged_as_documents(both: Guarded) -> None:
    app = await both.signed_in()
    message = await app.of_wallet("signMessage", network=str(CHAIN), message="0x68656c6c6f")
    verify_message(app.wallet, CHAIN, personal_preimage(b"hello"), message["data"]["signature"])
    document = await app.of_wallet("signTypedData", network=str(CHAIN), typedData=TYPED_DATA)
    assert document["cause"].startswith("guard:deny:")


async def test_rules_of_the_guard_reach_the_client_and_nothing_is_relayed(both: Guarded) -> None:
    app = await both.signed_in()
    theft = await app.of_wallet("sendTransaction", **sending(payment(to=THIEF)))
    assert (theft["error"], theft["cause"]) == ("WebrpcEndpoint", "guard:deny:no-rule")
    much = await app.of_wallet("sendTransaction", **sending(payment(1001 * 10**6), identifier="two"))
    assert much["cause"] == "guard:deny:budget:usd-day"
    assert both.relay.sent == []


async def test_request_without_reviewers_to_decide_is_refused_and_not_held(both: Guarded) -> None:
    app = await both.signed_in()
    answer = await app.of_wallet("sendTransaction", **sending(coins()))
    assert answer["cause"] == "guard:review:coins"
    assert both.relay.sent == []


# --- one of the two is hostile ---


@pytest.mark.parametrize("member", ["to", "value", "tokenAddress"])
async def test_hostile_instrument_gets_no_signature_for_another_bundle(both: Guarded, member: str) -> None:
    """It has the login's key and the user's intent, and signs something else."""
    app = await both.signed_in()
    request = await asked_by_instrument(both, app)
    changed = json.loads(json.dumps(request))
    changed["intent"]["data"]["transactions"][0][member] = {"value": "6"}.get(member, checksum(THIEF))
    assert await refused(both, changed) == "guard:intent-signature"
    own = app.intent("sendTransaction", {"wallet": app.wallet, **sending(payment(6))})
    assert await refused(both, request | {"intent": own}) == "guard:unsigned", "signed by whoever it recovers to"


async def test_instrument_without_an_intent_gets_nothing(both: Guarded) -> None:
    """All keys of the instrument, and no user."""
    app = await both.signed_in()
    request = await asked_by_instrument(both, app)
    unsigned = request["intent"] | {"signatures": []}
    assert await refused(both, request | {"intent": unsigned}) == "guard:intent-unsigned"
    for name in ("listSessions", "closeSession"):
        other = app.intent(name, {"wallet": app.wallet} if name == "listSessions" else {"sessionId": app.key.id})
        assert await refused(both, request | {"intent": other}) == "guard:intent-kind"
    forged = Application(both.world, K1Key(b"\x77" * 32))
    theft = forged.intent("sendTransaction", {"wallet": app.wallet, **sending(payment(to=THIEF))})
    assert (await refused(both, request | {"intent": theft})) == "guard:unsigned"


async def test_old_intent_is_not_signed_a_second_time_after_its_end(both: Guarded) -> None:
    app = await both.signed_in()
    request = await asked_by_instrument(both, app)
    await both.guard.pass_time(400)
    assert await refused(both, request) == "guard:intent-expired"


async def test_wallet_is_derived_from_what_was_shown_and_not_from_what_was_said(both: Guarded) -> None:
    app = await both.signed_in()
    other = Application(both.world, K1Key(b"\x32" * 32))
    await other.sign_in_as_guest()
    ours, theirs = await asked_by_instrument(both, app), await asked_by_instrument(both, other)
    assert await refused(both, ours | {"wallet": theirs["wallet"]}) == "guard:configuration"
    shown = parse_configuration(ours["wallet"]["configuration"])
    assert both.world.config.scopes[0].wallet is not None
    assert shown.threshold == 2
    for wallet in ({}, {"configuration": {}}, ours["wallet"] | {"context": "Rc9"}, ours["wallet"] | {"more": 1}):
        assert (await refused(both, ours | {"wallet": wallet})).startswith("guard:")


async def test_hostile_guard_signs_what_it_wants_and_moves_nothing(both: Guarded) -> None:
    """It answers with a signature over another digest, by another key, or with none that can be read."""
    app = await both.signed_in()
    stranger = b"\x41" * 32
    answers: list[tuple[bytes, str]] = [
        (json.dumps({"sig": "0x" + _signed_by(stranger, b"\x01" * 32)}).encode(), "guard-signature"),
        (json.dumps({"sig": "0x" + "11" * 65}).encode(), "guard-malformed"),
        (json.dumps({"sig": None}).encode(), "guard-malformed"),
        (b"[]", "guard-malformed"),
        (b"{", "guard-malformed"),
    ]
    for number, (answer, cause) in enumerate(answers):
        both.hosts.answer = lambda _, answer=answer: (200, answer)  # type: ignore[misc]
        found = await app.of_wallet("sendTransaction", **sending(payment(), identifier=str(number)))
        assert found["cause"] == cause
    assert both.relay.sent == []


def _signed_by(secret: bytes, digest: bytes) -> str:
    made = coincurve.PrivateKey(secret).sign_recoverable(digest, hasher=None)
    return (made[:64] + bytes([27 + made[64]])).hex()


async def test_signature_for_another_intent_does_not_count_for_this_one(both: Guarded) -> None:
    """A host that keeps an answer and gives it to the next question."""
    app = await both.signed_in()
    kept: list[Response] = []

    def keep(response: Response) -> tuple[int, bytes]:
        kept.append(response)
        return kept[0].status, kept[0].body

    both.hosts.answer = keep
    assert (await app.of_wallet("sendTransaction", **sending(payment())))["code"] == "transactionReceipt"
    swapped = await app.of_wallet("sendTransaction", **sending(payment(6), identifier="two"))
    assert swapped["cause"] == "guard-signature"
    assert len(both.relay.sent) == 1


@pytest.mark.parametrize("cause", ["guard:deny:" + "x" * 300, "<b>", "guard:deny:a b", 5, None])
async def test_words_of_a_host_that_are_none_of_a_guard_do_not_reach_clients(both: Guarded, cause: Any) -> None:
    app = await both.signed_in()
    both.hosts.answer = lambda _: (403, json.dumps({"code": 1001, "cause": cause}).encode())
    assert (await app.of_wallet("sendTransaction", **sending(payment())))["cause"] == "guard-refused"


async def test_guard_that_cannot_be_reached_leaves_a_clean_retry(both: Guarded) -> None:
    app = await both.signed_in()
    both.hosts.down = True
    assert (await app.of_wallet("sendTransaction", **sending(payment())))["cause"] == "guard-unreachable"
    assert both.relay.sent == []
    both.hosts.down = False
    both.world.clock.advance_s(1)
    both.guard.clock.advance_s(1)
    assert (await app.of_wallet("sendTransaction", **sending(payment())))["code"] == "transactionReceipt"
    assert len(both.relay.sent) == 1


async def test_held_for_review_asks_for_a_confirmation(both: Guarded) -> None:
    app = await both.signed_in()
    both.hosts.answer = lambda _: (403, json.dumps({"code": 1001, "cause": "guard:review:" + "ab" * 16}).encode())
    answer = await app.of_wallet("sendTransaction", **sending(payment()))
    assert answer["code"] == "confirmationRequired"
    assert (answer["data"]["confirmationId"], answer["data"]["challengeType"]) == ("ab" * 16, "Review")
    assert both.relay.sent == []
    again = await app.of_wallet("confirmIntent", confirmationID="ab" * 16, challengeAnswer="-")
    assert again["code"] == "confirmationRequired", "nobody has decided yet"
    both.hosts.answer = lambda response: (response.status, response.body)
    both.world.clock.advance_s(1)
    both.guard.clock.advance_s(1)
    done = await app.of_wallet("confirmIntent", confirmationID="ab" * 16, challengeAnswer="-")
    assert done["code"] == "transactionReceipt"
    assert len(both.relay.sent) == 1


class Asking:
    """A guard's host that answers as one does whose rules want a code, until the right one comes."""

    def __init__(self, both: Guarded, code: int) -> None:
        self._both = both
        self._code = code
        both.hosts.request = self.request
        both.hosts.answer = self.answer
        self.token: dict[str, str] | None = None

    def request(self, value: dict[str, Any]) -> dict[str, Any]:
        self.token = value.pop("token", None)
        return value

    def answer(self, response: Response) -> tuple[int, bytes]:
        if self.token is None or self.token["token"] != "123456":
            cause = "guard:second-factor:wrong" if self.token else "guard:second-factor:pay"
            return 403, json.dumps({"code": self._code, "error": "Requires", "cause": cause}).encode()
        return response.status, response.body


@pytest.mark.parametrize(("code", "kind"), [(6600, "TOTP"), (6601, "PIN")])
async def test_second_factor_that_the_guard_wants_confirms_the_intent_that_waits(
    both: Guarded, code: int, kind: str
) -> None:
    app = await both.signed_in()
    asking = Asking(both, code)
    answer = await app.of_wallet("sendTransaction", **sending(payment()))
    assert (answer["code"], answer["data"]["challengeType"]) == ("confirmationRequired", kind)
    id_ = answer["data"]["confirmationId"]
    status = await app.of_wallet("getConfirmationStatus", confirmationID=id_)
    assert status == {
        "code": "confirmationStatus",
        "data": {"confirmationId": id_, "status": "pending", "challengeType": kind},
    }
    wrong = await app.of_wallet("confirmIntent", confirmationID=id_, challengeAnswer="000000")
    assert (wrong["error"], wrong["code"]) == ("AnswerIncorrect", 7003)
    assert both.relay.sent == []
    done = await app.of_wallet("confirmIntent", confirmationID=id_, challengeAnswer="123456")
    assert done["code"] == "transactionReceipt"
    assert asking.token == {"id": kind, "token": "123456"}
    assert len(both.relay.sent) == 1
    status = await app.of_wallet("getConfirmationStatus", confirmationID=id_)
    assert status["data"] == {"confirmationId": id_, "status": "none"}


async def test_only_the_session_that_signed_an_intent_confirms_it_and_only_while_it_holds(both: Guarded) -> None:
    app = await both.signed_in()
    Asking(both, 6600)
    answer = await app.of_wallet("sendTransaction", **sending(payment()))
    id_ = answer["data"]["confirmationId"]
    stranger = Application(both.world, K1Key(b"\x33" * 32))
    await stranger.sign_in_as_guest()
    refused = await stranger.of_wallet("confirmIntent", confirmationID=id_, challengeAnswer="123456")
    assert (refused["error"], refused["code"]) == ("ChallengeExpired", 7004)
    await both.world.pass_time(400)
    late = await app.of_wallet("confirmIntent", confirmationID=id_, challengeAnswer="123456")
    assert late["code"] == 7004
    assert both.relay.sent == []


@pytest.mark.parametrize("bound", ["MAX_WAITING", "MAX_WAITING_OF_ONE"])
async def test_number_of_intents_that_wait_is_bounded(
    both: Guarded, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(confirmations, bound, 2)
    app = await both.signed_in()
    Asking(both, 6600)
    ids = []
    for number in range(3):
        answer = await app.of_wallet("sendTransaction", **sending(payment(), identifier=str(number)))
        ids.append(answer["data"]["confirmationId"])
    found = [await app.of_wallet("getConfirmationStatus", confirmationID=id_) for id_ in ids]
    assert [each["data"]["status"] for each in found] == ["none", "pending", "pending"]


async def test_session_needs_no_validation(both: Guarded) -> None:
    app = await both.signed_in()
    session = {"sessionId": app.key.id}
    started = await app.of_wallet("validateSession", **session, deviceMetadata="a phone")
    finished = await app.of_wallet("finishValidateSession", **session, salt="0x12", challenge="123456")
    assert started["cause"] == finished["cause"] == "session is validated"


async def test_code_of_a_user_is_taken_by_the_guard_itself(both: Guarded) -> None:
    """Malformed ones are refused before anything else is looked at; of others the rules decide."""
    app = await both.signed_in()
    request = await asked_by_instrument(both, app)
    for token in ({"id": "SMS", "token": "1"}, {"id": "TOTP"}, "123456", 5):
        assert await refused(both, request | {"token": token}) == "guard:token"
    assert (await both.guard.ask("Sign", request | {"token": {"id": "TOTP", "token": "123456"}}, "GuardIntents"))["sig"]


async def test_intent_that_leaves_no_room_for_the_wallet_is_refused_before_it_is_carried(
    both: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await both.signed_in()
    size = len(json.dumps(await asked_by_instrument(both, app), separators=(",", ":")))
    for most, cause in ((size, None), (size - 1, "guard-request-size")):
        monkeypatch.setattr("enclave.waas.second_signature.limits", _Limits(most))
        both.world.clock.advance_s(1)
        answer = await app.of_wallet("sendTransaction", **sending(payment()))
        assert answer.get("cause") == cause


class _Limits:
    def __init__(self, most: int) -> None:
        self.MAX_BODY_BYTES = most
        self.MAX_GUARD_ANSWER_BYTES = limits.MAX_GUARD_ANSWER_BYTES
