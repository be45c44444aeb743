"""A host that routes as it likes, and restores stores between: workers are to it as one (RB-01, RB-03, OT-02)."""

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

import enclave
from enclave.dispatch import Dispatcher
from evm.keccak import keccak256
from protocol import limits
from protocol.frames import Request
from tests.appliance import Client, Refused, commit_params, complete_params, mail_code, otp_answer
from tests.enclave_workers.crew import Crew

DIGEST = keccak256(b"message")
EMAIL = "user@example.com"


async def refused(call: Awaitable[Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value


async def both_devices(crew: Crew) -> tuple[Client, Client, str]:
    """Devices of one user, one of each worker, and the wallet."""
    here, there = crew.client_of(0), crew.client_of(1)
    signer = (await crew.log_in(here))["signer"]["address"]
    assert (await crew.log_in(there))["signer"]["address"] == signer
    return here, there, signer


async def test_nonce_signs_once_at_two_workers_at_the_same_time(crew: Crew) -> None:
    client = crew.client_of(0)
    signer = (await crew.log_in(client))["signer"]["address"]
    crew.at = 0
    first = client.sign(signer, DIGEST, nonce=7)
    crew.at = 1
    outcomes = await asyncio.gather(first, client.sign(signer, DIGEST, nonce=7), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Refused", "dict"]


async def test_nonce_signs_once_at_one_worker_after_the_other_whatever_the_store_forgets(crew: Crew) -> None:
    client = crew.client_of(0)
    signer = (await crew.log_in(client))["signer"]["address"]
    before = crew.store.snapshot()
    crew.at = 0
    await client.sign(signer, DIGEST, nonce=7)
    crew.store.rows = before
    for crew.at in (1, 0, 1):
        assert (await refused(client.sign(signer, DIGEST, nonce=7))).name in ("PreconditionFailed", "StaleRecord")


async def test_tries_at_a_code_are_counted_over_all_workers(crew: Crew) -> None:
    client = crew.client_of(0)
    started = await client.call("CommitVerifier", commit_params(EMAIL))
    wrong = complete_params(started["verifier"], otp_answer(started["challenge"], "000000"))
    right = complete_params(started["verifier"], otp_answer(started["challenge"], crew.mailer.last_code()))
    names = []
    for crew.at in (0, 1, 0):
        names.append((await refused(client.call("CompleteAuth", wrong))).name)
    assert names == ["AnswerIncorrect", "AnswerIncorrect", "TooManyAttempts"]
    for crew.at in (1, 0):
        assert (await refused(client.call("CompleteAuth", right))).name == "TooManyAttempts"


async def test_mails_to_an_address_are_counted_over_all_workers(crew: Crew) -> None:
    routed = itertools.cycle((0, 1))
    for _ in range(3):
        await crew.client_of(next(routed)).call("CommitVerifier", commit_params(EMAIL))
    for number in (0, 1):
        answer = await refused(crew.client_of(number).call("CommitVerifier", commit_params(EMAIL)))
        assert answer.name == "UsageLimitExceeded"
    assert len(crew.mailer.sent) == 3


@pytest.mark.parametrize("setting", ["mails_per_scope", "mails_total_per_window"])
async def test_mails_of_a_scope_and_of_all_are_counted_over_all_workers(pki_folder: Path, setting: str) -> None:
    limited = Crew(pki_folder, limits={setting: 4})
    await limited.boot()
    for number in range(4):
        await limited.client_of(number % 2).call("CommitVerifier", commit_params(f"user{number}@example.com"))
    for number in (0, 1):
        answer = await refused(limited.client_of(number).call("CommitVerifier", commit_params("one-more@example.com")))
        assert answer.name == "UsageLimitExceeded"
    await limited.stop()


async def test_logins_that_wait_at_an_address_are_counted_over_all_workers_until_they_end(pki_folder: Path) -> None:
    patient = Crew(pki_folder, limits={"mails_per_address": 100})
    await patient.boot()
    clients = [patient.client_of(number % 2) for number in range(3)]
    started = [await client.call("CommitVerifier", commit_params(EMAIL)) for client in clients]
    stranger = patient.client_of(1)
    assert (await refused(stranger.call("CommitVerifier", commit_params(EMAIL)))).name == "UsageLimitExceeded"
    answer = otp_answer(started[2]["challenge"], patient.mailer.last_code())
    await clients[2].call("CompleteAuth", complete_params(started[2]["verifier"], answer))
    await stranger.call("CommitVerifier", commit_params(EMAIL))
    await patient.stop()


async def test_session_that_was_revoked_at_one_worker_signs_at_none(crew: Crew) -> None:
    here, there, signer = await both_devices(crew)
    await here.sign(signer, DIGEST)
    before = crew.store.snapshot()
    await there.own("/rpc/Session/Revoke", device=here.name)
    revoked, crew.store.rows = crew.store.rows, before
    for crew.at in (0, 1):
        assert (await refused(here.sign(signer, DIGEST))).name == "StaleRecord"
    crew.store.rows = revoked
    for crew.at in (0, 1):
        assert (await refused(here.sign(signer, DIGEST))).name == "KeyNotFound"


async def test_account_that_was_frozen_at_one_worker_signs_at_none(crew: Crew) -> None:
    here, there, signer = await both_devices(crew)
    await here.sign(signer, DIGEST)
    before = crew.store.snapshot()
    await there.own("/rpc/Account/Freeze")
    frozen, crew.store.rows = crew.store.rows, before
    assert (await refused(here.sign(signer, DIGEST))).name == "StaleRecord"
    crew.store.rows = frozen
    assert (await refused(here.sign(signer, DIGEST))).name == "AccountFrozen"


async def test_device_that_was_removed_at_one_worker_signs_at_none(crew: Crew) -> None:
    here, there, signer = await both_devices(crew)
    await here.sign(signer, DIGEST)
    await there.own("/rpc/Account/RemoveDevices", devices=[here.name])
    assert (await refused(here.sign(signer, DIGEST))).name == "KeyNotFound"


async def test_first_logins_at_two_workers_make_one_wallet(crew: Crew) -> None:
    for number in range(5):
        here, there = crew.client_of(0), crew.client_of(1)
        email = f"user{number}@example.com"
        started = [await client.call("CommitVerifier", commit_params(email)) for client in (here, there)]
        codes = [mail_code(mail) for mail in crew.mailer.sent[-2:]]
        answers = [otp_answer(s["challenge"], code) for s, code in zip(started, codes, strict=True)]
        params = [complete_params(s["verifier"], answer) for s, answer in zip(started, answers, strict=True)]
        logins = await asyncio.gather(*(c.call("CompleteAuth", p) for c, p in zip((here, there), params, strict=True)))
        assert len({login["signer"]["address"] for login in logins}) == 1


async def test_worker_that_is_handed_a_key_of_another_refuses(crew: Crew) -> None:
    client = crew.client_of(0)
    crew.at = 0
    await crew.log_in(client)
    dispatcher: Dispatcher = crew.crew[1]._dispatcher
    body = json.dumps(client.envelope(client.own_params("/rpc/Account/Get"))).encode()
    for how in ("plain", "opened"):
        handed = Request(1, f"{how} POST /rpc/Account/Get", {"content-type": "application/json"}, body)
        answer = json.loads((await dispatcher.take_over(handed)).body)
        assert (answer["error"], answer["cause"]) == ("InvalidRequest", "the auth key can be read in two ways")


async def test_record_that_cannot_be_remembered_is_refused_and_users_who_are_go_on(pki_folder: Path) -> None:
    crew = Crew(pki_folder, seen_records=8)
    await crew.boot()
    client = crew.client_of(1)
    signer = (await crew.log_in(client))["signer"]["address"]
    await client.sign(signer, DIGEST)
    assert (await refused(crew.log_in(crew.client_of(0), "other@example.com"))).name == "Busy"
    for crew.at in (0, 1):
        await client.sign(signer, DIGEST)
    await crew.stop()


async def test_body_above_the_cap_is_refused_where_it_arrives(crew: Crew) -> None:
    client = crew.client_of(0)
    crew.at = 1
    params = client.own_params("/rpc/Account/Get", filling="x" * limits.MAX_BODY_BYTES)
    assert (await refused(client.send("/rpc/Account/Get", client.envelope(params)))).name == "RequestTooLarge"


def test_nobody_counts_mails_for_one_worker_alone() -> None:
    """`mail_counter` counts for all of them."""
    modules = Path(enclave.__file__).parent.rglob("*.py")
    made = {module.name for module in modules if re.search(r"(?<!class )MailLimits\(", module.read_text())}
    assert made == {"mail_limits.py"}
