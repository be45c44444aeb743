"""Transactions of embedded wallets, up to a mined one on a local node, and over restarts of everything."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from enclave.errors import RelayError
from evm.intents.bundle import bundle_of
from evm.intents.names import parse_intent_data
from evm.intents.wallet_data import SendTransaction
from evm.wallet.context import GUEST_MODULE
from host_proxy.errors import RelayFault
from host_proxy.relay.fees import FeeRules
from host_proxy.relay.journal import Journal
from host_proxy.relay.node import Node
from host_proxy.relay.node_relay import NodeRelay, Patience
from host_proxy.relay.rpc import JsonRpc
from host_proxy.relay.transactions import RemoteSigner
from host_proxy.relay.wallet_relay import ChainRelay, WalletRelays
from protocol.relaying import Relayed, RelayFees, RelayStatus
from tests.appliance import World
from tests.evm_intents.samples import TRANSACTIONS
from tests.instrument_wire.wire import running
from tests.relay import chain as chains
from tests.relay.chain import ACCOUNT, GWEI
from tests.waas.embedded import CHAIN, Application, scopes
from tests.waas.relays import HASH, KeepingRelay, verify_relayed
from tests.waas.test_waas_client import installed, live  # noqa: F401  a fixture

TRANSFER = TRANSACTIONS["erc20send"]


@pytest.fixture
async def relay(world: World) -> KeepingRelay:
    world.relay = KeepingRelay()
    await world.boot()
    return world.relay  # type: ignore[no-any-return]


def sending(*transactions: dict[str, Any], identifier: str = "one") -> dict[str, Any]:
    return {"network": str(CHAIN), "identifier": identifier, "transactions": list(transactions)}


async def signed_in(world: World) -> Application:
    app = Application(world)
    await app.sign_in_as_guest()
    return app


@pytest.mark.parametrize("name", TRANSACTIONS)
async def test_what_is_relayed_is_the_bundle_that_the_intent_means(
    world: World, relay: KeepingRelay, name: str
) -> None:
    app = await signed_in(world)
    data = sending(TRANSACTIONS[name], TRANSFER)
    answer = await app.of_wallet("sendTransaction", **data)
    [sent] = relay.sent
    intent = parse_intent_data("sendTransaction", {"wallet": app.wallet, **data})
    assert isinstance(intent, SendTransaction)
    meant = bundle_of(intent).operation
    assert (sent.chain_id, sent.id) == (CHAIN, meant.digest)
    assert answer["code"] == "transactionReceipt"
    assert answer["data"]["metaTxHash"] == meant.digest.hex()
    assert answer["data"]["request"] == {"wallet": app.wallet, **data}
    verify_relayed(sent, meant, app.wallet)


@pytest.mark.parametrize(
    ("status", "tx_hash", "name"),
    [
        (RelayStatus("pending", HASH), "", "QUEUED"),
        (RelayStatus("mined", HASH, True, json.dumps({"logs": [1]})), HASH, "SUCCEEDED"),
        (RelayStatus("final", HASH, True, "not JSON"), HASH, "SUCCEEDED"),
    ],
)
async def test_receipt_is_told_as_clients_read_it(
    world: World, relay: KeepingRelay, status: RelayStatus, tx_hash: str, name: str
) -> None:
    app = await signed_in(world)
    relay.answer = status
    asked = {"network": str(CHAIN), "metaTxHash": "ab" * 32}
    for answer in (
        await app.of_wallet("getTransactionReceipt", **asked),
        await app.of_wallet("sendTransaction", **sending(TRANSFER)),
    ):
        assert answer["code"] == "transactionReceipt"
        assert (answer["data"]["txHash"], answer["data"]["receipt"]["status"]) == (tx_hash, name)
        assert answer["data"]["receipt"]["txnReceipt"] == (status.receipt or "")


async def test_failures_of_a_transaction_and_of_the_relay(world: World, relay: KeepingRelay) -> None:
    app = await signed_in(world)
    relay.answer = RelayStatus("final", HASH, False, "{}")
    failed = await app.of_wallet("sendTransaction", **sending(TRANSFER, identifier="1"))
    assert (failed["code"], failed["data"]["error"]) == ("transactionFailed", "reverted")
    relay.answer = RelayError("relay-would-revert")
    failed = await app.of_wallet("sendTransaction", **sending(TRANSFER, identifier="2"))
    assert (failed["code"], failed["data"]["error"]) == ("transactionFailed", "relay-would-revert")
    relay.answer = RelayError("relay-unreachable")
    refused = await app.of_wallet("sendTransaction", **sending(TRANSFER, identifier="3"))
    assert refused["cause"] == "relay-unreachable"
    relay.answer = RelayError("relay-unknown")
    asked = {"network": str(CHAIN), "metaTxHash": "ab" * 32}
    assert (await app.of_wallet("getTransactionReceipt", **asked))["cause"] == "relay-unknown"


async def test_nothing_is_signed_for_another_chain_or_wallet(world: World, relay: KeepingRelay) -> None:
    app = await signed_in(world)
    other = {**sending(TRANSFER), "network": "1"}
    assert (await app.of_wallet("sendTransaction", **other))["cause"] == "intent is invalid: intent-chain"
    app.wallet = "0x" + "11" * 20
    refused = await app.of_wallet("sendTransaction", **sending(TRANSFER))
    assert refused["cause"] == "intent is invalid: intent-wallet"
    assert relay.sent == []


async def test_encoders_that_disagree_sign_and_relay_nothing(
    world: World, relay: KeepingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await signed_in(world)
    monkeypatch.setattr("evm.cross_check._hash", lambda _: bytes(32))
    refused = await app.of_wallet("sendTransaction", **sending(TRANSFER))
    assert refused["cause"] == "encoders-disagree"
    message = await app.of_wallet("signMessage", network=str(CHAIN), message="0x12")
    assert message["cause"] == "encoders-disagree"
    assert relay.sent == []


async def test_fees_are_the_tenants(world: World, relay: KeepingRelay) -> None:
    app = await signed_in(world)
    answer = await app.of_wallet("feeOptions", **sending(TRANSFER))
    assert answer == {"code": "feeOptions", "data": {"feeOptions": []}}
    assert relay.sent == []
    await app.of_wallet("sendTransaction", **sending(TRANSFER))
    [priced], [sent] = relay.priced, relay.sent
    assert (priced.id, priced.quote) == (sent.id, sent.quote) == (sent.id, None)
    assert b"" not in (priced.execute[0].data, priced.create_and_execute.data)
    assert priced.execute[0].data != sent.execute[0].data, "it is not signed yet"


OPTION: dict[str, Any] = {
    "token": {"chainId": CHAIN, "name": "USD", "symbol": "USD", "type": "erc20Token", "decimals": 6,
              "logoURL": "", "contractAddress": "0x" + "22" * 20},
    "to": "0x" + "33" * 20, "value": "1500", "gasLimit": 60000,
}  # fmt: skip


async def test_relayers_fee_is_shown_and_its_quote_goes_back_to_it(world: World, relay: KeepingRelay) -> None:
    app = await signed_in(world)
    relay.price = RelayFees(json.dumps([OPTION]), "quote-1")
    answer = await app.of_wallet("feeOptions", **sending(TRANSFER))
    assert answer == {"code": "feeOptions", "data": {"feeOptions": [OPTION], "feeQuote": "quote-1"}}
    fee = {"type": "erc20send", "tokenAddress": "0x" + "22" * 20, "to": OPTION["to"], "value": OPTION["value"]}
    await app.of_wallet("sendTransaction", **sending(TRANSFER, fee), transactionsFeeQuote="quote-1")
    assert relay.sent[-1].quote == "quote-1"


@pytest.mark.parametrize(
    "options",
    [
        "{}", "[5]", "no JSON", json.dumps([OPTION | {"to": "0x12"}]), json.dumps([OPTION | {"value": "-1"}]),
        json.dumps([OPTION | {"more": 1}]), json.dumps([OPTION | {"token": {}}]), json.dumps([OPTION] * 33),
        json.dumps([OPTION | {"token": OPTION["token"] | {"chainId": 1}}]),
    ],
)  # fmt: skip
async def test_fees_of_another_form_or_chain_are_not_shown(world: World, relay: KeepingRelay, options: str) -> None:
    app = await signed_in(world)
    relay.price = RelayFees(options)
    assert (await app.of_wallet("feeOptions", **sending(TRANSFER)))["cause"] == "relay-malformed"


# --- on a real node ---


class HostsRelay:
    """The host's relays, without the frames between."""

    def __init__(self, relays: WalletRelays) -> None:
        self._relays = relays

    async def send(self, relayed: Relayed) -> RelayStatus:
        try:
            return await self._relays.send(relayed)
        except RelayFault as fault:
            raise RelayError(fault.code) from None

    async def fees(self, relayed: Relayed) -> RelayFees:
        try:
            return await self._relays.fees(relayed)
        except RelayFault as fault:
            raise RelayError(fault.code) from None

    async def status(self, chain_id: int, id_: bytes) -> RelayStatus:
        try:
            return await self._relays.status(chain_id, id_)
        except RelayFault as fault:
            raise RelayError(fault.code) from None


