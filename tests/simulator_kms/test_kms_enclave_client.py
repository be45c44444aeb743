"""The enclave's own KMS client against these holders: it opens what is right and names what is wrong (KM-01, KM-02)."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from enclave.config import Holder
from enclave.errors import KmsError
from enclave.kms.client import HttpsKms
from enclave.kms.recipient import RecipientKey
from protocol import limits
from protocol.services import Credentials
from simulator.kms.faults import Fault
from simulator.kms.server import serve
from simulator.nsm import SimulatedNsm
from simulator.tls import TlsAuthority
from tests.simulator_kms.kms_world import CONTEXT, HOLDERS, PCRS, World

REGION = next(iter(HOLDERS))
AUTHORITY = TlsAuthority.create()


@dataclass
class _Clock:
    world: World

    def wall_ms(self) -> int:
        return self.world.clock_ms

    def monotonic_ms(self) -> int:
        return self.world.clock_ms

    def source(self) -> str:
        return "simulator"


@dataclass
class _Egress:
    """Leads every host name to the simulator, as its egress does."""

    port: int

    async def connect(self, host: str, port: int) -> socket.socket:
        assert port == 443
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setblocking(False)
        return connection


@dataclass
class Enclave:
    """A client whose document comes from `nsm`."""

    world: World
    kms: HttpsKms
    nsm: SimulatedNsm

    @property
    def holder(self) -> Holder:
        return Holder(name=REGION, key_arn=self.world.keys[REGION])


@pytest.fixture
async def enclave(world: World) -> AsyncIterator[Enclave]:
    context = ssl.create_default_context(cadata=AUTHORITY.certificate_pem)
    certificate = AUTHORITY.issue(*world.service.hosts())
    running = Enclave(world, None, world.nsm())  # type: ignore[arg-type]

    async def attest(public_key: bytes) -> bytes:
        return world.document(running.nsm, public_key)

    async def credentials(holder: str) -> Credentials:
        return world.enclave[holder]

    async with await serve(world.service, "127.0.0.1", 0, certificate.server_context()) as server:
        running.kms = HttpsKms(
            egress=_Egress(server.port),
            tls_context=context,
            clock=_Clock(world),
            recipient=await asyncio.to_thread(RecipientKey),
            attest=attest,
            credentials=credentials,
        )
        yield running


@pytest.mark.parametrize("region", HOLDERS)
async def test_every_holder_serves_the_enclave(enclave: Enclave, region: str) -> None:
    holder = Holder(name=region, key_arn=enclave.world.keys[region])
    made = await enclave.kms.generate_data_key(holder, CONTEXT)
    with made.key as key, await enclave.kms.decrypt(holder, made.ciphertext_blob, CONTEXT) as again:
        assert len(key) == 32
        assert key.view == again.view


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.UNAVAILABLE, "kms-status"),
        (Fault.THROTTLED, "kms-throttled"),
        (Fault.WRONG_KEY_ID, "kms-key-id"),
        (Fault.PLAINTEXT, "kms-plaintext-reply"),
        (Fault.PLAINTEXT_BESIDE, "kms-plaintext-reply"),
        (Fault.GARBAGE_ENVELOPE, "kms-envelope"),
        (Fault.FOREIGN_ENVELOPE, "kms-wrong-key"),
    ],
)
async def test_fault_has_its_code(enclave: Enclave, fault: Fault, code: str) -> None:
    enclave.world.service.set_fault(REGION, fault)
    with pytest.raises(KmsError) as refused:
        await enclave.kms.generate_data_key(enclave.holder, CONTEXT)
    assert refused.value.code == code


async def test_cut_connection_is_a_failure_of_the_exchange(enclave: Enclave) -> None:
    enclave.world.service.set_fault(REGION, Fault.DOWN)
    with pytest.raises(KmsError, match=r"kms-(http|tls)-"):
        await enclave.kms.generate_data_key(enclave.holder, CONTEXT)


async def test_hung_holder_costs_one_deadline(enclave: Enclave, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KMS_DEADLINE_S", 0.2)
    enclave.world.service.set_fault(REGION, Fault.HUNG)
    with pytest.raises(KmsError, match="deadline"):
        await enclave.kms.generate_data_key(enclave.holder, CONTEXT)


async def test_edited_image_is_denied(enclave: Enclave) -> None:
    enclave.nsm = enclave.world.nsm(PCRS | {0: b"\xee" * 48})
    with pytest.raises(KmsError, match="kms-denied"):
        await enclave.kms.generate_data_key(enclave.holder, CONTEXT)
