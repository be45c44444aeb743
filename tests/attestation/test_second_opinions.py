"""Independent implementations agree with ours (AT-18): OpenSSL on chains, a second reader on syntax."""

import random
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from attestation.chain import ChainCache, verify_chain
from attestation.document import parse_attestation_document
from attestation.errors import AttestationError
from attestation.roots import AMAZON
from tests.attestation import pki, second_reader
from tests.attestation.pki import NOW_MS, DocumentParts, indefinite, payload_fields
from tests.vectors import FOLDER

MUTANTS = 4000
VECTORS = sorted((FOLDER / "attestation").glob("*.bin"))


# --- syntax ---


def ours(data: bytes) -> dict[str, Any] | None:
    try:
        document = parse_attestation_document(data)
    except AttestationError:
        return None
    return {
        "module_id": document.module_id,
        "digest": "SHA384",
        "timestamp": document.timestamp_ms,
        "pcrs": dict(document.pcrs),
        "certificate": document.certificates[-1],
        "cabundle": list(document.certificates[:-1]),
        "public_key": document.public_key,
        "user_data": document.user_data,
        "nonce": document.nonce,
        "signature": document.sign1.signature,
    }


def corpus() -> list[bytes]:
    payload = cbor2.dumps(payload_fields(user_data=b"", nonce=b"n", public_key=bytes(1024)))
    made = [DocumentParts(form, signature=bytes(96)) for form in (payload, indefinite(payload))]
    return [part.encode(tagged=tagged) for part in made for tagged in (False, True)] + [
        path.read_bytes() for path in VECTORS
    ]


def structural_bytes(data: bytes) -> list[int]:
    """Where mutation is most telling: everything but the inside of certificates, registers and free fields."""
    names = [b"module_id", b"digest", b"timestamp", b"pcrs", b"certificate", b"cabundle", b"public_key", b"nonce"]
    places = [data.find(name) for name in names]
    near = {place + offset for place in places if place >= 0 for offset in range(-2, 16)}
    return sorted({*range(16), *range(len(data) - 110, len(data)), *near} & set(range(len(data))))


def mutate(data: bytes, dice: random.Random) -> bytes:
    """A few small changes, most of them where the structure is."""
    value = bytearray(data)
    places = structural_bytes(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        place = dice.choice(places) if dice.random() < 0.8 else dice.randrange(len(value))
        place = min(place, len(value) - 1)
        match dice.randrange(5):
            case 0:
                value[place] = dice.randrange(256)
            case 1:
                value[place] ^= 1 << dice.randrange(8)
            case 2:
                value[place:place] = bytes([dice.randrange(256)])
            case 3:
                del value[place]
            case _:
                value[place] = dice.choice(
                    (0xA0, 0xBF, 0x9F, 0xFF, 0xF6, 0xF7, 0x40, 0x5F, 0x60, 0x18, 0x1B, 0xC2, 0xD2)
                )
    return bytes(value)


def test_at18_second_reader_agrees_on_right_documents() -> None:
    for data in corpus():
        assert second_reader.read(data) == ours(data)
    assert second_reader.read(corpus()[0]) is not None


def test_at18_second_reader_agrees_on_mutants(seed: int) -> None:
    dice = random.Random(seed)
    documents = corpus()
    accepted = 0
    for _ in range(MUTANTS):
        data = mutate(dice.choice(documents), dice)
        first, second = ours(data), second_reader.read(data)
        assert first == second, data.hex()
        accepted += first is not None
    assert 0 < accepted < MUTANTS, "the mutants are all of one kind"


# --- chains ---


@pytest.fixture(scope="module")
def openssl() -> str:
    found = shutil.which("openssl")
    if found is None:
        pytest.skip("no openssl command on this machine")
    return found


def pem(ders: tuple[bytes, ...]) -> str:
    return "".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode() for der in ders)


def openssl_accepts(openssl: str, folder: Path, chain: tuple[bytes, ...], time_ms: int) -> bool:
    for name, ders in (("root", chain[:1]), ("middle", chain[1:-1]), ("leaf", chain[-1:])):
        (folder / name).write_text(pem(ders))
    command = [openssl, "verify", "-attime", str(time_ms // 1000), "-no-CApath", "-no-CAstore"]
    command += ["-CAfile", str(folder / "root"), "-untrusted", str(folder / "middle"), str(folder / "leaf")]
    return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0


def we_accept(chain: tuple[bytes, ...], time_ms: int) -> bool:
    try:
        verify_chain(chain, ChainCache()).validate_at(time_ms)
    except AttestationError:
        return False
    return True


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_at18_openssl_agrees_on_genuine_chains_and_their_windows(openssl: str, tmp_path: Path, path: Path) -> None:
    try:
        document = parse_attestation_document(path.read_bytes())
    except AttestationError:
        pytest.skip("not an enclave's document")
    chain = document.certificates
    if chain[0] != AMAZON.der:
        pytest.skip("a self-made chain with times that OpenSSL's command line cannot name")
    assert we_accept(chain, document.timestamp_ms)
    window = verify_chain(chain, ChainCache())
    start, end = window.not_before_ms, window.not_after_ms
    # Not the last second itself: OpenSSL takes it for expired, RFC 5280 for valid (AT-09).
    for time_ms in (start - 1000, start, start + 1000, end - 1000, end + 1000):
        assert we_accept(chain, time_ms) == openssl_accepts(openssl, tmp_path, chain, time_ms)


def test_at18_openssl_accepts_the_chain_without_defects(openssl: str, tmp_path: Path) -> None:
    assert we_accept(pki.good_chain(), NOW_MS)
    assert openssl_accepts(openssl, tmp_path, pki.good_chain(), NOW_MS)


def test_at18_random_chains_are_never_accepted_here_and_refused_there(openssl: str, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    verdicts = set()
    for _ in range(40):
        specs = list(pki.SPECS)
        for _ in range(dice.randrange(3)):
            place = dice.randrange(5)
            change = dice.choice(
                [
                    {"path_length": dice.randrange(3)} if specs[place].ca else {},
                    {"not_after": pki.NOW + timedelta(seconds=dice.choice((-1, 1)))},
                    {"usage": pki.usage(*dice.sample(("digital_signature", "key_cert_sign", "crl_sign"), 2))},
                    {"usage": None},
                    # OpenSSL wants a root that has issued itself; here its bytes are what counts.
                    {"issuer": "stranger"} if place else {},
                    {"signer": "stranger"} if place else {},
                ]
            )
            specs[place] = pki.replace(specs[place], **change)
        chain = pki.chain(tuple(specs))
        we, they = we_accept(chain, NOW_MS), openssl_accepts(openssl, tmp_path, chain, NOW_MS)
        assert they or not we, specs
        verdicts.add((we, they))
    assert (True, True) in verdicts
