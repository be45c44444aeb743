"""The module behind its socket: same answers, same codes, and no way for either end to hang the other."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import cbor2
import pytest

from enclave.errors import NsmError
from enclave.nsm.client import NsmClient
from protocol import limits
from simulator import nsm_socket
from simulator.nsm import SimulatedNsm
from simulator.nsm_socket import NsmSocket, serve
from simulator.pki import NitroPki

_MODULE_ID = "i-0123456789abcdef0-enc0123456789abcdef"


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    server = await serve(SimulatedNsm(NitroPki(tmp_path), {}, _MODULE_ID), tmp_path / "nsm.sock")
    async with server:
        yield tmp_path / "nsm.sock"


async def test_client_works_through_the_socket(path: Path) -> None:
    client = NsmClient(await asyncio.to_thread(NsmSocket, path))
    assert (await asyncio.to_thread(client.describe)).module_id == _MODULE_ID
    documents = await asyncio.gather(*(client.attest(nonce=bytes([n])) for n in range(8)))
    assert len(set(documents)) == 8
    assert len(await asyncio.to_thread(client.random)) == 256


async def test_errors_of_the_module_pass_through(path: Path) -> None:
    client = NsmClient(await asyncio.to_thread(NsmSocket, path))
    with pytest.raises(NsmError, match="nsm-read-only-index"):
        await asyncio.to_thread(client.lock_pcr, 0)


async def test_only_the_owner_may_connect(path: Path) -> None:
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_two_guests_share_one_module(path: Path) -> None:
    first, second = [NsmClient(await asyncio.to_thread(NsmSocket, path)) for _ in range(2)]
    value = await asyncio.to_thread(first.extend_pcr, 16, b"x")
    assert (await asyncio.to_thread(second.describe_pcr, 16)).value == value


async def test_request_above_the_limit_is_refused_before_it_is_sent(path: Path) -> None:
    nsm = await asyncio.to_thread(NsmSocket, path)
    with pytest.raises(NsmError, match="nsm-request-too-large"):
        nsm.call(bytes(limits.MAX_NSM_REQUEST_BYTES + 1))
    with pytest.raises(NsmError, match="nsm-request-empty"):
        nsm.call(b"")
    assert cbor2.loads(await asyncio.to_thread(nsm.call, cbor2.dumps("DescribeNSM")))


async def test_guest_that_lies_about_a_length_is_cut_off(path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write((limits.MAX_NSM_REQUEST_BYTES + 1).to_bytes(4, "big"))
    assert await reader.read() == b""
    writer.close()


async def test_module_that_fails_is_a_device_error(tmp_path: Path) -> None:
    class Broken:
        def call(self, request: bytes) -> bytes:
            raise NsmError("nsm-device")

    async with await serve(Broken(), tmp_path / "nsm.sock"):
        nsm = await asyncio.to_thread(NsmSocket, tmp_path / "nsm.sock")
        with pytest.raises(NsmError, match="nsm-device"):
            await asyncio.to_thread(nsm.call, b"x")


def test_missing_module_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(NsmError, match="nsm-open"):
        NsmSocket(tmp_path / "absent.sock")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "nsm-device"),
        (b"\x00\x00\x00\x05abc", "nsm-device"),
        ((limits.MAX_NSM_RESPONSE_BYTES + 1).to_bytes(4, "big"), "nsm-response-truncated"),
    ],
)
async def test_module_that_answers_nonsense_gets_its_code(tmp_path: Path, answer: bytes, code: str) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(connected, tmp_path / "nsm.sock"):
        nsm = await asyncio.to_thread(NsmSocket, tmp_path / "nsm.sock")
        with pytest.raises(NsmError) as caught:
            await asyncio.to_thread(nsm.call, b"x")
        assert caught.value.code == code


def test_module_that_never_answers_is_given_up_and_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nsm_socket, "_DEADLINE_S", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "nsm.sock"))
        listener.listen()
        nsm = NsmSocket(tmp_path / "nsm.sock")
        with pytest.raises(NsmError, match="nsm-timeout"):
            nsm.call(b"x")
        with pytest.raises(NsmError, match="nsm-device"):
            nsm.call(b"x")
