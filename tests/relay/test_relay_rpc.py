"""The exchanges of a relay, against answers of every kind; and a relayer's API in Sequence's form."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from host_proxy.errors import RelayFault
from host_proxy.relay import rpc as rpc_module
from host_proxy.relay.node import Node
from host_proxy.relay.outbox import Outbox
from host_proxy.relay.port import Operation, State
from host_proxy.relay.rpc import JsonRpc, RpcRefusal, parse_quantity
from host_proxy.relay.sequence_relay import SequenceRelay
from protocol import limits
from tests.relay.chain import operation, refusal

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(handler))


def answering(*answers: Any, status: int = 200) -> JsonRpc:
    """A node that answers the calls of one batch with these members."""

    def handle(request: httpx.Request) -> httpx.Response:
        calls = json.loads(request.content)
        body = [{"jsonrpc": "2.0", "id": call["id"], **answer} for call, answer in zip(calls, answers, strict=True)]
        return httpx.Response(status, json=body[::-1])

    return JsonRpc("http://node", http=client(handle))


def raw(content: bytes) -> JsonRpc:
    return JsonRpc("http://node", http=client(lambda _: httpx.Response(200, content=content)))


async def test_answers_of_a_batch_are_told_apart_by_their_ids() -> None:
    rpc = answering({"result": "0x1"}, {"error": {"code": -32000, "message": "no"}}, {"result": None})
    first, second, third = await rpc.batch([("a", []), ("b", [1]), ("c", [])])
    assert (first, third) == ("0x1", None)
    assert isinstance(second, RpcRefusal)
    assert second.reason == "no"
    with pytest.raises(RpcRefusal, match="-32000"):
        await answering({"error": {"code": -32000, "message": "no"}}).call("b")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"[1]", b"not JSON", b"[" * 100_000, b'[{"id": 0}]', b'[{"id": 1, "result": 1}]',
     b'[{"id": true, "result": 1}]', b'{"id": 0, "result": 1}', b'[{"id": 0, "result": 1}, {"id": 1, "result": 1}]'],
)  # fmt: skip
async def test_answers_that_are_none_are_refused(content: bytes) -> None:
    assert await refusal(raw(content).call("eth_chainId")) == "relay-answer"


async def test_answer_is_bounded() -> None:
    def sized(size: int) -> bytes:
        body = b'[{"id": 0, "result": ""}]'
        return body + b" " * (size - len(body))

    assert await raw(sized(limits.MAX_RELAY_ANSWER_BYTES)).call("a") == ""
    assert await refusal(raw(sized(limits.MAX_RELAY_ANSWER_BYTES + 1)).call("a")) == "relay-answer"


async def test_exchange_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_module.limits, "RELAY_DEADLINE_S", 0.05)

    class Slow(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            for _ in range(100):
                await asyncio.sleep(0.02)
                yield b" "

    rpc = JsonRpc("http://node", http=client(lambda _: httpx.Response(200, stream=Slow())))
    assert await refusal(rpc.call("a")) == "relay-unreachable"


async def test_node_that_cannot_be_reached_and_redirects() -> None:
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("secret-key-in-url", request=request)

    with pytest.raises(RelayFault) as fault:
        await JsonRpc("http://node/secret", http=client(unreachable)).call("a")
    assert (fault.value.code, "secret" in str(fault.value)) == ("relay-unreachable", False)
    redirect = JsonRpc("http://node", http=client(lambda _: httpx.Response(302, headers={"Location": "http://else"})))
    assert await refusal(redirect.call("a")) == "relay-answer"


@pytest.mark.parametrize("value", ["", "0x", "12", 12, None, "0x" + "1" * 65, "0xzz", "-0x1"])
def test_quantities_are_read_strictly(value: Any) -> None:
    with pytest.raises(RelayFault, match="relay-answer"):
        parse_quantity(value)


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ({"number": "0x1"}, "relay-no-base-fee"),
        (None, "relay-answer"),
        ({"baseFeePerGas": "0x1"}, "relay-answer"),
        ({"number": 1, "baseFeePerGas": "0x1"}, "relay-answer"),
    ],
)
async def test_chain_without_base_fee_and_blocks_that_are_none(block: Any, code: str) -> None:
    assert await refusal(Node(answering({"result": block}, {"result": "0x1"})).head()) == code


@pytest.mark.parametrize(
    "receipt", [{}, {"transactionHash": "0x13", "status": "0x1"}, {"transactionHash": "0x12"}, 5,
                {"transactionHash": "0x12", "status": "0x1"}],
)  # fmt: skip
async def test_receipt_of_something_else_is_refused(receipt: Any) -> None:
    assert await refusal(Node(answering({"result": receipt})).receipts(["0x12"])) == "relay-answer"


# --- a relayer's API ---


class Relayer:
    """A service in Sequence's form, which remembers what it was given and how often it was carried out."""

    def __init__(self) -> None:
        self.receipts: dict[str, dict[str, Any]] = {}
        self.sent: list[str] = []
        self.failing: dict[str, httpx.Response] = {}
        self.requests: list[httpx.Request] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        method, body = request.url.path.removeprefix("/rpc/Relayer/"), json.loads(request.content)
        if method in self.failing:
            return self.failing[method]
        if method == "SendMetaTxn":
            id_ = body["call"]["input"][2:]
            self.sent.append(id_)
            self.receipts[id_] = {"id": id_, "status": "QUEUED", "index": 0, "logs": [], "receipts": []}
            return httpx.Response(200, json={"status": True, "txnHash": id_})
        if method == "GetMetaTxnReceipt":
            found = self.receipts.get(body["metaTxID"])
            return httpx.Response(200 if found else 404, json={"receipt": found} if found else {"code": 3000})
        return httpx.Response(200, json={"options": [{"to": "0x12", "value": "1"}], "sponsored": False, "quote": "q"})

    def finish(self, sent: Operation, status: str = "SUCCEEDED") -> None:
        native = json.dumps({"transactionHash": "0xabc"})
        self.receipts[sent.id[2:]] |= {"status": status, "txnReceipt": native}


