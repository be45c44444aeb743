"""Relays as a host's file describes them: which chain goes where."""

import json
from pathlib import Path

import httpx
import pytest

from host_proxy.config import Enclave, HostConfig, validate_config
from host_proxy.errors import ConfigError
from host_proxy.relay.config import RelayConfig, RelayerConfig
from host_proxy.relay.configured import configured_relays
from host_proxy.relay.node_relay import NodeRelay
from host_proxy.relay.outbox import Outbox
from host_proxy.relay.port import Operation
from host_proxy.relay.sequence_relay import SequenceRelay

NODE = "http://node.example"


def host(folder: Path, chain_id: int = 10) -> HostConfig:
    account = RelayConfig(
        chain_id=137, node=NODE, signer=NODE, account="0x" + "11" * 20, journal=str(folder / "journal")
    )
    relayer = RelayerConfig(
        chain_id=chain_id, url="http://relayer.example", access_key="key", node=NODE, outbox=str(folder / "outbox")
    )
    enclave = Enclave(address="vsock://16:5000")
    return HostConfig(version=1, enclave=enclave, store="store", relays=(account,), relayers=(relayer,))


def test_each_chain_has_the_relay_that_is_configured_for_it(tmp_path: Path) -> None:
    config = host(tmp_path)
    validate_config(config)
    relays = configured_relays(config)
    assert isinstance(relays._chain(137).relay, NodeRelay)
    assert isinstance(relays._chain(10).relay, SequenceRelay)


def test_chain_has_one_of_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="config-relays-alike"):
        validate_config(host(tmp_path, chain_id=137))


async def test_relayer_that_has_taken_an_operation_is_busy_for_its_wallet(tmp_path: Path) -> None:
    status, asked = {"status": "UNKNOWN"}, list[dict[str, object]]()

    async def respond(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        if request.url.path.endswith("SendMetaTxn"):
            status["status"] = "QUEUED"
            return httpx.Response(200, json={"status": True, "txnHash": "11" * 32})
        return httpx.Response(200, json={"receipt": {"id": "11" * 32, **status}})

    http = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    relay = SequenceRelay("http://relayer.example", Outbox(tmp_path / "outbox"), http=http)
    wallet = "0x" + "22" * 20
    assert not await relay.is_busy_for(wallet)
    await relay.send([Operation("0x" + "11" * 32, wallet, "0x", wallet, "quote")])
    assert {"call": {"walletAddress": wallet, "contract": wallet, "input": "0x"}, "quote": "quote"} in asked
    assert await relay.is_busy_for(wallet)
    assert not await relay.is_busy_for("0x" + "23" * 20)
    status["status"] = "SUCCEEDED"
    assert not await relay.is_busy_for(wallet)
