"""A node of a simulated chain for wallets: JSON-RPC over HTTP, as relays and people's libraries ask it.

Trust side: simulator. Every transaction gets a block at once, and all of it is gone when the process ends. It signs for
one account, which pays gas and has enough of it, and gives coins to whoever asks (`simulator_fund`).
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import coincurve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from evm.address import ZERO_ADDRESS, Address, address_from_public_key, checksum, parse_address
from evm.errors import EvmError
from evm.fields import hex_bytes
from evm.signature import parse_recoverable
from evm.transaction import Transaction, TransactionType, transaction_hash
from simulator.asgi import AsgiServer, serve
from simulator.chain import ChainError, LocalChain, Receipt
from simulator.wallet_contracts import CODE, computed_contracts

CHAIN_ID: Final = 31337
_GAS_KEY: Final = coincurve.PrivateKey(b"pays gas on the simulated chain.")
_GAS_WEI: Final = 10**24
_GWEI: Final = 10**9
_MAX_BYTES: Final = 1024 * 1024
_INVALID, _NO_METHOD, _FAILED = -32602, -32601, -32000


def gas_account() -> str:
    """The account for which the node signs, as 0x and lower-case hex."""
    return "0x" + _address_of(_GAS_KEY).hex()


def wallet_chain(chain_id: int = CHAIN_ID) -> LocalChain:
    """A chain with the contracts of wallets, and an account that pays gas."""
    computed = computed_contracts(chain_id)
    chain = LocalChain(chain_id, dict.fromkeys(computed, CODE), computed)
    chain.fund(_address_of(_GAS_KEY), _GAS_WEI)
    return chain


class ChainNode:
    """Answers for one chain."""

    def __init__(self, chain: LocalChain) -> None:
        self._chain = chain
        self._receipts: dict[str, dict[str, Any]] = {}
        self._turn = asyncio.Lock()
        self._methods: Mapping[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(chain.chain_id),
            "net_version": lambda: str(chain.chain_id),
            "eth_blockNumber": lambda: hex(chain.block_number),
            "eth_gasPrice": lambda: hex(chain.base_fee + _GWEI),
            "eth_maxPriorityFeePerGas": lambda: hex(_GWEI),
            "eth_getBlockByNumber": self._block,
            "eth_getBalance": lambda account, *_: hex(chain.balance(parse_address(account))),
            "eth_getCode": lambda account, *_: "0x" + chain.code(parse_address(account)).hex(),
            "eth_getTransactionCount": self._count,
            "eth_getTransactionReceipt": lambda name: self._receipts.get(name),
            "eth_getTransactionByHash": lambda name: {"hash": name} if name in self._receipts else None,
            "eth_call": lambda call, *_: "0x" + chain.call(**_call(call)).hex(),
            "eth_estimateGas": lambda call, *_: hex(chain.estimate(**_call(call))),
            "eth_sendRawTransaction": self._send,
            "eth_signTransaction": _sign,
            "simulator_fund": self._fund,
        }

    def serve(self, host: str, port: int) -> AsgiServer:
        """A listening server; port 0 takes a free one."""
        return serve(Starlette(routes=[Route("/", self._answer, methods=["POST"])]), host, port, None)

    async def _answer(self, request: Request) -> Response:
        if int(request.headers.get("content-length", _MAX_BYTES)) > _MAX_BYTES:
            return Response(status_code=413)
        try:
            asked = await request.json()
        except ValueError:
            return Response(status_code=400)
        async with self._turn:
            if isinstance(asked, list):
                return JSONResponse([await asyncio.to_thread(self._one, each) for each in asked])
            return JSONResponse(await asyncio.to_thread(self._one, asked))

    def _one(self, asked: Any) -> dict[str, Any]:
        """The answer to one request: a result, or an error with a reason in words."""
        found = asked if isinstance(asked, dict) else {}
        head = {"jsonrpc": "2.0", "id": found.get("id")}
        method = self._methods.get(str(found.get("method")))
        if method is None:
            return head | _error(_NO_METHOD, "no such method")
        try:
            return head | {"result": method(*found.get("params", []))}
        except ChainError as error:
            return head | _error(_FAILED, str(error))
        except (EvmError, TypeError, ValueError, KeyError) as error:
            return head | _error(_INVALID, f"{type(error).__name__}: {error}")

    def _block(self, *_: Any) -> dict[str, str]:
        return {"number": hex(self._chain.block_number), "baseFeePerGas": hex(self._chain.base_fee)}

    def _count(self, account: str, at: str = "latest") -> str:
        block = None if at in ("latest", "pending") else int(at, 16)
        return hex(self._chain.nonce(parse_address(account), block))

    def _send(self, raw: str) -> str:
        data = hex_bytes(raw, "transaction", most=_MAX_BYTES)
        name = "0x" + transaction_hash(data).hex()
        if name in self._receipts:
            raise ChainError("already known")
        self._receipts[name] = _receipt(self._chain.send_raw(data))
        return name

    def _fund(self, account: str, wei: str) -> str:
        done = self._chain.fund(parse_address(account), int(wei, 0))
        self._receipts["0x" + done.hash.hex()] = _receipt(done)
        return "0x" + done.hash.hex()


def _call(value: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a read-only call."""
    return {
        "to": parse_address(value["to"]),
        "data": hex_bytes(value.get("data", value.get("input", "0x")), "call", most=_MAX_BYTES),
        "sender": parse_address(value["from"]) if "from" in value else ZERO_ADDRESS,
        "value": int(value.get("value", "0x0"), 16),
    }


def _sign(value: Mapping[str, Any]) -> str:
    """A transaction of the gas account, signed."""
    numbers = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "value")
    chain_id, nonce, tip, most, gas, wei = (int(value[name], 16) for name in numbers)
    if value["from"].lower() != gas_account():
        raise ValueError("the node signs for one account only")
    tx = Transaction(
        type=TransactionType.DYNAMIC_FEE,
        chain_id=chain_id,
        nonce=nonce,
        max_priority_fee_per_gas=tip,
        max_fee_per_gas=most,
        gas=gas,
        to=parse_address(value["to"]),
        value=wei,
        data=hex_bytes(value["data"], "transaction", most=_MAX_BYTES),
    )
    by = parse_recoverable(_GAS_KEY.sign_recoverable(tx.digest, hasher=None))
    return "0x" + tx.signed(by.r, by.s, by.y_parity).hex()


def _receipt(receipt: Receipt) -> dict[str, Any]:
    """As nodes write it, the members that somebody reads."""
    place = {"transactionHash": "0x" + receipt.hash.hex(), "blockNumber": hex(receipt.block_number)}
    logs = [
        {
            "address": checksum(log.address),
            "topics": ["0x" + topic.hex() for topic in log.topics],
            "data": "0x" + log.data.hex(),
            "logIndex": hex(index),
            **place,
        }
        for index, log in enumerate(receipt.logs)
    ]
    contract = None if receipt.contract is None else checksum(receipt.contract)
    found = {"status": hex(receipt.status), "gasUsed": hex(receipt.gas_used), "logs": logs, "contractAddress": contract}
    return place | {"transactionIndex": "0x0"} | found


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _address_of(key: coincurve.PrivateKey) -> Address:
    return address_from_public_key(key.public_key.format(compressed=False))
