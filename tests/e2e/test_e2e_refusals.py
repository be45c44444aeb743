"""What an attacker with a valid-looking request gets through HTTP: a refusal and its code (SE-*, RB-*, TI-*)."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from attestation.bundle import Bundle, verify_bundle
from attestation.errors import AttestationError
from host_proxy.client.device_key import DeviceKey
from host_proxy.client.flows import Session, require_b64u
from tests.e2e.e2e_support import (
    CREATE,
    LIST,
    ORIGIN,
    OTHER_ORIGIN,
    REVOKE,
    SCOPE,
    SIGN,
    SIGN_MESSAGE,
    STRICT_SCOPE,
    Site,
    User,
    new_email,
    refused,
)


@pytest.fixture(scope="module")
def person(site: Site) -> Iterator[tuple[User, Session]]:
    """A logged-in user with a session that no test revokes."""
    user = site.user()
    user.log_in()
    yield user, user.flows.create_session()
    user.api.close()


def in_ms(seconds: float) -> int:
    return time.time_ns() // 1_000_000 + int(seconds * 1000)


def test_the_request_that_the_others_spoil_is_good(person: tuple[User, Session]) -> None:
    user, session = person
    assert user.sign_message(session.session).status == 200


# --- another origin, scope, auth key ---


def test_session_does_not_count_for_another_origin_of_the_scope(person: tuple[User, Session]) -> None:
    user, session = person
    assert user.sign_message(session.session, origin=OTHER_ORIGIN).code == 7304


def test_session_made_for_the_other_origin_counts_there_and_only_there(site: Site) -> None:
    user = site.user(origin=OTHER_ORIGIN)
    _, session = user.ready()
    assert user.sign_message(session.session).status == 200
    assert user.sign_message(session.session, origin=ORIGIN).code == 7304


def test_origin_that_the_scope_does_not_list_is_refused(person: tuple[User, Session]) -> None:
    user, session = person
    reply = user.sign_message(session.session, origin="https://phishing.example")
    assert (reply.code, reply.json["cause"]) == (7304, "origin is not one of the scope's")
    assert user.send(CREATE, origin="https://phishing.example").code == 7304


def test_session_does_not_count_in_another_scope(site: Site) -> None:
    device, email = DeviceKey.generate(), new_email()
    here, there = site.user(SCOPE, device=device), site.user(STRICT_SCOPE, device=device)
    _, session = here.ready(email)
    assert there.sign_message(session.session).code == 7202  # the key is not known there
    there.log_in(email)
    assert there.sign_message(session.session).code == 7301  # it is, and the session is not


def test_wallets_of_one_person_in_two_scopes_are_different(site: Site) -> None:
    email = new_email()
    assert site.user(SCOPE).log_in(email).signer != site.user(STRICT_SCOPE).log_in(email).signer


def test_scope_that_is_not_served_is_refused(person: tuple[User, Session]) -> None:
    user, session = person
    reply = user.sign_message(session.session, scope="@999")
    assert (reply.code, reply.json["cause"]) == (7200, "scope is not served")


def test_session_does_not_count_for_another_auth_key(site: Site, person: tuple[User, Session]) -> None:
    _, session = person
    stranger = site.user()
    assert stranger.sign_message(session.session).code == 7202
    stranger.log_in()
    assert stranger.sign_message(session.session).code == 7301


def test_request_in_the_name_of_another_auth_key_is_refused(site: Site, person: tuple[User, Session]) -> None:
    user, session = person
    params = user.own_params(SIGN_MESSAGE, session=session.session, message={"text": "hello"})
    assert site.send(SIGN_MESSAGE, user.envelope(params, signer=DeviceKey.generate())).code == 7201


def test_wallet_of_another_user_is_refused(site: Site, person: tuple[User, Session]) -> None:
    _, victim = person
    thief = site.user()
    thief.log_in()
    params = {
        "scope": SCOPE,
        "signer": {"keyType": "Ethereum_Secp256k1", "address": victim.signer},
        "nonce": hex(in_ms(0)),
        "digest": "0x" + "11" * 32,
    }
    reply = site.send(SIGN, thief.envelope(params))
    assert (reply.code, reply.json["cause"]) == (7204, "signer mismatch")


def test_edited_request_is_refused(site: Site, person: tuple[User, Session]) -> None:
    user, session = person
    params = user.own_params(SIGN_MESSAGE, session=session.session, message={"text": "pay 1"})
    envelope = json.loads(user.envelope(params))
    envelope["params"]["message"]["text"] = "pay 1000"
    assert site.send(SIGN_MESSAGE, json.dumps(envelope).encode()).code == 7201


def test_request_sent_to_another_method_is_refused(site: Site, person: tuple[User, Session]) -> None:
    user, _ = person
    body = user.envelope(user.own_params(LIST))
    assert site.send(REVOKE, body).code == 7200
    assert site.send(LIST, body).status == 200


# --- expired and revoked ---


def test_session_that_would_have_ended_already_is_not_issued(person: tuple[User, Session]) -> None:
    user, _ = person
    assert user.send(CREATE, lifetime=0).code == 7302


def test_expired_session_is_refused(person: tuple[User, Session]) -> None:
    user, _ = person
    short = user.flows.create_session(lifetime_s=2)
    assert user.sign_message(short.session).status == 200
    while (reply := user.sign_message(short.session)).status == 200:
        assert time.time() <= short.expires + 1
        time.sleep(0.1)
    assert reply.code == 7302
    assert time.time() >= short.expires


def test_expired_login_is_refused(site: Site) -> None:
    user = site.user()
    user.log_in(lifetime_s=0)
    assert user.send(CREATE).code == 7203


def test_revoked_session_is_refused_and_others_live_on(site: Site) -> None:
    user = site.user()
    _, session = user.ready()
    other = user.flows.create_session()
    user.flows.revoke(None, session.session)
    assert user.sign_message(session.session).code == 7303
    assert user.sign_message(other.session).status == 200


def test_revoked_device_is_logged_out_by_another_one(site: Site) -> None:
    email = new_email()
    stolen, kept = site.user(), site.user()
    _, session = stolen.ready(email)
    kept.log_in(email)
    kept.flows.revoke(f"{stolen.device.wire()['keyType']}:{stolen.device.address}", None)
    assert stolen.sign_message(session.session).code == 7202
    assert kept.send(CREATE).status == 200


def test_device_of_another_user_cannot_be_revoked(site: Site, person: tuple[User, Session]) -> None:
    victim, session = person
    thief = site.user()
    thief.log_in()
    name = f"{victim.device.wire()['keyType']}:{victim.device.address}"
    assert thief.send(REVOKE, device=name).code == 7301
    assert victim.sign_message(session.session).status == 200


# --- replayed, late, early ---


def test_replayed_request_is_refused_byte_for_byte(site: Site, person: tuple[User, Session]) -> None:
    user, session = person
    body = user.envelope(user.own_params(SIGN_MESSAGE, session=session.session, message={"text": "pay 1"}))
    assert site.send(SIGN_MESSAGE, body).status == 200
    replayed = site.send(SIGN_MESSAGE, body)
    assert (replayed.status, replayed.code) == (412, 7206)


def test_replayed_login_answer_is_refused(site: Site) -> None:
    user, email = site.user(), new_email()
    started = user.flows.start_mail_login(email)
    code = site.mailed_code(email)
    user.flows.finish_mail_login(started, code)
    with refused() as refusal:
        user.flows.finish_mail_login(started, code)
    assert (refusal.code, refusal.cause) == (7200, "commitment not found")


@pytest.mark.parametrize("seconds", [-1, -3600, 121, 86_400], ids=["just over", "long over", "too far", "a day ahead"])
def test_request_out_of_its_time_is_refused(person: tuple[User, Session], seconds: int) -> None:
    user, session = person
    assert user.sign_message(session.session, expires=in_ms(seconds)).code == 7305


# --- another boot ---


def test_restart_ends_logins_and_sessions_and_the_wallet_stays(tmp_path: Path) -> None:
    email = new_email()
    with Site(tmp_path) as site:
        user = site.serving().user()
        wallet, session = user.ready(email)
        spent = user.envelope(user.own_params(SIGN_MESSAGE, session=session.session, message={"text": "once"}))
        assert site.send(SIGN_MESSAGE, spent).status == 200
        site.restart()
        assert user.sign_message(session.session).code == 7203
        assert user.log_in(email).signer == wallet
        assert user.sign_message(session.session).code == 7301
        assert site.send(SIGN_MESSAGE, spent).code == 7301
        fresh = user.flows.create_session()
        assert user.recovered(fresh.session) == wallet
        params = user.own_params(SIGN_MESSAGE, session=fresh.session, message={"text": "again"})
        low = int(json.loads(spent)["params"]["nonce"], 16)
        replay = site.send(SIGN_MESSAGE, user.envelope(params | {"nonce": hex(low)}))
        assert replay.code == 7206  # spent before the restart, and it stays spent
        mixed = Bundle(user.flows.binding_document(), require_b64u(session.attestation))
        with pytest.raises(AttestationError) as caught:
            verify_bundle(mixed.encode(), site.image, in_ms(0), (site.stand_ins.root,))
        assert caught.value.code == "session-mismatch"
