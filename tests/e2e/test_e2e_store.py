"""The host's store rolls back, swaps, hides, forgets and damages records while users work: 7307 and 7103 (RB-*)."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from host_proxy.errors import StoreFault
from protocol import cbor
from protocol.services import SPENT_TABLE, RecordKey
from simulator.browser import sign_in
from tests.e2e.e2e_support import (
    CREATE,
    HOLDERS,
    SIGN_MESSAGE,
    LyingSqlite,
    Site,
    User,
    failing,
    new_email,
    refused,
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """An appliance and its store, which does as it is told."""

    site: Site
    store: LyingSqlite

    def made_by(self, table: str, work: Callable[[], object]) -> list[RecordKey]:
        """The records of `table` that `work` brought into being."""
        before = set(self.store.keys(table))
        work()
        return [key for key in self.store.keys(table) if key not in before]


@contextmanager
def operated(state: Path) -> Iterator[Hostile]:
    stores: list[LyingSqlite] = []

    def store(path: Path) -> LyingSqlite:
        stores.append(LyingSqlite(path))
        return stores[-1]

    with Site(state, store=store) as site:
        yield Hostile(site.serving(), stores[0])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    with operated(tmp_path_factory.mktemp("hostile")) as running:
        yield running


def login_refusal(site: Site, email: str, user: User | None = None) -> int:
    with refused() as refusal:
        (user or site.user()).log_in(email)
    return refusal.code


# --- rolled back ---


def test_rolled_back_store_is_found_out_and_signs_nothing_twice(hostile: Hostile) -> None:
    user = hostile.site.user()
    _, session = user.ready()
    old = hostile.store.snapshot()
    body = user.envelope(user.own_params(SIGN_MESSAGE, session=session.session, message={"text": "pay 1"}))
    assert hostile.site.send(SIGN_MESSAGE, body).status == 200
    hostile.store.restore(old)
    assert hostile.site.send(SIGN_MESSAGE, body).code == 7206
    assert user.sign_message(session.session).code == 7307
    assert user.send(CREATE).code == 7307


def test_rolled_back_account_is_found_out(hostile: Hostile) -> None:
    email = new_email()
    hostile.site.user().log_in(email)
    old = hostile.store.snapshot()
    hostile.site.user().log_in(email)  # a second device joins the account's list
    hostile.store.restore(old)
    assert login_refusal(hostile.site, email) == 7307


def test_rolled_back_revocation_brings_no_session_back(hostile: Hostile) -> None:
    user = hostile.site.user()
    _, session = user.ready()
    old = hostile.store.snapshot()
    user.flows.revoke(None, session.session)
    hostile.store.restore(old)
    assert user.sign_message(session.session).code == 7303


def test_store_rolled_back_and_hiding_over_a_restart(tmp_path: Path) -> None:
    """The new boot has seen nothing yet: no old login counts, and a contradiction in the store gives it away."""
    email, hidden = new_email(), new_email()
    with operated(tmp_path) as hostile:
        site, user = hostile.site, hostile.site.user()
        wallet, session = user.ready(email)
        [key] = hostile.made_by("account", lambda: site.user().log_in(hidden))
        old = hostile.store.snapshot()
        user.flows.revoke(None, None)
        hostile.store.restore(old)
        hostile.store.hide(key)
        site.restart()
        assert user.sign_message(session.session).code == 7203
        assert site.user().log_in(email).signer == wallet
        assert login_refusal(site, hidden) == 7307  # "not there", and yet in the way of a new one


# --- swapped and damaged ---


def test_swapped_accounts_are_found_out(hostile: Hostile) -> None:
    older, newer = new_email(), new_email()
    keys = hostile.made_by("account", lambda: [hostile.site.user().log_in(email) for email in (older, newer)])
    hostile.store.swap(*keys)
    assert login_refusal(hostile.site, older) == 7103  # sealed for another place
    assert login_refusal(hostile.site, newer) == 7307  # and that one is older, too
    hostile.store.swap(keys[0], keys[0])
    hostile.store.swap(keys[1], keys[1])
    assert hostile.site.user().log_in(older).signer != hostile.site.user().log_in(newer).signer


@pytest.mark.parametrize("where", [0, 20, -1], ids=["first byte", "middle", "last byte"])
def test_damaged_account_is_found_out(hostile: Hostile, where: int) -> None:
    email = new_email()
    [key] = hostile.made_by("account", lambda: hostile.site.user().log_in(email))
    record = hostile.store._rows[key]
    assert record is not None
    value = bytearray(record.value)
    value[where] ^= 1
    hostile.store._rows[key] = replace(record, value=bytes(value))
    assert login_refusal(hostile.site, email) == 7103
    hostile.store._rows[key] = replace(record, version=record.version + 1)  # the right bytes under a newer version
    assert login_refusal(hostile.site, email) == 7103


# --- hidden ---


def test_hidden_account_is_found_out_and_no_second_wallet_made(hostile: Hostile) -> None:
    email = new_email()
    user = hostile.site.user()
    [key] = hostile.made_by("account", lambda: user.log_in(email))
    wallets = len(hostile.store.keys("account"))
    hostile.store.hide(key)
    assert login_refusal(hostile.site, email) == 7307
    hostile.store.show(key)
    assert len(hostile.store.keys("account")) == wallets
    assert hostile.site.user().log_in(email).signer == user.log_in(email).signer


def test_used_id_token_whose_record_is_hidden_stays_used(hostile: Hostile) -> None:
    token = sign_in(hostile.site.stand_ins.login_page_url, "hidden")
    [key] = hostile.made_by(SPENT_TABLE, lambda: hostile.site.user().flows.id_token_login(token))
    hostile.store.hide(key)
    with refused() as refusal:
        hostile.site.user().flows.id_token_login(token)
    assert (refusal.code, refusal.cause) == (7200, "cannot reuse an old ID token")


# --- forgotten, silent ---


def test_forgotten_write_is_found_out_and_the_request_stays_spent(hostile: Hostile) -> None:
    user = hostile.site.user()
    _, session = user.ready()
    hostile.store.drop_writes(1)
    body = user.envelope(user.own_params(SIGN_MESSAGE, session=session.session, message={"text": "pay 1"}))
    assert hostile.site.send(SIGN_MESSAGE, body).status == 200
    assert hostile.site.send(SIGN_MESSAGE, body).code == 7206
    assert user.sign_message(session.session).code == 7307


def test_store_that_fails_is_one_clear_error(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    user = hostile.site.user()
    _, session = user.ready()

    async def fail(*_: object) -> Any:
        raise StoreFault("store-write")

    with monkeypatch.context() as patch:
        patch.setattr(LyingSqlite, "put", fail)
        assert user.sign_message(session.session).code == 7102
    assert user.sign_message(session.session).status == 200


# --- a wrong share ---


def spoil_identity_shares(state: Path, *holders: str) -> None:
    """Flip a byte in the shares of the deployment's identity key that belong to these holders."""
    with closing(sqlite3.connect(state / "store.sqlite")) as database, database:
        [value] = database.execute("SELECT value FROM record WHERE name = 'deployment'").fetchone()
        body = cbor.loads(value)
        shares = body[2][2]
        for index in map(HOLDERS.index, holders):
            record_version, sealed = shares[index]
            shares[index] = [record_version, bytes([sealed[0] ^ 1]) + sealed[1:]]
        database.execute("UPDATE record SET value = ? WHERE name = 'deployment'", (cbor.dumps(body),))


def test_wrong_share_is_left_out_and_its_holder_named(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        wallet = site.serving().user().log_in("owner@example.com").signer
    spoil_identity_shares(tmp_path, HOLDERS[0])
    with Site(tmp_path) as site:
        assert site.serving().user().log_in("owner@example.com").signer == wallet
        health = site.wait_for(lambda health: bool(failing(health)), "the holder is named")
        assert failing(health) == {HOLDERS[0]: "holder-wrong-share"}
    spoil_identity_shares(tmp_path, HOLDERS[1])
    with Site(tmp_path) as site:
        health = site.wait_for(lambda health: len(failing(health)) == 2, "both are named")
        assert failing(health) == dict.fromkeys(HOLDERS[:2], "holder-wrong-share")
        assert health["phase"] == "booting"
