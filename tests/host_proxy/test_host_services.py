"""The enclave's services over frames: strict calls, statuses for every failure, and a peer that misbehaves."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_proxy.credentials import BotoCredentials
from host_proxy.errors import CredentialsFault, StoreFault
from host_proxy.logging import Log
from host_proxy.looking import Looks
from host_proxy.metrics import Metrics
from host_proxy.services import ServiceConnection, Services
from host_proxy.store import SqliteStore
from protocol import cbor, limits, services
from protocol.addresses import HybridAddress
from protocol.frames import FrameConnection, Request, Response, encode
from protocol.services import RecordKey, StoredRecord, Write
from tests.host_proxy.conftest import FixedCredentials, eventually

KEY = RecordKey("wallet", bytes(32))


class Client:
    """The enclave's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.frames = FrameConnection()
        self.answers: dict[int, Response] = {}
        self.last_id = 0

    def send(self, method: str, body: bytes = b"") -> int:
        self.last_id += 1
        self.writer.write(encode(Request(self.last_id, method, {}, body)))
        return self.last_id

    async def answer(self, id_: int) -> Response:
        async with asyncio.timeout(5):
            while id_ not in self.answers:
                data = await self.reader.read(65536)
                if not data:
                    raise ConnectionResetError
                for message in self.frames.receive(data):
                    assert isinstance(message, Response)
                    self.answers[message.id] = message
        return self.answers[id_]

    async def call(self, method: str, body: bytes = b"") -> Response:
        return await self.answer(self.send(method, body))


class Parent:
    def __init__(self, services: Services, path: Path, store: SqliteStore) -> None:
        self.services, self.path, self.store = services, path, store

    async def client(self) -> Client:
        return Client(*await asyncio.open_unix_connection(f"{self.path}_8001"))


@pytest.fixture
async def parent(folder: Path, log: Log, metrics: Metrics) -> AsyncIterator[Parent]:
    store = SqliteStore(folder / "store.db")
    served = Services(store=store, credentials=FixedCredentials(), looks=Looks(), log=log, metrics=metrics)
    served.start(HybridAddress(str(folder / "vm"), 5000))
    yield Parent(served, folder / "vm", store)
    await served.close()
    await store.close()


async def test_records_are_put_and_got(parent: Parent) -> None:
    client = await parent.client()
    assert await outcomes(client, [Write(KEY, 0, 1, b"sealed")]) == [services.DURABLE]
    got = await client.call("store.get", services.encode_keys([KEY, RecordKey("other", bytes(32))]))
    assert services.decode_records(got.body, count=2) == [StoredRecord(1, b"sealed"), None]


async def test_conflict_is_the_outcome_of_its_own_put_which_writes_nothing(parent: Parent, metrics: Metrics) -> None:
    client, other = await parent.client(), RecordKey("other", bytes(32))
    sunk = [Write(RecordKey("new", bytes(32)), 0, 1, b"x"), Write(KEY, 3, 4, b"y")]
    found = await outcomes(client, [Write(KEY, 0, 1, b"a")], sunk, [Write(other, 0, 1, b"b")])
    assert found == [services.DURABLE, services.CONFLICT, services.DURABLE]
    got = await client.call("store.get", services.encode_keys([RecordKey("new", bytes(32)), KEY, other]))
    assert services.decode_records(got.body, count=3) == [None, StoredRecord(1, b"a"), StoredRecord(1, b"b")]
    counted = [
        metrics.registry.get_sample_value("chancery_store_puts_total", {"result": r}) for r in ("ok", "conflict")
    ]
    assert counted == [2, 1]


