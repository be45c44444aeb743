"""The emulator's unsigned documents count under an explicit root of the simulator, and nowhere else."""

import base64
import time
from pathlib import Path
from typing import Any

import cbor2
import httpx
import pytest

from attestation import pcr
from attestation.errors import AttestationError
from attestation.policy import AnyImage, online
from attestation.roots import AMAZON
from attestation.verify import verify
from simulator.emulated import ROOT_NAME, CountersigningTransport, EmulatorNotary, NotEmulated
from simulator.kms.errors import AwsError
from simulator.kms.recipient import verify_recipient
from tests.vectors import folder

NONCE = b"n" * 18
INSTANCE = "i-0123456789abcdef0"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def payload(**changes: Any) -> dict[str, Any]:
    """What QEMU's module says, in its order."""
    return {
        "module_id": f"{INSTANCE}-enc0123456789abcdef",
        "digest": "SHA384",
        "timestamp": now_ms() // 1000 * 1000,
        "pcrs": {index: bytes([index + 1]) * 48 for index in range(16)} | {4: pcr.of_instance(INSTANCE)},
        "certificate": bytes(64),
        "cabundle": [bytes(64)],
        "public_key": None,
        "user_data": b"",
        "nonce": NONCE,
    } | changes  # fmt: skip


def unsigned(claims: Any = None, *, protected: bytes = b"\xa1\x01\x20", signature: bytes = bytes(64)) -> bytes:
    return cbor2.dumps([protected, {}, cbor2.dumps(payload() if claims is None else claims), signature])


@pytest.fixture
def notary(tmp_path: Path) -> EmulatorNotary:
    return EmulatorNotary(tmp_path)


def test_countersigned_document_passes_the_production_verifier_under_its_own_root(notary: EmulatorNotary) -> None:
    signed = notary.countersign(unsigned())
    verified = verify(signed, online(AnyImage(), NONCE), now_ms(), [notary.root])
    assert verified.root.name == ROOT_NAME
    assert verified.document.pcrs[0] == bytes([1]) * 48
    assert verified.document.user_data == b""
    assert verified.document.public_key is None


def test_countersigned_document_fails_under_amazons_root(notary: EmulatorNotary) -> None:
    with pytest.raises(AttestationError, match="root-untrusted"):
        verify(notary.countersign(unsigned()), online(AnyImage(), NONCE), now_ms(), [AMAZON])


def test_unsigned_document_is_refused_under_every_root(notary: EmulatorNotary) -> None:
    for roots in ([AMAZON], [notary.root]):
        with pytest.raises(AttestationError, match="document-algorithm"):
            verify(unsigned(), online(AnyImage(), NONCE), now_ms(), roots)


def test_holders_refuse_an_unsigned_document_that_nobody_signed_for(notary: EmulatorNotary) -> None:
    with pytest.raises(AwsError, match="document-algorithm"):
        verify_recipient(unsigned(), [notary.root], now_ms(), accept_expired=False)


def test_the_verifier_still_judges_everything_else(notary: EmulatorNotary) -> None:
    old = notary.countersign(unsigned(payload(timestamp=now_ms() - 3_600_000)))
    with pytest.raises(AttestationError, match="document-too-old"):
        verify(old, online(AnyImage(), NONCE), now_ms(), [notary.root])
    with pytest.raises(AttestationError, match="nonce"):
        verify(notary.countersign(unsigned()), online(AnyImage(), b"other" * 4), now_ms(), [notary.root])
    foreign = unsigned(payload(module_id="i-0000000000000000b-enc0123456789abcdef"))
    with pytest.raises(AttestationError, match="document-module"):
        verify(notary.countersign(foreign), online(AnyImage(), NONCE), now_ms(), [notary.root])


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff",
        cbor2.dumps([]),
        unsigned(protected=bytes.fromhex("a1013822")),
        unsigned(signature=bytes(63) + b"\1"),
        unsigned(signature=bytes(96)),
        unsigned([]),
        unsigned({name: value for name, value in payload().items() if name != "nonce"}),
        unsigned(payload(extra=1)),
        unsigned(payload(certificate=b"x" * 64)),
        unsigned(payload(cabundle=[])),
        unsigned(payload(digest="SHA256")),
        unsigned(payload(timestamp="now")),
        unsigned(payload(pcrs=[])),
    ],
)
def test_notary_signs_for_nothing_but_the_emulator(notary: EmulatorNotary, document: bytes) -> None:
    with pytest.raises(NotEmulated):
        notary.countersign(document)


def test_shape_of_the_shared_vector_is_the_emulators(notary: EmulatorNotary) -> None:
    document = (folder("attestation") / "neg-qemu-shape-synthetic.bin").read_bytes()
    assert notary.countersign(document)


def test_root_is_kept(tmp_path: Path) -> None:
    assert EmulatorNotary(tmp_path).root == EmulatorNotary(tmp_path).root
    assert EmulatorNotary(tmp_path / "other").root != EmulatorNotary(tmp_path).root


def answered(notary: EmulatorNotary, header: str | None, monkeypatch: pytest.MonkeyPatch) -> httpx.Response:
    def answer(_self: object, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, headers={} if header is None else {"x-attestation-document": header}, content=b"body"
        )

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    with httpx.Client(transport=CountersigningTransport(notary)) as client:
        return client.get("http://127.0.0.1/")


def test_clients_transport_signs_for_documents_of_answers(
    notary: EmulatorNotary, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = answered(notary, base64.b64encode(unsigned()).decode(), monkeypatch)
    document = base64.b64decode(response.headers["x-attestation-document"])
    assert verify(document, online(AnyImage(), NONCE), now_ms(), [notary.root])
    assert response.content == b"body"


@pytest.mark.parametrize("header", [None, "", "!!!", base64.b64encode(b"no document").decode()])
def test_clients_transport_leaves_other_answers_alone(
    notary: EmulatorNotary, monkeypatch: pytest.MonkeyPatch, header: str | None
) -> None:
    assert answered(notary, header, monkeypatch).headers.get("x-attestation-document") == header


def test_notary_serves_many_threads(tmp_path: Path) -> None:
    """Holders ask in threads, and the first document of a boot makes a chain."""
    from concurrent.futures import ThreadPoolExecutor

    for attempt in range(5):
        notary = EmulatorNotary(tmp_path / str(attempt))
        with ThreadPoolExecutor(8) as pool:
            for document in pool.map(notary.countersign, [unsigned() for _ in range(16)]):
                assert verify(document, online(AnyImage(), NONCE), now_ms(), [notary.root])