def relay_to(relayer: Relayer, path: Path) -> SequenceRelay:
    return SequenceRelay("http://relayer/", Outbox(path), access_key="key", http=client(relayer.handle))


async def test_operation_goes_to_the_relayer_once_and_its_receipt_comes_back(tmp_path: Path) -> None:
    relayer, sent = Relayer(), operation("a")
    relay = relay_to(relayer, tmp_path / "outbox")
    for _ in range(3):
        [status] = await relay.send([sent])
        assert status.state is State.PENDING
    assert relayer.sent == [sent.id[2:]]
    assert relayer.requests[0].headers["X-Access-Key"] == "key"
    relayer.finish(sent)
    await relay.advance()
    final = await relay.status(sent.id)
    assert (final.state, final.succeeded, final.tx_hash) == (State.FINAL, True, "0xabc")
    relayer.receipts.clear()
    assert await relay.send([sent]) == [final], "it is kept, whatever the relayer says later"
    assert len(relayer.sent) == 1


@pytest.mark.parametrize("status", ["FAILED", "PARTIALLY_FAILED"])
async def test_operation_that_failed_is_final_and_says_so(tmp_path: Path, status: str) -> None:
    relayer, sent = Relayer(), operation("a")
    relay = relay_to(relayer, tmp_path / "outbox")
    await relay.send([sent])
    relayer.finish(sent, status)
    assert ((await relay.send([sent]))[0].state, (await relay.status(sent.id)).succeeded) == (State.FINAL, False)