async def test_puts_of_one_call_share_a_flush(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    monkeypatch.setattr(parent.store, "_observe_commit", commits.append)
    keys = [RecordKey("many", bytes([n]) * 32) for n in range(limits.MAX_PUTS_PER_CALL)]
    assert set(await outcomes(await parent.client(), *([Write(key, 0, 1, b"v")] for key in keys))) == {services.DURABLE}
    assert sum(commits) == len(keys)
    assert len(commits) <= 2  # the store's thread may have begun with the first


async def test_one_of_two_puts_of_the_same_version_is_a_conflict(parent: Parent) -> None:
    found = await outcomes(await parent.client(), [Write(KEY, 0, 1, b"a")], [Write(KEY, 0, 2, b"b")])
    assert found == [services.DURABLE, services.CONFLICT]


async def test_credentials_are_for_configured_holders_only(parent: Parent, output: io.StringIO) -> None:
    client = await parent.client()
    found = services.decode_credentials((await client.call("credentials", b"a")).body)
    assert (found.access_key_id, found.session_token) == ("AKIA", None)
    refused = await client.call("credentials", b"canary")
    assert (refused.status, refused.body) == (502, b"")
    assert '"credentials-unknown-holder"' in output.getvalue()
    assert "canary" not in output.getvalue()
    assert "secret" not in output.getvalue()


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("store.get", b"", 400),
        ("store.get", b"\xff", 400),
        ("store.get", cbor.dumps([]), 400),
        ("store.get", cbor.dumps([["wallet", b"short"]]), 400),
        ("store.get", cbor.dumps([["wallet", bytes(32)]] * (limits.MAX_RECORDS_PER_CALL + 1)), 400),
        ("store.put", b"", 400),
        ("store.put", cbor.dumps([]), 400),
        ("store.put", cbor.dumps([["wallet", bytes(32), 0, 1, b""]]), 400),
        ("store.put", cbor.dumps([[["wallet", bytes(32), 1, 1, b""]]]), 400),
        ("store.put", cbor.dumps([[["wallet", bytes(32), 0, 2**63, b""]]]), 400),
        ("store.put", cbor.dumps([[["wallet", bytes(32), 0, 1, bytes(limits.MAX_RECORD_BYTES + 1)]]]), 400),
        ("store.put", cbor.dumps([[["wallet", bytes(32), 0, 1, b""]]] * (limits.MAX_PUTS_PER_CALL + 1)), 400),
        ("credentials", b"\xff", 400),
        ("credentials", b"a" * (limits.MAX_HOLDER_NAME_BYTES + 1), 400),
        ("credentials", b"a" * limits.MAX_HOLDER_NAME_BYTES, 502),
        ("credentials", b"", 502),
        ("store.drop", b"", 404),
        ("", b"", 404),
        ("GET /", b"", 404),
    ],
)
async def test_bad_call_gets_a_status_without_a_body_and_the_connection_lives(
    parent: Parent, method: str, body: bytes, status: int
) -> None:
    client = await parent.client()
    answer = await client.call(method, body)
    assert (answer.status, answer.headers, answer.body) == (status, {}, b"")
    assert (await client.call("store.get", services.encode_keys([KEY]))).status == 200


