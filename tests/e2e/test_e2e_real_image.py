"""The image that is deployed, booted in QEMU: real kernel, init, /dev/nsm and vsock. Needs kernel and emulator built.

`make boot` tells the same as a story; here is what a story leaves out.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attestation.cose import loads_strict
from attestation.errors import AttestationError
from attestation.policy import AnyImage
from attestation.roots import AMAZON
from attestation.verify import verify
from eif.emulator import build as emulator
from eif.emulator.machine import MachineOptions
from eif.kernel import build as kernel
from eif.rootfs import base
from eif.signature import parse_signer
from eif.signing import sign_image
from host_proxy.cli.wallet_guard import Cosigner, payload_of
from host_proxy.client.guard import GuardClient
from host_proxy.client.wallet_flows import WalletFlows
from simulator import guard_settings, settings
from simulator.emulated import ROOT_NAME, CountersigningTransport
from simulator.enclaves import BuiltImage, Emulated, OnLine, Prepared
from simulator.pki import NitroPki
from simulator.places import GuardOptions
from tests.e2e.e2e_support import Site, User
from tests.eif.images import certificate
from tests.simulator_guard.terminal import payment

pytestmark = [
    pytest.mark.skipif(
        not (emulator.is_built() and kernel.is_built() and base.is_built()),
        reason="kernel, emulator or packages are not in the cache; run: make boot",
    ),
    pytest.mark.timeout(400),
    pytest.mark.slow,
]

MEMORY_MIB = 256


@dataclass(frozen=True)
class Signed(Emulated):
    """The real image, with a signature added after it was built, which gives it one register more."""

    async def prepare(self, config: bytes, scratch: Path, pki: NitroPki, on_line: OnLine) -> Prepared:
        prepared = await super().prepare(config, scratch, pki, on_line)
        key, now = ec.generate_private_key(ec.SECP384R1()), datetime.now(UTC)
        signer = parse_signer(certificate(key, since=now - timedelta(hours=1)))
        measured = sign_image(prepared.image.path, prepared.image.path, signer, key, now)
        registers = {**prepared.image.pcrs, **measured.pcrs}
        return replace(prepared, image=BuiltImage(prepared.image.path, registers))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The real images of an instrument and its guard, each in as much memory as the documentation asks for."""
    options = MachineOptions(memory_mib=MEMORY_MIB, accelerator="tcg")
    with Site(tmp_path_factory.mktemp("real"), enclaves=Signed(options=options), guard=GuardOptions()) as site:
        yield site.serving()


def user_of(site: Site, scope: str = settings.SCOPE) -> User:
    notary = site.stand_ins.notary
    assert notary is not None
    return site.user(scope, transport=CountersigningTransport(notary))


def raw_document(site: Site, nonce: str) -> bytes:
    reply = site.send("/status", b"", {"X-Attestation-Nonce": nonce}, method="GET")

    return base64.b64decode(reply.headers["x-attestation-document"])


def test_login_and_signature_go_through_real_vsock(real: Site) -> None:
    user = user_of(real)
    wallet, session = user.ready()
    assert user.recovered(session.session) == wallet


def test_smart_wallet_is_made_and_signed_for(real: Site) -> None:
    """Its formats load after the boot, from what is in the image."""
    user = user_of(real)
    _, session = user.ready()
    wallet = WalletFlows(user.api, session.session)
    created = wallet.create(device=None, recovery=None, passkey=None)
    signed = wallet.sign(1, "message", {"text": "hello"})
    assert (signed["wallet"], signed["complete"]) == (created["address"], True)


def test_image_of_a_guard_signs_second(real: Site) -> None:
    """Another measured configuration makes the same code a guard, with its own registers and holders."""
    guard = real.appliance.guard
    assert guard is not None
    assert guard.image.pcrs[0] != real.appliance.image.pcrs[0]
    user = user_of(real, settings.GUARDED_SCOPE)
    _, session = user.ready()
    wallet = WalletFlows(user.api, session.session)
    made = wallet.create(device=None, recovery=None, passkey=None)
    payload = payment(1)
    with closing(guard.caller()) as caller:
        assert caller.post("/rpc/Guard/Ping", {}).body == {"status": True}
        client = GuardClient(caller)
        client.register(made["configuration"], made["context"])
        signed = wallet.sign(guard_settings.CHAIN, "payload", payload)
        leaf = Cosigner(client, print).leaf(payload_of("payload", payload), guard_settings.CHAIN, signed)
    assert signed["complete"] is False
    assert wallet.sign(guard_settings.CHAIN, "payload", payload, [leaf])["complete"] is True


def test_module_of_the_kernel_reports_the_registers_that_measure_computes(real: Site) -> None:
    """Through the cffi bindings of the enclave and the kernel's own driver."""
    document = raw_document(real, "bm9uY2Utb2YtbXktb3du")
    claims: dict[str, Any] = loads_strict(loads_strict(document, max_depth=1)[2], max_depth=2)
    measured = real.appliance.image.pcrs
    assert set(measured) == {0, 1, 2, 3, 4, 8}
    assert {index: claims["pcrs"][index] for index in measured} == dict(measured)
    assert set(claims["pcrs"]) == set(range(32)), "the enclave locks the free registers"
    assert claims["nonce"] == b"bm9uY2Utb2YtbXktb3du"


def test_unsigned_documents_of_the_emulator_are_refused_by_what_ships(real: Site) -> None:
    document = raw_document(real, "YW5vdGhlci1ub25jZS1hcw==")
    notary = real.stand_ins.notary
    assert notary is not None
    for roots in ([AMAZON], [notary.root]):
        with pytest.raises(AttestationError, match="document-algorithm"):
            verify(document, AnyImage(), 0, roots)
    assert notary.root.name == ROOT_NAME


def test_entropy_comes_from_the_security_module(real: Site) -> None:
    """The measured configuration accepts no other generator, and the kernel credits no other."""
    config = json.loads(real.stand_ins.config_with({}))
    assert config.get("entropy_sources", ["nsm-hwrng"]) == ["nsm-hwrng"]
    assert real.health()["serving"]


def test_console_shows_events_and_nothing_else(real: Site) -> None:
    said = [line for line in real.lines if line]
    assert any('"event": "serving"' in line for line in said)
    # The last is the kernel's, where the emulator of a busy machine starves its timers.
    strangers = [line for line in said if not line.startswith(("{", "qemu-system", "emulator:", "..MP-BIOS bug:"))]
    assert strangers == []
    assert not [line for line in said for word in ("Traceback", "panic", "segfault") if word in line]


def test_machine_ends_with_the_enclave_and_is_started_anew(real: Site, tmp_path: Path) -> None:
    user = user_of(real)
    before = user.log_in("stays@example.com").signer
    real.restart()
    assert user_of(real).log_in("stays@example.com").signer == before
