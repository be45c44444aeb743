"""Records of accounts and logins are read as they were written, or not at all."""

from dataclasses import replace
from typing import Any

import pytest

from enclave.account import Account, Freeze, LoginSlot, deleted_body, is_deleted, read_account, read_slot
from enclave.errors import Refusal
from enclave.identity import Identity, email_identity
from enclave.shards import SealedShare, ShardSet
from protocol import errors
from protocol.services import RecordKey

ADA, WORK = email_identity("ada@example.com"), Identity("OIDC", "https://idp.example", "ada", None)
KEY = RecordKey("account", bytes(32))
SHARDS = ShardSet(1, (b"\x02" * 33, b"\x03" * 33), (SealedShare(1, b"sealed"), None, SealedShare(2, b"sealed")))
ACCOUNT = Account(KEY, 7, "@123", "0x" + "11" * 20, b"s" * 16, ADA, SHARDS, (ADA, WORK), ("a:b", "c:d"), Freeze(1, 2))


def read(body: Any) -> Account:
    return read_account(KEY, 7, body, shape=(2, 3), salt=lambda _: b"s" * 16)


@pytest.mark.parametrize("freeze", [None, Freeze(5), Freeze(5, 9)])
def test_an_account_is_read_as_it_was_written(freeze: Freeze | None) -> None:
    account = replace(ACCOUNT, freeze=freeze)
    assert read(account.body()) == account
    assert not is_deleted(account.body())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (place, value)
        for place, member in enumerate(ACCOUNT.body())
        for value in (0, "x", b"x", [None], ["x", 1])
        if type(value) is not str or type(member) is not str
    ],
)
def test_a_member_of_another_kind_is_refused(place: int, value: Any) -> None:
    body = ACCOUNT.body()
    body[place] = value
    with pytest.raises(Refusal) as caught:
        read(body)
    assert caught.value.error is errors.DATA_INTEGRITY_ERROR


@pytest.mark.parametrize("body", [None, [], ACCOUNT.body()[:-1], [*ACCOUNT.body(), None], {}, "text"])
def test_another_shape_is_refused(body: Any) -> None:
    with pytest.raises(Refusal):
        read(body)


def test_what_is_left_of_a_deleted_account_is_no_account() -> None:
    body = deleted_body("@123", ACCOUNT.address, 1)
    assert is_deleted(body)
    with pytest.raises(Refusal):
        read(body)


@pytest.mark.parametrize("account_id", [None, b"id" * 16])
def test_a_slot_is_read_as_it_was_written(account_id: bytes | None) -> None:
    slot = LoginSlot(3, "@123", WORK, account_id)
    assert read_slot(3, slot.body(), "@123", WORK) == slot


@pytest.mark.parametrize(
    ("body", "scope", "identity"),
    [
        (LoginSlot(3, "@123", WORK, None).body(), "@124", WORK),
        (LoginSlot(3, "@123", WORK, None).body(), "@123", ADA),
        (["@123", WORK.body()], "@123", WORK),
        (["@123", WORK.body(), "text"], "@123", WORK),
        (None, "@123", WORK),
    ],
)
def test_a_slot_of_another_place_or_shape_is_refused(body: Any, scope: str, identity: Identity) -> None:
    with pytest.raises(Refusal) as caught:
        read_slot(3, body, scope, identity)
    assert caught.value.error is errors.DATA_INTEGRITY_ERROR