async def test_more_records_than_a_frame_holds_is_a_status(parent: Parent) -> None:
    client = await parent.client()
    keys = [RecordKey("big", bytes([n]) * 32) for n in range(limits.MAX_FRAME_BYTES // limits.MAX_RECORD_BYTES + 1)]
    for key in keys:
        await outcomes(client, [Write(key, 0, 1, bytes(limits.MAX_RECORD_BYTES))])
    status = (await client.call("store.get", services.encode_keys(keys))).status
    assert status == 413
    assert (await client.call("store.get", services.encode_keys(keys[:3]))).status == 200


@pytest.mark.parametrize(
    ("error", "logged", "counted"),
    [
        (StoreFault("store-write"), '"code": "store-write"', "chancery_store_puts_total"),
        (ValueError("canary"), '"kind": "ValueError"', "chancery_faults_total"),
    ],
)
async def test_put_whose_end_is_unknown_is_logged_by_its_code_and_the_others_have_their_own(
    parent: Parent,
    monkeypatch: pytest.MonkeyPatch,
    output: io.StringIO,
    metrics: Metrics,
    error: Exception,
    logged: str,
    counted: str,
) -> None:
    put = parent.store.put

    async def sometimes(writes: list[Write]) -> None:
        if writes[0].key == KEY:
            raise error
        await put(writes)

    monkeypatch.setattr(parent.store, "put", sometimes)
    client, other = await parent.client(), RecordKey("other", bytes(32))
    found = await outcomes(client, [Write(KEY, 0, 1, b"x")], [Write(other, 0, 1, b"y")])
    assert found == [services.UNKNOWN, services.DURABLE]
    assert logged in output.getvalue()
    assert "canary" not in output.getvalue()
    labels = {"result": "fault"} if "puts" in counted else {}
    assert metrics.registry.get_sample_value(counted, labels) == 1
    assert (await client.call("credentials", b"a")).status == 200


async def test_puts_beyond_the_cap_are_busy(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()

    async def held(_: object) -> None:
        await gate.wait()

    monkeypatch.setattr(parent.store, "put", held)
    client = await parent.client()
    body = services.encode_puts([[Write(KEY, 0, 1, b"")]] * limits.MAX_PUTS_PER_CALL)
    ids = [client.send("store.put", body) for _ in range(limits.MAX_IN_FLIGHT)]
    fit = limits.MAX_IN_FLIGHT // limits.MAX_PUTS_PER_CALL
    assert {(await client.answer(id_)).status for id_ in ids[fit:]} == {503}
    gate.set()
    assert {(await client.answer(id_)).status for id_ in ids[:fit]} == {200}


async def test_puts_under_way_are_given_up_when_the_host_stops(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = asyncio.Event()

    async def held(_: object) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            given_up.set()
            raise

    monkeypatch.setattr(parent.store, "put", held)
    surprises: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: surprises.append(context))
    client = await parent.client()
    client.send("store.put", services.encode_puts([[Write(KEY, 0, 1, b"")]] * 2))
    await eventually(lambda: any(connection._under_way for connection in parent.services.connections))
    await parent.services.close()
    async with asyncio.timeout(5):
        await given_up.wait()
        assert await client.reader.read() == b""
    assert surprises == []
    assert parent.services._looks._storing == 0


async def test_the_loop_is_left_to_the_store_while_it_writes(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, looks = asyncio.Event(), parent.services._looks

    async def held(_: object) -> None:
        await gate.wait()

    monkeypatch.setattr(parent.store, "put", held)
    client = await parent.client()
    ids = [client.send("store.put", services.encode_puts([[Write(KEY, 0, 1, b"")]] * 2)) for _ in range(3)]
    await eventually(lambda: looks._storing == 3)
    gate.set()
    for id_ in ids:
        await client.answer(id_)
    assert looks._storing == 0


async def test_exception_nobody_expected_is_a_status_and_the_service_lives(
    parent: Parent, monkeypatch: pytest.MonkeyPatch, output: io.StringIO
) -> None:
    async def broken(_: object) -> None:
        raise ValueError("canary")

    monkeypatch.setattr(parent.store, "get", broken)
    client = await parent.client()
    assert (await client.call("store.get", services.encode_keys([KEY]))).status == 500
    assert "canary" not in output.getvalue()
    assert (await client.call("credentials", b"a")).status == 200


async def test_calls_beyond_the_cap_are_busy_and_the_others_answered(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()

    async def held(_: object) -> list[StoredRecord | None]:
        await gate.wait()
        return [None]

    monkeypatch.setattr(parent.store, "get", held)
    client = await parent.client()
    body = services.encode_keys([KEY])
    ids = [client.send("store.get", body) for _ in range(10 * limits.MAX_IN_FLIGHT)]
    busy = [(await client.answer(id_)).status for id_ in ids[limits.MAX_IN_FLIGHT :]]
    assert set(busy) == {503}
    gate.set()
    assert {(await client.answer(id_)).status for id_ in ids[: limits.MAX_IN_FLIGHT]} == {200}


async def test_connections_beyond_the_cap_are_closed_and_the_others_work(parent: Parent) -> None:
    clients = [await parent.client() for _ in range(limits.MAX_CONNECTIONS)]
    await eventually(lambda: len(parent.services.connections) == limits.MAX_CONNECTIONS)
    surplus = [await parent.client() for _ in range(10)]
    for client in surplus:
        assert await client.reader.read() == b""
    assert (await clients[0].call("store.get", services.encode_keys([KEY]))).status == 200
    clients[1].writer.close()
    await eventually(lambda: len(parent.services.connections) == limits.MAX_CONNECTIONS - 1)
    assert (await (await parent.client()).call("credentials", b"a")).status == 200


async def test_response_from_the_peer_ends_the_connection(parent: Parent) -> None:
    client = await parent.client()
    client.writer.write(encode(Response(1, 200)))
    assert await client.reader.read() == b""


async def test_call_split_at_every_byte_means_the_same(parent: Parent) -> None:
    client = await parent.client()
    for byte in encode(Request(1, "credentials", {}, b"a")):
        client.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await client.answer(1)).status == 200


async def test_frame_that_drips_is_cut_off(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FRAME_DEADLINE_S", 0.2)
    client = await parent.client()
    frame = encode(Request(1, "credentials", {}, b"a" * 200))

    async def drip() -> None:
        for byte in frame:
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    dripping = asyncio.ensure_future(drip())
    async with asyncio.timeout(2):
        assert await client.reader.read() == b""
    dripping.cancel()


async def test_idle_connection_is_closed_and_a_busy_one_is_not(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IDLE_DEADLINE_S", 0.2)
    gate = asyncio.Event()

    async def held(_: object) -> list[StoredRecord | None]:
        await gate.wait()
        return [None]

    monkeypatch.setattr(parent.store, "get", held)
    busy, idle = await parent.client(), await parent.client()
    id_ = busy.send("store.get", services.encode_keys([KEY]))
    async with asyncio.timeout(2):
        assert await idle.reader.read() == b""
    gate.set()
    assert (await busy.answer(id_)).status == 200


async def test_peer_that_takes_no_answers_is_cut_off(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FRAME_DEADLINE_S", 0.3)
    client = await parent.client()
    await outcomes(client, [Write(KEY, 0, 1, bytes(limits.MAX_RECORD_BYTES))])
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(limits.MAX_IN_FLIGHT):
        client.send("store.get", services.encode_keys([KEY]))
    await eventually(lambda: not parent.services.connections)


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_end_the_connection_or_get_statuses(chunks: list[bytes]) -> None:
    """No byte string raises out of the connection."""

    async def feed() -> None:
        served = Services(
            store=None,  # type: ignore[arg-type]  # nothing random is a valid call
            credentials=FixedCredentials(),
            looks=Looks(),
            log=Log(io.StringIO(), strict=True),
            metrics=Metrics(),
        )
        connection = ServiceConnection(served)
        for chunk in chunks:
            connection.data_received(chunk)
        await asyncio.gather(*connection.close(), return_exceptions=True)

    asyncio.run(feed())


@settings(max_examples=150)
@given(st.sampled_from(["store.get", "store.put", "credentials", "x"]), st.binary(max_size=300))
def test_any_body_of_any_call_gets_a_status(method: str, body: bytes) -> None:
    async def ask() -> tuple[int, bytes]:
        served = Services(
            store=EmptyStore(),  # type: ignore[arg-type]
            credentials=FixedCredentials(),
            looks=Looks(),
            log=Log(io.StringIO(), strict=True),
            metrics=Metrics(),
        )
        return await status_and_body(served, Request(1, method, {}, body))

    status, _ = asyncio.run(ask())
    assert status in (200, 400, 404, 502)


async def status_and_body(served: Services, request: Request) -> tuple[int, bytes]:
    """What a connection of `served` answers."""
    ours, theirs = socket.socketpair()
    with theirs:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: ServiceConnection(served), ours)
        theirs.setblocking(False)
        await loop.sock_sendall(theirs, encode(request))
        async with asyncio.timeout(5):
            [answer] = FrameConnection().receive(await loop.sock_recv(theirs, 65536))
        assert isinstance(answer, Response)
        await served.close()
        return answer.status, answer.body


async def outcomes(client: Client, *puts: list[Write]) -> list[int]:
    """How `puts`, sent in one call, have ended."""
    answer = await client.call("store.put", services.encode_puts(puts))
    assert answer.status == 200
    return services.decode_outcomes(answer.body, count=len(puts))


async def test_ids_of_a_table_are_listed(parent: Parent) -> None:
    client = await parent.client()
    await outcomes(client, [Write(KEY, 0, 1, b"v")])
    page = services.Page(KEY.table, b"", 2)
    answer = await client.call("store.list", services.encode_page(page))
    assert services.decode_ids(answer.body, page) == [KEY.id]
    assert (await client.call("store.list", b"nonsense")).status == 400


class EmptyStore:
    async def get(self, keys: list[RecordKey]) -> list[StoredRecord | None]:
        return [None] * len(keys)

    async def put(self, writes: list[Write]) -> None:
        return None


# --- credentials of the machine ---


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id=AKIADEFAULT\naws_secret_access_key=s\n"
        "[other]\naws_access_key_id=AKIAOTHER\naws_secret_access_key=t\naws_session_token=u\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("profiles")
async def test_each_holder_has_the_credentials_of_its_profile() -> None:
    provider = BotoCredentials({"a": None, "b": "other", "c": "absent"})
    assert (await provider.credentials("a")).access_key_id == "AKIADEFAULT"
    other = await provider.credentials("b")
    assert (other.access_key_id, other.secret_access_key, other.session_token) == ("AKIAOTHER", "t", "u")
    for holder, code in (("c", "credentials-chain"), ("d", "credentials-unknown-holder")):
        with pytest.raises(CredentialsFault) as caught:
            await provider.credentials(holder)
        assert caught.value.code == code


@pytest.mark.usefixtures("profiles")
async def test_machine_without_credentials_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))
    with pytest.raises(CredentialsFault) as caught:
        await BotoCredentials({"a": None}).credentials("a")
    assert caught.value.code == "credentials-none"


@pytest.mark.usefixtures("profiles")
def test_metadata_service_is_asked_in_version_2_only() -> None:
    """VS-10."""
    session = BotoCredentials._session(None)
    assert session._session.get_config_variable("ec2_metadata_v1_disabled") is True


@pytest.mark.usefixtures("profiles")
async def test_chain_that_hangs_meets_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KMS_DEADLINE_S", 0.1)
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(_: object) -> None:
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result(5)
        raise OSError

    monkeypatch.setattr(BotoCredentials, "_session", staticmethod(hang))
    with pytest.raises(CredentialsFault) as caught:
        await BotoCredentials({"a": None}).credentials("a")
    assert caught.value.code == "credentials-deadline"
    released.set()
