"""Many logins at once, through the enclave's own door: of as many users, and of one user (section 8, defect 5)."""

import asyncio
import json
from typing import Any

import pytest

from enclave.account import Account
from evm.keccak import keccak256
from protocol import limits
from protocol.services import RecordKey
from tests.appliance import AUDIENCE, ISSUER, SCOPE, Client, complete_params
from tests.enclave_accounts.people import accounts_of
from tests.instrument_wire.wire import Wire

CROWD = 1000
AT_ONCE = 200


async def log_in(wire: Wire, client: Client, subject: str) -> str:
    """A login by ID token; the wallet's address."""
    exp = wire.world.clock.wall_ms() // 1000 + 300
    token = wire.provider.issue_token(subject, AUDIENCE, algorithm="ES256", claims={"exp": exp})
    handle = "0x" + keccak256(token.encode()).hex()
    mode = {"identityType": "OIDC", "authMode": "IDToken"}
    commit = mode | {"scope": SCOPE, "handle": handle, "metadata": {"iss": ISSUER, "aud": AUDIENCE, "exp": str(exp)}}
    await client.call("CommitVerifier", commit)
    done = await client.call("CompleteAuth", complete_params(handle, token, **mode))
    address: str = done["signer"]["address"]
    return address


async def crowd(wire: Wire, subjects: list[str]) -> list[tuple[Client, str]]:
    """All of `subjects` log in, each with a device of its own, `AT_ONCE` at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(subject: str) -> tuple[Client, str]:
        client = Client(wire.world)
        async with gate:
            return client, await log_in(wire, client, subject)

    return await asyncio.gather(*map(one, subjects))


async def account_of(wire: Wire, key: RecordKey) -> Account:
    """The account as the store has it, opened."""
    accounts: Any = accounts_of(wire.world)
    account = await accounts._fetch(key)
    assert isinstance(account, Account)
    return account


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("users", ["many", "one"])
async def test_a_thousand_logins_leave_consistent_records(wire: Wire, users: str) -> None:
    subjects = [f"user-{i}" if users == "many" else "the-one" for i in range(CROWD)]
    people = await crowd(wire, subjects)
    addresses = {address for _, address in people}
    assert len(addresses) == len(set(subjects))
    keys = [RecordKey(table, id_) for table, id_ in wire.world.store.rows if table == "account"]
    assert len(keys) == len(addresses)
    accounts = [await account_of(wire, key) for key in keys]
    assert {account.address for account in accounts} == addresses
    listed = {device for account in accounts for device in account.devices}
    assert len(listed) == min(CROWD, len(accounts) * limits.MAX_DEVICES_PER_ACCOUNT)
    for client, address in people[:: CROWD // 20]:
        body = client.envelope(
            {"scope": SCOPE, "nonce": "0x1", "digest": "0x" + "11" * 32}
            | {"signer": {"keyType": "Ethereum_Secp256k1", "address": address}}
        )
        answer = await wire.request("/rpc/IdentityInstrument/Sign", json.dumps(body).encode())
        assert (answer.status == 200) == (client.name in listed), "who is not listed is not logged in"
