"""Signature sections: what is written verifies, and each way in which one can be wrong has its own outcome."""

from datetime import timedelta
from io import BytesIO
from pathlib import Path

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from attestation import cose, pcr
from eif import signature
from eif.errors import EifError
from eif.layout import SectionType
from eif.measurements import measure
from eif.signature import examine, parse_private_key, parse_signature, parse_signer, verify_image_signature
from eif.signing import sign_image
from tests.eif import images
from tests.eif.images import AT, CURVES, SECTIONS, SIGNATURE

PCR0 = bytes(range(48))
KEY = images.new_key()
CERTIFICATE = images.certificate(KEY)
SIGNER = parse_signer(CERTIFICATE)
SECTION = signature.sign(PCR0, SIGNER, KEY)


def refusal(data: bytes) -> str:
    with pytest.raises(EifError) as refused:
        parse_signature(data)
    return refused.value.code


@pytest.mark.parametrize("algorithm", CURVES)
def test_signature_of_each_algorithm_verifies(algorithm: str) -> None:
    key = images.new_key(algorithm)
    signer = parse_signer(images.certificate(key))
    made = signature.sign(PCR0, signer, key)
    assert verify_image_signature(made, PCR0, AT).pcr8 == signer.pcr8
    assert examine(parse_signature(made), PCR0, AT) == signature.SignatureFindings(None, None, None)


def test_bytes_are_as_the_platform_and_qemu_read_them() -> None:
    """Checked with the CBOR library and the raw ECDSA call, not with this package's reader."""
    [element] = cbor2.loads(SECTION)
    assert list(element) == ["signing_certificate", "signature"]
    assert all(len(cbor2.dumps(byte)) <= 2 for bytes_ in element.values() for byte in bytes_)
    certificate = x509.load_pem_x509_certificate(bytes(element["signing_certificate"]))
    protected, unprotected, payload, raw = cbor2.loads(bytes(element["signature"]))
    assert bytes(element["signature"])[:1] == b"\x84"
    assert (cbor2.loads(protected), unprotected) == ({1: -35}, {})
    assert cbor2.loads(payload) == {"register_index": 0, "register_value": list(PCR0)}
    public_key = certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    der = encode_dss_signature(int.from_bytes(raw[:48], "big"), int.from_bytes(raw[48:], "big"))
    public_key.verify(der, cbor2.dumps(["Signature1", protected, b"", payload]), cose.ES384.ecdsa)


def test_register_names_the_certificate() -> None:
    der = x509.load_pem_x509_certificate(CERTIFICATE).public_bytes(Encoding.DER)
    assert SIGNER.pcr8 == pcr.of_signer(der)


def test_private_key_in_the_file_of_the_certificate_stays_out_of_the_image() -> None:
    both = images.pem(KEY) + CERTIFICATE
    made = signature.sign(PCR0, parse_signer(both), KEY)
    [element] = cbor2.loads(made)
    assert bytes(element["signing_certificate"]) == CERTIFICATE


def test_each_check_fails_alone() -> None:
    found = parse_signature(SECTION)
    assert examine(found, bytes(48), AT).measurement is not None
    assert not examine(found, bytes(48), AT).covers_image
    late = examine(found, PCR0, AT + timedelta(days=60))
    assert (late.signature, late.measurement) == (None, None)
    assert late.validity is not None
    assert late.validity.code == "certificate-expired"
    assert late.covers_image
    other = parse_signature(signature.sign(PCR0, SIGNER, images.new_key()))  # as if another key had signed
    found_of_other = examine(other, PCR0, AT)
    assert found_of_other.signature is not None
    assert found_of_other.signature.code == "signature-invalid"
    assert found_of_other.measurement is None


@pytest.mark.parametrize(
    ("seconds", "code"), [(-1, "certificate-not-yet-valid"), (0, None), (86400, None), (86401, "certificate-expired")]
)
def test_validity_counts_to_the_second(seconds: int, code: str | None) -> None:
    signer = parse_signer(images.certificate(KEY, since=AT, days=1))
    section, at = signature.sign(PCR0, signer, KEY), AT + timedelta(seconds=seconds)
    if code is None:
        assert verify_image_signature(section, PCR0, at) == signer
    else:
        with pytest.raises(EifError) as refused:
            verify_image_signature(section, PCR0, at)
        assert refused.value.code == code


def test_unsigned_image_does_not_verify() -> None:
    with pytest.raises(EifError, match="signature-missing"):
        verify_image_signature(None, PCR0, AT)


def section(certificate: bytes = CERTIFICATE, sign1: bytes | None = None) -> bytes:
    made = bytes(cbor2.loads(SECTION)[0]["signature"]) if sign1 is None else sign1
    return cbor2.dumps([{"signing_certificate": list(certificate), "signature": list(made)}])


def test_algorithm_has_to_be_that_of_the_key() -> None:
    for protected in (cbor2.dumps({1: -7}), cbor2.dumps({1: -36}), cbor2.dumps({1: -35, 4: b""}), b"", b"\xa0"):
        parsed = cose.parse_sign1(bytes(cbor2.loads(SECTION)[0]["signature"]), max_bytes=4096)
        sign1 = cose.encode_sign1(protected, parsed.payload, parsed.signature)
        with pytest.raises(EifError, match="signature-algorithm"):
            parse_signature(section(sign1=sign1)).verify_signature()


