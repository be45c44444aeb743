"""A thousand logins at once, of a thousand people and of one: every record fits every other (RB-02, SE-10)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from protocol import errors
from tests.appliance import Client, Refused
from tests.enclave_login.code_flow import CodeWorld, code_world
from tests.enclave_login.test_id_token_login import issue, log_in

pytestmark = pytest.mark.timeout(600)  # ten seconds each on an idle machine

MANY, AT_ONCE = 1000, 250  # one connection of the host carries 256 requests


@pytest.fixture
async def coded(pki_folder: Path) -> AsyncIterator[CodeWorld]:
    async with code_world(pki_folder) as made:
        yield made


async def log_in_all(coded: CodeWorld, subjects: list[str]) -> list[tuple[Client, Any]]:
    """Each subject on a device of its own, many at once; what came of each."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(subject: str) -> tuple[Client, Any]:
        client = Client(coded.world)
        async with gate:
            token, expires_s = issue(coded, sub=subject)
            try:
                return client, await log_in(client, token, expires_s)
            except Refused as refusal:
                return client, refusal

    return await asyncio.gather(*(one(subject) for subject in subjects))


async def test_thousand_people_get_a_wallet_each(coded: CodeWorld) -> None:
    done = await log_in_all(coded, [f"user-{number}" for number in range(MANY)])
    assert [result for _, result in done if isinstance(result, Refused)] == []
    assert len({result["signer"]["address"] for _, result in done}) == MANY
    tables = Counter(table for table, _ in coded.world.store.rows)
    assert tables["account"] == tables["login"] == tables["device"] == tables["spent"] == MANY
    for client, result in done[::100]:
        assert (await client.sign(result["signer"]["address"], bytes(32)))["signature"]
    await coded.world.boot()
    again = await log_in_all(coded, [f"user-{number}" for number in range(0, MANY, 50)])
    assert [result["signer"] for _, result in again] == [result["signer"] for _, result in done[::50]]


async def test_one_person_gets_one_wallet_however_many_devices_come_at_once(coded: CodeWorld) -> None:
    done = await log_in_all(coded, ["one"] * MANY)
    refusals = Counter(result.code for _, result in done if isinstance(result, Refused))
    assert set(refusals) <= {errors.BUSY.code}, "others were in the way; nothing worse"
    logged_in = [(client, result) for client, result in done if not isinstance(result, Refused)]
    assert len({result["signer"]["address"] for _, result in logged_in}) == 1
    tables = Counter(table for table, _ in coded.world.store.rows)
    assert tables["account"] == tables["login"] == 1
    await coded.world.boot()
    [(client, result)] = await log_in_all(coded, ["one"])
    assert result["signer"] == logged_in[0][1]["signer"]
    assert (await client.sign(result["signer"]["address"], bytes(32)))["signature"]
