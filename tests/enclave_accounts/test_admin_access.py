"""Who may administer, and what an admin call is bound to (section 8, defect 19)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.errors import BootError
from tests.appliance import Refused, World, config
from tests.enclave_accounts.administration import ADMIN, Administrator
from tests.enclave_accounts.people import ADA, Person, code_of, refused

METHODS = {
    "RotateCipherKey": {"keyRef": "1"},
    "RefreshEncryptedData": {"table": "Signers", "keyRef": "1", "batch": 10},
    "CleanupUnusedCipherKeys": {},
}


@pytest.fixture(params=[True, False], ids=["secp256k1", "p256"])
async def admin(pki_folder: Path, request: Any) -> AsyncIterator[Administrator]:
    made = Administrator(ethereum=request.param)
    world = made.world(pki_folder)
    await world.boot()
    yield made
    await world.stop()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What the enclave's log says of admins."""
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in said if line["event"] == "admin"]


@pytest.mark.parametrize("method", METHODS)
async def test_no_key_but_those_of_the_configuration_may_call(admin: Administrator, method: str) -> None:
    stranger = Administrator()
    stranger.client.world = admin.client.world
    before = dict(admin.client.world.store.rows)
    assert await code_of(stranger.call(method, **METHODS[method])) == 7007
    assert admin.client.world.store.rows == before
    user = Person(admin.client.world)
    await user.log_in(ADA)
    stranger.client = user.client
    assert await code_of(stranger.call(method, **METHODS[method])) == 7007


@pytest.mark.parametrize("method", METHODS)
async def test_without_an_admin_in_the_configuration_nobody_may(pki_folder: Path, method: str) -> None:
    anybody = Administrator()
    anybody.client.world = World(pki_folder)
    await anybody.client.world.boot()
    assert await code_of(anybody.call(method, **METHODS[method])) == 7007
    await anybody.client.world.stop()


@pytest.mark.parametrize("method", METHODS)
async def test_the_bare_arguments_of_the_original_are_refused(admin: Administrator, method: str) -> None:
    assert await refused(admin.client.send(ADMIN + method, METHODS[method])) == (7200, "params is required")


async def test_a_call_counts_once(admin: Administrator) -> None:
    envelope = admin.client.envelope(admin.params("CleanupUnusedCipherKeys"))
    assert await admin.client.send(ADMIN + "CleanupUnusedCipherKeys", envelope) == {"deleted": 0}
    assert await code_of(admin.client.send(ADMIN + "CleanupUnusedCipherKeys", envelope)) == 7206
    await admin.client.world.boot()
    assert await code_of(admin.client.send(ADMIN + "CleanupUnusedCipherKeys", envelope)) == 7206


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"method": ADMIN + "RotateCipherKey"}, 7200),
        ({"method": None}, 7200),
        ({"deployment": "another-deployment"}, 7200),
        ({"deployment": None}, 7200),
        ({"nonce": None}, 7200),
        ({"expires": None}, 7200),
        ({"expires": 1}, 7305),
        ({"expires": 2**52}, 7305),
        ({"surprise": 1}, 7200),
    ],
)
async def test_a_call_is_bound_to_method_deployment_and_time(
    admin: Administrator, changes: dict[str, Any], code: int
) -> None:
    assert await code_of(admin.call("CleanupUnusedCipherKeys", **changes)) == code


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"keyRef": "7"}, 0),
        ({"keyRef": ""}, 0),
        ({"keyRef": "-1"}, 0),
        ({"keyRef": "1" * 31}, 0),
        ({"keyRef": 1}, -4),
        ({"table": "CipherKeys"}, 7200),
        ({"table": None}, 7200),
        ({"batch": 0}, -4),
        ({"batch": "10"}, -4),
        ({"batch": True}, -4),
        ({"batch": None}, -4),
        ({}, 0),
    ],
)
async def test_odd_arguments_are_refused(admin: Administrator, members: dict[str, Any], code: int) -> None:
    """The last one asks to refresh what lies under the key in use."""
    arguments = METHODS["RefreshEncryptedData"] | members
    assert await code_of(admin.call("RefreshEncryptedData", **arguments)) == code


@pytest.mark.parametrize("table", ["AuthCommitments", "AuthKeys"])
async def test_tables_that_no_holder_key_closes_are_done_at_once(admin: Administrator, table: str) -> None:
    assert await admin.refresh("1", table=table)


async def test_the_answer_names_the_published_schema(admin: Administrator) -> None:
    body = json.dumps(admin.client.envelope(admin.params("CleanupUnusedCipherKeys"))).encode()
    answer = await admin.client.world.raw(ADMIN + "CleanupUnusedCipherKeys", body)
    assert answer.headers["webrpc"] == "webrpc@v0.23.1;gen-golang@v0.17.0;identity-instrument@v0.1.0"


async def test_every_call_of_an_admin_leaves_a_line(admin: Administrator, capsys: pytest.CaptureFixture[str]) -> None:
    await admin.rotate("1")
    assert await code_of(admin.rotate("9")) == 0
    expected = [("RotateCipherKey", "operations", "done"), ("RotateCipherKey", "operations", "WebrpcEndpoint")]
    assert [(line["method"], line["admin"], line["outcome"]) for line in lines(capsys)] == expected


async def test_strangers_leave_none(admin: Administrator, capsys: pytest.CaptureFixture[str]) -> None:
    stranger = Administrator()
    stranger.client.world = admin.client.world
    with pytest.raises(Refused):
        await stranger.rotate("1")
    assert lines(capsys) == []


@pytest.mark.parametrize(
    "admins",
    [
        [{"name": "a", "key_type": "Ethereum_Secp256k1", "address": "0x" + "AB" * 20}],
        [{"name": "a", "key_type": "Ethereum_Secp256k1", "address": "0x" + "ab" * 19}],
        [{"name": "a", "key_type": "WebCrypto_Secp256r1", "address": "0x" + "ab" * 20}],
        [{"name": "a b", "key_type": "Ethereum_Secp256k1", "address": "0x" + "ab" * 20}],
        [{"name": "a", "key_type": "RSA", "address": "0x" + "ab" * 20}],
        [{"name": "a", "key_type": "Ethereum_Secp256k1", "address": f"0x{i:040x}"} for i in range(2)],
        [{"name": f"a{i}", "key_type": "Ethereum_Secp256k1", "address": "0x" + "ab" * 20} for i in range(2)],
        [{"name": f"a{i}", "key_type": "Ethereum_Secp256k1", "address": f"0x{i:040x}"} for i in range(9)],
    ],
)
def test_odd_admins_refuse_the_boot(admins: list[dict[str, str]]) -> None:
    with pytest.raises(BootError, match="config-"):
        config(admins=admins)
