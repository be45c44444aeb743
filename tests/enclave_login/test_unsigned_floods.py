"""Requests without a good signature touch nothing, however many come (SE-03)."""

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.appliance import Client, Refused, World, commit_params, complete_params, otp_answer

EMAIL = "user@example.com"
FLOOD = 300


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = World(pki_folder)
    await made.boot()
    yield made
    await made.stop()


def forged(client: Client, params: dict[str, Any], number: int) -> dict[str, Any]:
    """An envelope of `client` whose signature is another request's, damaged, or another key's."""
    envelope = client.envelope(params)
    if number % 3 == 0:
        envelope["signature"] = client.envelope(params | {"x": number})["signature"]
    elif number % 3 == 1:
        envelope["signature"] = envelope["signature"][:-2] + f"{number % 256:02x}"
        envelope["params"] = params | {"x": number}
    else:
        envelope["signature"] = Client(client.world).envelope(params)["signature"]
    return envelope


async def test_flood_of_bad_signatures_leaves_every_state_as_it_was(world: World) -> None:
    owner, pending = Client(world), Client(world)
    signer = (await world.log_in(owner))["signer"]["address"]
    started = await pending.call("CommitVerifier", commit_params(EMAIL))
    answer = otp_answer(started["challenge"], world.mailer.last_code())
    rows, mails, reads = copy.copy(world.store.rows), len(world.mailer.sent), 0

    async def no_read(_: Any) -> Any:
        nonlocal reads
        reads += 1
        raise AssertionError

    world.store.get = no_read  # type: ignore[method-assign]
    wrong = complete_params(EMAIL, "0x00")
    sign = {"scope": "@123", "signer": {"keyType": "Ethereum_Secp256k1", "address": signer}, "nonce": "0xffff"}
    flood = [
        ("IdentityInstrument/CommitVerifier", Client(world), commit_params("other@example.com")),
        ("IdentityInstrument/CompleteAuth", pending, wrong),
        ("IdentityInstrument/Sign", owner, sign | {"digest": "0x" + "00" * 32}),
        ("Session/Revoke", owner, owner.own_params("/rpc/Session/Revoke")),
        ("Account/Freeze", owner, owner.own_params("/rpc/Account/Freeze")),
    ]
    for number in range(FLOOD):
        method, client, params = flood[number % len(flood)]
        with pytest.raises(Refused) as caught:
            await client.send(f"/rpc/{method}", forged(client, params, number))
        assert caught.value.code == 7201
    assert (world.store.rows, len(world.mailer.sent), reads) == (rows, mails, 0)
    del world.store.get  # type: ignore[method-assign]
    assert await pending.call("CompleteAuth", complete_params(EMAIL, answer)), "no try was counted"
    assert (await owner.sign(signer, bytes(32), nonce=1000))["signature"], "no nonce was spent"
