"""The typed client over the simulated module, and its queue."""

import asyncio
import threading
from pathlib import Path

import pytest

from enclave.errors import NsmError
from enclave.nsm.client import NsmClient
from simulator.nsm import SimulatedNsm
from simulator.pki import NitroPki

_MODULE_ID = "i-0123456789abcdef0-enc0123456789abcdef"


@pytest.fixture
def client(tmp_path: Path) -> NsmClient:
    return NsmClient(SimulatedNsm(NitroPki(tmp_path), {0: b"\x11" * 48}, _MODULE_ID))


def test_all_calls_work_against_the_simulated_module(client: NsmClient) -> None:
    description = client.describe()
    assert description.module_id == _MODULE_ID
    assert description.locked_pcrs == frozenset(range(16))
    assert client.describe_pcr(0).value == b"\x11" * 48
    extended = client.extend_pcr(16, b"data")
    assert client.describe_pcr(16).value == extended
    client.lock_pcr(16)
    assert client.describe_pcr(16).locked
    client.lock_pcrs(32)
    assert client.describe().locked_pcrs == frozenset(range(32))
    assert client.attestation(nonce=b"n")[0] == 0x84
    assert len(client.random()) == 256


def test_error_of_the_module_carries_its_code(client: NsmClient) -> None:
    with pytest.raises(NsmError, match="nsm-read-only-index"):
        client.lock_pcr(0)


async def test_attestation_requests_queue_and_hold_one_thread(tmp_path: Path) -> None:
    inner = SimulatedNsm(NitroPki(tmp_path), {}, _MODULE_ID)
    inside, worst, guard = 0, 0, threading.Lock()

    class Counting:
        def call(self, request: bytes) -> bytes:
            nonlocal inside, worst
            with guard:
                inside += 1
                worst = max(worst, inside)
            try:
                return inner.call(request)
            finally:
                with guard:
                    inside -= 1

    client = NsmClient(Counting())
    documents = await asyncio.gather(*(client.attest(nonce=bytes([number])) for number in range(16)))
    assert worst == 1
    assert len(set(documents)) == 16