@asynccontextmanager
async def relaying(chain: chains.Chain, path: Path) -> AsyncIterator[HostsRelay]:
    """One life of a host's relay."""
    rpc = JsonRpc(chain.url)
    journal = Journal(path, chain_id=CHAIN, account=ACCOUNT)
    rules, patience = FeeRules(100 * GWEI, 3_000_000), Patience(confirmations=1)
    relay = NodeRelay(Node(rpc), RemoteSigner(rpc, ACCOUNT), journal, chain_id=CHAIN, rules=rules, patience=patience)
    relays = WalletRelays({CHAIN: ChainRelay(relay, Node(rpc))}, every_s=0.1)
    relays.start()
    try:
        yield HostsRelay(relays)
    finally:
        await relays.close()
        journal.close()
        await rpc.close()


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chains.anvil(tmp_path_factory)


@pytest.fixture
async def chain(anvil: Path, tmp_path: Path) -> AsyncIterator[chains.Chain]:
    """A chain on which the guest module takes everything: what wallets check is tested with the wallets."""
    async with chains.running(anvil, tmp_path, CHAIN) as made:
        await made.rpc.call("anvil_setCode", "0x" + GUEST_MODULE.hex(), "0x00")
        yield made


async def test_hash_comes_back_after_restarts_of_enclave_and_host_and_nothing_happens_twice(
    world: World, chain: chains.Chain, tmp_path: Path
) -> None:
    await chain.automine(False)
    async with relaying(chain, tmp_path / "journal") as world.relay:
        await world.boot()
        app = await signed_in(world)
        sent = await app.of_wallet("sendTransaction", **sending(TRANSFER))
        assert sent["data"]["txHash"] == ""
    asked = {"network": str(CHAIN), "metaTxHash": sent["data"]["metaTxHash"]}
    await chain.automine(True)
    async with relaying(chain, tmp_path / "journal") as world.relay:
        await world.boot()
        world.clock.advance_s(2)
        await app.sign_in_as_guest()
        again = await app.of_wallet("sendTransaction", **sending(TRANSFER))
        assert again["data"]["metaTxHash"] == sent["data"]["metaTxHash"]
        await chain.mine()
        for _ in range(200):
            found = await app.of_wallet("getTransactionReceipt", **asked)
            if found["data"]["txHash"]:
                break
            await asyncio.sleep(0.05)
    receipt = await chain.rpc.call("eth_getTransactionReceipt", found["data"]["txHash"])
    assert (receipt["status"], receipt["to"]) == ("0x1", "0x" + GUEST_MODULE.hex())
    assert await chain.nonce() == 1, "one transaction of the gas account"


@pytest.mark.parametrize("curve", ["k1", "r1"])
async def test_published_client_gets_the_hash_of_a_mined_transaction(
    installed: Path,  # noqa: F811
    pki_folder: Path,
    chain: chains.Chain,
    tmp_path: Path,
    curve: str,
) -> None:
    async with running(pki_folder, scopes=scopes()) as wire, relaying(chain, tmp_path / "journal") as relay:
        wire.world.relay = relay
        await wire.world.boot()
        outcome = await live(installed, wire, curve, script="send.mjs")
    assert len(outcome["hashes"]) == len(set(outcome["hashes"])) == 6
    for tx_hash in outcome["hashes"]:
        receipt = await chain.rpc.call("eth_getTransactionReceipt", tx_hash)
        assert receipt["status"] == "0x1"
    assert await chain.nonce() == 6