MALFORMED = {
    "empty": b"",
    "no signature": cbor2.dumps([]),
    "two signatures": cbor2.dumps(cbor2.loads(SECTION) * 2),
    "signature first": cbor2.dumps([dict(reversed(cbor2.loads(SECTION)[0].items()))]),
    "a further member": cbor2.dumps([cbor2.loads(SECTION)[0] | {"chain": []}]),
    "byte strings": cbor2.dumps([{name: bytes(value) for name, value in cbor2.loads(SECTION)[0].items()}]),
    "number above 255": cbor2.dumps([{"signing_certificate": [256], "signature": [1]}]),
    "negative number": cbor2.dumps([{"signing_certificate": [-1], "signature": [1]}]),
    "truth": cbor2.dumps([{"signing_certificate": [True], "signature": [1]}]),
    "trailing byte": SECTION + b"\0",
    "indefinite array": b"\x9f" + SECTION[1:] + b"\xff",
    "tagged COSE": section(sign1=b"\xd2" + bytes(cbor2.loads(SECTION)[0]["signature"])),
    "no COSE": section(sign1=b"\x80"),
    "number in three bytes": SECTION.replace(b"\x18\x2d", b"\x19\x00\x2d", 1),
    "too large": SECTION + bytes(32769 - len(SECTION)),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_other_encodings_are_refused(name: str) -> None:
    assert refusal(MALFORMED[name]) == "signature-malformed"


def test_certificate_that_cannot_sign_images_is_refused() -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    assert refusal(section(images.certificate(rsa_key))) == "certificate-key"
    assert refusal(section(images.certificate(ec.generate_private_key(ec.SECP256K1())))) == "certificate-key"
    assert refusal(section(b"no certificate")) == "certificate-malformed"
    assert refusal(section(CERTIFICATE.replace(b"MI", b"MJ", 1))) == "certificate-malformed"


def test_key_has_to_be_the_signers() -> None:
    assert parse_private_key(images.pem(KEY), SIGNER).public_key() == KEY.public_key()
    for key in (images.new_key(), images.new_key("ES256"), rsa.generate_private_key(65537, 2048)):
        with pytest.raises(EifError, match="key-mismatch"):
            parse_private_key(images.pem(key), SIGNER)
    locked = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    for data in (b"", CERTIFICATE, locked, images.pem(KEY)[:100]):
        with pytest.raises(EifError, match="key-malformed"):
            parse_private_key(data, SIGNER)


@given(st.data())
def test_damage_does_not_verify_unless_it_makes_another_certificate_of_the_same_key(data: st.DataObject) -> None:
    """Nobody checks who issued the certificate. Another one has another PCR8, unless only its white space differs."""
    damaged = bytearray(SECTION)
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        signer = verify_image_signature(bytes(damaged), PCR0, AT)
    except EifError:
        return
    certificate = bytes(cbor2.loads(damaged)[0]["signing_certificate"])
    assert parse_signature(bytes(damaged)).sign1 == parse_signature(SECTION).sign1
    assert signer.public_key == SIGNER.public_key
    assert signer.pcr8 != SIGNER.pcr8 or certificate.split() == CERTIFICATE.split()


# --- whole images ---


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_signing_adds_a_register_and_changes_no_other(tmp_path: Path) -> None:
    source, target = write(tmp_path / "image.eif", images.image()), tmp_path / "signed.eif"
    signed = sign_image(source, target, SIGNER, KEY, AT)
    before, after = measure(BytesIO(images.image())), measure(BytesIO(target.read_bytes()))
    assert after.pcrs == signed.pcrs == before.pcrs | {8: SIGNER.pcr8}
    assert [section.start.name for section in after.image.sections][-1] == "signature"
    verify_image_signature(after.image.content(SectionType.SIGNATURE), after.pcrs[0], AT)
    assert source.read_bytes() == images.image()


@pytest.mark.parametrize("place", [0, 3, 5])
def test_signing_anew_replaces_the_signature_wherever_it_stands(tmp_path: Path, place: int) -> None:
    old = signature.sign(PCR0, SIGNER, KEY)
    sections = [*SECTIONS[:place], (SIGNATURE, old), *SECTIONS[place:]]
    path = write(tmp_path / "image.eif", images.image(*sections, flags=1))
    key = images.new_key("ES512")
    signer = parse_signer(images.certificate(key))
    sign_image(path, path, signer, key, AT)
    after = measure(BytesIO(path.read_bytes()))
    assert after.pcrs[8] == signer.pcr8 != SIGNER.pcr8
    assert [(int(section.start.kind)) for section in after.image.sections] == [kind for kind, _ in SECTIONS] + [
        SIGNATURE
    ]
    assert after.image.header.flags == 1
    assert [path.name for path in tmp_path.iterdir()] == ["image.eif"]


def test_what_cannot_be_signed_stays_as_it_was(tmp_path: Path) -> None:
    sound = images.image()
    old = images.image(*SECTIONS[:2], *SECTIONS[3:], version=2)
    for name, data, at, code in (
        ("expired", sound, AT + timedelta(days=60), "certificate-expired"),
        ("damaged", sound[:-1] + b"\x01", AT, "eif-crc"),
        ("version 2", old, AT, "eif-section-version"),
        ("full", images.image(*SECTIONS, *[SECTIONS[3]] * 27), AT, "eif-section-count"),
    ):
        path = write(tmp_path / name, data)
        with pytest.raises(EifError, match=code):
            sign_image(path, path, SIGNER, KEY, at)
        assert path.read_bytes() == data
    assert len(list(tmp_path.iterdir())) == 4


def test_image_that_changes_while_it_is_signed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "image.eif", images.image())
    sign = signature.sign

    def sign_and_edit(*arguments: object) -> bytes:
        edited = bytearray(path.read_bytes())
        edited[-20] ^= 1
        path.write_bytes(edited)
        return sign(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("eif.signing.sign", sign_and_edit)
    with pytest.raises(EifError, match="changed while it was read"):
        sign_image(path, tmp_path / "signed.eif", SIGNER, KEY, AT)
    assert not (tmp_path / "signed.eif").exists()
