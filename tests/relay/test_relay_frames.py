"""From the enclave's port to the host's relays, over the frames between them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from enclave import parent as parent_module
from enclave.errors import RelayError
from enclave.parent import ParentServices
from host_proxy.errors import RelayFault
from host_proxy.relay.port import Operation, State, Status
from host_proxy.relay.wallet_relay import ChainRelay, WalletRelays
from protocol import cbor, limits, relaying
from protocol.errors import ProtocolError
from protocol.relaying import ChainCall, Relayed, RelayFees, RelayStatus
from tests.host_proxy.parent_services import parent_services

CHAIN = 137
ID, WALLET = b"\x11" * 32, b"\x22" * 20
NEWEST, FIRST = ChainCall(WALLET, b"execute"), ChainCall(WALLET, b"execute by the first configuration")
RELAYED = Relayed(CHAIN, ID, WALLET, (NEWEST, FIRST), ChainCall(b"\x33" * 20, b"create"))
HASH = "0x" + "ab" * 32


class KeepingRelay:
    """The port of the host, with a memory and no chain."""

    def __init__(self) -> None:
        self.taken: dict[str, Operation] = {}
        self.fault: str | None = None
        self.reverting: set[str] = set()
        self.busy = False
        self.advanced = 0
        self.found = Status(State.MINED, HASH, True, {"status": "0x1"})

    async def send(self, operations: list[Operation]) -> list[Status]:
        if self.fault:
            raise RelayFault(self.fault)
        if any(each.data in self.reverting for each in operations):
            raise RelayFault("relay-would-revert")
        self.taken |= {each.id: each for each in operations}
        return [Status(State.PENDING) for _ in operations]

    async def status(self, operation_id: str) -> Status:
        if operation_id not in self.taken:
            raise RelayFault("relay-unknown")
        return self.found

    async def fee_options(self, operation: Operation) -> tuple[list[dict[str, Any]], str | None]:
        return [{"to": operation.to, "data": operation.data}], "quote"

    async def is_busy_for(self, wallet: str) -> bool:
        assert wallet == "0x" + WALLET.hex()
        return self.busy

    async def advance(self) -> None:
        self.advanced += 1
        raise RelayFault("relay-unreachable")


class NodeWith:
    """A node that says whether a wallet is there."""

    def __init__(self, code: bool) -> None:
        self.code = code

    async def has_code(self, account: str) -> bool:
        assert account == "0x" + WALLET.hex()
        return self.code


class Parent:
    """A host's services, and the enclave's end of them."""

    def __init__(self, relay: KeepingRelay, node: Any, port: ParentServices) -> None:
        self.relay, self.node, self.port = relay, node, port


@pytest.fixture
async def parent() -> AsyncIterator[Parent]:
    relay, node = KeepingRelay(), NodeWith(code=False)
    relays = WalletRelays({CHAIN: ChainRelay(relay, node)}, every_s=0.01, patience_s=0.3)  # type: ignore[arg-type]
    async with parent_services(relays=relays) as port:
        yield Parent(relay, node, port)


async def code_of(awaited: Any) -> str:
    try:
        await awaited
    except RelayError as error:
        return error.code
    return "accepted"


async def test_wallet_that_is_not_there_is_created_first(parent: Parent) -> None:
    assert await parent.port.send(RELAYED) == RelayStatus("pending")
    [taken] = parent.relay.taken.values()
    assert (taken.to, taken.data) == ("0x" + "33" * 20, "0x" + b"create".hex())
    assert (taken.id, taken.wallet) == ("0x" + ID.hex(), "0x" + WALLET.hex())


async def test_wallet_that_is_there_executes(parent: Parent) -> None:
    parent.node.code = True
    await parent.port.send(RELAYED)
    [taken] = parent.relay.taken.values()
    assert (taken.to, taken.data) == ("0x" + WALLET.hex(), "0x" + b"execute".hex())


async def test_chain_that_knows_an_older_configuration_gets_the_form_for_it(parent: Parent) -> None:
    parent.node.code = True
    parent.relay.reverting = {"0x" + NEWEST.data.hex()}
    await parent.port.send(RELAYED)
    [taken] = parent.relay.taken.values()
    assert taken.data == "0x" + FIRST.data.hex()


async def test_operation_that_the_chain_refuses_in_every_form_is_not_taken(parent: Parent) -> None:
    parent.node.code = True
    parent.relay.reverting = {"0x" + call.data.hex() for call in (NEWEST, FIRST)}
    assert await code_of(parent.port.send(RELAYED)) == "relay-would-revert"
    assert parent.relay.taken == {}


async def test_second_operation_waits_for_the_one_that_creates_the_wallet(parent: Parent) -> None:
    parent.relay.busy = True
    waiting = asyncio.create_task(parent.port.send(RELAYED))
    await asyncio.sleep(0.1)
    assert parent.relay.taken == {}
    parent.relay.busy, parent.node.code = False, True
    await waiting
    [taken] = parent.relay.taken.values()
    assert taken.data == "0x" + NEWEST.data.hex(), "and creates nothing"


async def test_second_operation_that_would_wait_too_long_is_refused_and_not_taken(parent: Parent) -> None:
    parent.relay.busy = True
    other = replace(RELAYED, id=b"\x12" * 32)
    codes = await asyncio.gather(code_of(parent.port.send(RELAYED)), code_of(parent.port.send(other)))
    assert codes == ["relay-wallet-busy", "relay-wallet-busy"]
    assert parent.relay.taken == {}


async def test_fees_are_asked_for_the_form_that_applies_and_nothing_is_taken(parent: Parent) -> None:
    fees = await parent.port.fees(RELAYED)
    assert fees.quote == "quote"
    assert json.loads(fees.options) == [{"to": "0x" + "33" * 20, "data": "0x" + b"create".hex()}]
    parent.node.code = True
    [option] = json.loads((await parent.port.fees(RELAYED)).options)
    assert option["data"] == "0x" + NEWEST.data.hex()
    assert parent.relay.taken == {}


async def test_quote_goes_to_the_relayer_with_its_operation(parent: Parent) -> None:
    await parent.port.send(replace(RELAYED, quote="quote"))
    [taken] = parent.relay.taken.values()
    assert taken.quote == "quote"


@pytest.mark.parametrize("name", ["MAX_FEE_OPTIONS_BYTES", "MAX_FEE_QUOTE_BYTES"])
def test_fees_at_their_caps_are_read_and_one_byte_more_is_refused(name: str) -> None:
    most = {"MAX_FEE_OPTIONS_BYTES": limits.MAX_FEE_OPTIONS_BYTES, "MAX_FEE_QUOTE_BYTES": limits.MAX_FEE_QUOTE_BYTES}[
        name
    ]
    for size, taken in ((most, True), (most + 1, False)):
        fees = RelayFees("x" * size) if "OPTIONS" in name else RelayFees("", "x" * size)
        if taken:
            assert relaying.decode_fees(relaying.encode_fees(fees)) == fees
        else:
            with pytest.raises(ProtocolError):
                relaying.decode_fees(relaying.encode_fees(fees))


async def test_operation_that_was_taken_is_told_and_not_taken_in_its_other_form(parent: Parent) -> None:
    await parent.port.send(RELAYED)
    parent.node.code = True
    again = await parent.port.send(RELAYED)
    assert again == await parent.port.status(CHAIN, ID) == RelayStatus("mined", HASH, True, '{"status": "0x1"}')
    assert [taken.to for taken in parent.relay.taken.values()] == ["0x" + "33" * 20]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("relay-would-revert", "relay-would-revert"),
        ("relay-unknown", "relay-unknown"),
        ("relay-busy", "relay-refused"),
        ("relay-unreachable", "relay-refused"),
    ],
)
async def test_faults_of_the_relay_have_codes_of_the_port(parent: Parent, fault: str, code: str) -> None:
    parent.relay.fault = fault
    assert await code_of(parent.port.send(RELAYED)) == code
    assert await code_of(parent.port.status(CHAIN, ID)) == "relay-unknown"
    assert await code_of(parent.port.status(1, ID)) == "relay-refused"


async def test_relays_are_looked_after_whatever_happens() -> None:
    relay = KeepingRelay()
    relays = WalletRelays({CHAIN: ChainRelay(relay, NodeWith(code=False))}, every_s=0.001)  # type: ignore[arg-type]
    relays.start()
    async with asyncio.timeout(5):
        while relay.advanced < 3:  # noqa: ASYNC110  nothing tells that time has passed
            await asyncio.sleep(0.001)
    await relays.close()
    seen = relay.advanced
    await asyncio.sleep(0.01)
    assert relay.advanced == seen


async def test_host_that_does_not_answer_is_unreachable_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent_module.limits, "RELAY_ANSWER_DEADLINE_S", 0.05)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def dial(_: int) -> socket.socket:
        return ours

    assert await code_of(ParentServices(dial).send(RELAYED)) == "relay-unreachable"
    theirs.close()


def test_formats_are_written_and_read_back() -> None:
    assert relaying.decode_relayed(relaying.encode_relayed(RELAYED)) == RELAYED
    assert relaying.decode_question(relaying.encode_question(CHAIN, ID)) == (CHAIN, ID)
    for status in (RelayStatus("pending"), RelayStatus("final", HASH, False, "{}")):
        assert relaying.decode_status(relaying.encode_status(status)) == status


GOOD = cbor.loads(relaying.encode_relayed(RELAYED))


@pytest.mark.parametrize(
    "body",
    [
        [], GOOD[:-1], [*GOOD, 1], [0, *GOOD[1:]], [True, *GOOD[1:]], [2**63, *GOOD[1:]], [CHAIN, ID[1:], *GOOD[2:]],
        [CHAIN, ID, WALLET[1:], *GOOD[3:]], [CHAIN, ID, WALLET, [WALLET[1:], b""], GOOD[4]],
        [CHAIN, ID, WALLET, [WALLET, "text"], GOOD[4]],
        [CHAIN, ID, WALLET, [WALLET, bytes(limits.MAX_RELAY_REQUEST_BYTES + 1)], GOOD[4]],
    ],
)  # fmt: skip
def test_operations_of_another_form_are_refused(body: Any) -> None:
    with pytest.raises(ProtocolError):
        relaying.decode_relayed(cbor.dumps(body))


@pytest.mark.parametrize(
    "body",
    [[], ["lost", None, None, None], ["mined", "0x12", None, None], ["mined", HASH[:-1] + "!", None, None],
     ["mined", None, 1, None], ["mined", None, None, b"{}"], ["mined", None, None], "mined"],
)  # fmt: skip
def test_statuses_of_another_form_are_refused(body: Any) -> None:
    with pytest.raises(ProtocolError):
        relaying.decode_status(cbor.dumps(body))


@pytest.mark.parametrize("body", [[], [CHAIN], [0, ID], [CHAIN, ID[1:]], ["1", ID], [CHAIN, ID, 1]])
def test_questions_of_another_form_are_refused(body: Any) -> None:
    with pytest.raises(ProtocolError):
        relaying.decode_question(cbor.dumps(body))
