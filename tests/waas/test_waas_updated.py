"""An embedded wallet whose configuration has been updated: chains that know the first one take what is relayed, and so
do those that know the newest.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from evm.address import Address, checksum, parse_address
from evm.wallet.abi import selector
from protocol.relaying import ChainCall
from simulator.chain_node import wallet_chain
from tests.appliance import World
from tests.enclave_wallet.wallet_support import STRANGER, SmartUser, address_of
from tests.waas.embedded import CHAIN, Application, scopes
from tests.waas.relays import KeepingRelay

FRIEND = Address(b"\x99" * 20)
MAIL = "user@example.com"


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = World(pki_folder, scopes=scopes(rights=["sign_payload", "update_wallet"]))
    made.relay = KeepingRelay()
    await made.boot()
    yield made
    await made.stop()


async def updated(world: World) -> tuple[Application, str]:
    """A user on both wires, who has added a device; and the image hash of the newest configuration."""
    app = Application(world)
    await app.sign_in_by_mail(MAIL)
    world.clock.advance_s(2)
    user = await SmartUser.logged_in(world, MAIL)
    change = {"type": "add-device", "address": checksum(address_of(STRANGER))}
    described = await user.ask("UpdateConfiguration", change=change)
    signed = await user.ask("UpdateConfiguration", change=change, imageHash=described["imageHash"])
    await user.ask("ConfirmUpdate", imageHash=described["imageHash"], signature=signed["update"]["partial"])
    return app, described["imageHash"]


async def send(app: Application, identifier: str, *calls: dict[str, Any]) -> Any:
    listed = [*calls, {"type": "transaction", "to": checksum(FRIEND), "value": "7", "data": "0x"}]
    data = {"network": str(CHAIN), "identifier": identifier, "transactions": listed}
    answer = await app.of_wallet("sendTransaction", **data)
    assert answer["code"] == "transactionReceipt", answer
    return app.world.relay.sent[-1]


async def test_updated_wallet_is_created_and_executes_whichever_configuration_the_chain_knows(world: World) -> None:
    app, _ = await updated(world)
    chain = wallet_chain(CHAIN)
    chain.fund(parse_address(app.wallet), 100)

    def done(call: ChainCall) -> bool:
        return chain.execute(Address(call.to), call.data).status

    first = await send(app, "one")
    assert done(first.create_and_execute)
    second = await send(app, "two")
    newest, from_first = second.execute
    assert not done(newest), "the chain knows the first configuration"
    assert done(from_first)
    assert chain.balance(FRIEND) == 14


async def test_wallet_changes_who_acts_for_it_by_no_transaction_of_an_intent(world: World) -> None:
    """Not even to a configuration that it knows: an intent has no words for that."""
    app, image_hash = await updated(world)
    data = "0x" + selector("updateImageHash(bytes32)").hex() + image_hash[2:]
    settle = {"type": "transaction", "to": app.wallet, "value": "0", "data": data}
    asked = {"network": str(CHAIN), "identifier": "settle", "transactions": [settle]}
    refused = await app.of_wallet("sendTransaction", **asked)
    assert refused["cause"] == "intent is invalid: intent-call-self"
    assert world.relay.sent == []