async def test_answer_that_is_lost_does_not_send_twice(tmp_path: Path) -> None:
    relayer, sent = Relayer(), operation("a")
    path = tmp_path / "outbox"
    outbox = Outbox(path)

    def losing(request: httpx.Request) -> httpx.Response:
        answer = relayer.handle(request)
        if request.url.path.endswith("SendMetaTxn"):
            raise httpx.ReadError("lost", request=request)
        return answer

    relay = SequenceRelay("http://relayer", outbox, http=client(losing))
    assert await refusal(relay.send([sent])) == "relay-unreachable"
    outbox.close()
    again = relay_to(relayer, path)
    await again.advance()
    assert (await again.status(sent.id)).state is State.PENDING
    assert relayer.sent == [sent.id[2:]]


async def test_operation_that_never_arrived_is_sent_by_the_next_process(tmp_path: Path) -> None:
    relayer, sent = Relayer(), operation("a")
    outbox = Outbox(tmp_path / "outbox")
    outbox.take([sent])
    outbox.close()
    await relay_to(relayer, tmp_path / "outbox").advance()
    assert relayer.sent == [sent.id[2:]]


async def test_operation_that_the_relayer_dropped_may_be_handed_over_again(tmp_path: Path) -> None:
    relayer, sent = Relayer(), operation("a")
    relay = relay_to(relayer, tmp_path / "outbox")
    await relay.send([sent])
    relayer.finish(sent, "DROPPED")
    assert await refusal(relay.advance()) == "relay-unknown"
    assert await refusal(relay.status(sent.id)) == "relay-unknown"
    relayer.receipts.clear()
    await relay.send([sent])
    assert len(relayer.sent) == 2


@pytest.mark.parametrize(
    ("method", "answer", "code"),
    [
        ("SendMetaTxn", {"status": False, "txnHash": ""}, "relay-answer"),
        ("SendMetaTxn", {"status": True, "txnHash": "ab" * 32}, "relay-answer"),
        ("SendMetaTxn", {"status": 1, "txnHash": "00"}, "relay-answer"),
        ("SendMetaTxn", [], "relay-answer"),
        ("GetMetaTxnReceipt", {"receipt": {"id": "00", "status": "SUCCEEDED"}}, "relay-answer"),
        ("GetMetaTxnReceipt", {"receipt": 5}, "relay-answer"),
        ("FeeOptions", {"options": 5}, "relay-answer"),
        ("FeeOptions", {"options": [5]}, "relay-answer"),
        ("FeeOptions", {"options": [], "quote": 5}, "relay-answer"),
    ],
)
async def test_answers_of_a_relayer_are_not_believed_blindly(
    tmp_path: Path, method: str, answer: Any, code: str
) -> None:
    relayer, sent = Relayer(), operation("a")
    relayer.failing[method] = httpx.Response(200, json=answer)
    relay = relay_to(relayer, tmp_path / "outbox")
    asked = relay.fee_options(sent) if method == "FeeOptions" else relay.send([sent])
    assert await refusal(asked) == code


async def test_status_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    relayer, sent = Relayer(), operation("a")
    relay = relay_to(relayer, tmp_path / "outbox")
    await relay.send([sent])
    relayer.finish(sent, "WONDERFUL")
    assert await refusal(relay.status(sent.id)) == "relay-answer"
    relayer.failing["GetMetaTxnReceipt"] = httpx.Response(500, json={})
    assert await refusal(relay.status(sent.id)) == "relay-refused"


async def test_name_is_good_for_one_operation_and_nothing_is_taken_with_another(tmp_path: Path) -> None:
    relayer, sent = Relayer(), operation("a")
    relay = relay_to(relayer, tmp_path / "outbox")
    other = Operation(sent.id, sent.to, "0x", sent.wallet)
    assert await refusal(relay.send([sent, other])) == "relay-id-taken"
    assert await refusal(relay.status(sent.id)) == "relay-unknown"
    many = [operation(f"many {number}") for number in range(limits.MAX_RELAY_OPEN + 1)]
    assert await refusal(relay.send(many)) == "relay-busy"
    assert relayer.sent == []


async def test_fee_options_are_passed_on(tmp_path: Path) -> None:
    relay = relay_to(Relayer(), tmp_path / "outbox")
    assert await relay.fee_options(operation("a")) == ([{"to": "0x12", "value": "1"}], "q")
