"""The node of the simulated chain, as relays ask it, and as anybody does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from evm.address import parse_address
from evm.wallet.context import GUEST_MODULE
from evm.wallet.payload import Call
from host_proxy.errors import RelayFault
from host_proxy.relay.config import RelayConfig
from host_proxy.relay.configured import node_relay
from host_proxy.relay.wallet_relay import ChainRelay, WalletRelays
from protocol.relaying import ChainCall, Relayed
from simulator.chain import LocalChain
from simulator.chain_node import CHAIN_ID, ChainNode, gas_account, wallet_chain
from tests.simulator_chain.test_wallet_chain import FRIEND, Wallet


@pytest.fixture
def chain() -> LocalChain:
    return wallet_chain()


@pytest.fixture
async def url(chain: LocalChain) -> AsyncIterator[str]:
    async with ChainNode(chain).serve("127.0.0.1", 0) as node:
        yield f"http://127.0.0.1:{node.port}"


@pytest.fixture
async def relay(url: str, tmp_path: Path) -> ChainRelay:
    journal = str(tmp_path / "journal")
    return node_relay(
        RelayConfig(chain_id=CHAIN_ID, node=url, signer=url, account=gas_account(), journal=journal, confirmations=1)
    )


async def ask(url: str, method: str, *params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = (await http.post(url, json=body)).json()
    assert answer["id"] == 7
    return answer.get("result", answer.get("error"))


def relayed(wallet: Wallet, space: int) -> Relayed:
    operation = wallet.calls([Call(FRIEND, 7)], space=space)
    execute = ChainCall(wallet.address, wallet.execute(operation))
    create = ChainCall(GUEST_MODULE, wallet.first(operation))
    return Relayed(CHAIN_ID, operation.digest, wallet.address, (execute,), create)


async def test_two_first_transactions_of_one_wallet_both_happen_and_it_is_created_once(
    chain: LocalChain, relay: ChainRelay
) -> None:
    wallet = Wallet()
    chain.fund(wallet.address, 1000)
    relays = WalletRelays({CHAIN_ID: relay})
    both = [relayed(wallet, space) for space in (1, 2)]
    await asyncio.gather(*map(relays.send, both))
    found = [await relays.status(CHAIN_ID, each.id) for each in both]
    assert [each.succeeded for each in found] == [True, True]
    assert chain.balance(FRIEND) == 14
    assert chain.nonce(parse_address(gas_account())) == 2


async def test_operation_that_the_wallet_would_refuse_costs_nothing(chain: LocalChain, relay: ChainRelay) -> None:
    wallet = Wallet()
    with pytest.raises(RelayFault, match="relay-would-revert"):
        await WalletRelays({CHAIN_ID: relay}).send(relayed(wallet, 1))
    assert chain.nonce(parse_address(gas_account())) == 0


async def test_anybody_gets_coins_and_reads_the_chain(url: str, chain: LocalChain) -> None:
    account = "0x" + FRIEND.hex()
    name = await ask(url, "simulator_fund", account, "0x5")
    assert await ask(url, "eth_getBalance", account, "latest") == "0x5"
    assert (await ask(url, "eth_getTransactionReceipt", name))["status"] == "0x1"
    assert await ask(url, "eth_chainId") == hex(CHAIN_ID)
    assert int(await ask(url, "eth_blockNumber"), 16) == chain.block_number
    assert await ask(url, "eth_getTransactionReceipt", "0x" + "11" * 32) is None


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("eth_mining", [], -32601),
        ("eth_getBalance", ["0x12"], -32602),
        ("eth_getBalance", [], -32602),
        ("eth_sendRawTransaction", ["0x12"], -32000),
        ("eth_signTransaction", [{}], -32602),
        ("eth_call", [{"to": "0x" + "11" * 20, "value": "0xff"}], -32000),
    ],
)
async def test_what_it_cannot_do_it_says(url: str, method: str, params: list[Any], code: int) -> None:
    assert (await ask(url, method, *params))["code"] == code
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.post(url, content=b"{")).status_code == 400
