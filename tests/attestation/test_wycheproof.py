"""Signatures that others found implementations to be wrong about: Project Wycheproof's ECDSA vectors, raw r ‖ s."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation import cose
from attestation.cose import ES256K, ES384, Algorithm, Sign1, verify_sign1
from attestation.errors import AttestationError
from enclave import curve
from tests import wycheproof

FILES = {"ecdsa_secp384r1_sha384_p1363": ES384, "ecdsa_secp256k1_sha256_p1363": ES256K}


def is_accepted(algorithm: Algorithm, key: ec.EllipticCurvePublicKey, signature: bytes) -> bool:
    try:
        verify_sign1(Sign1(b"", b"", signature), algorithm, key)
    except AttestationError as error:
        return error.code not in ("cose-signature", "cose-signature-form")
    return True


@pytest.mark.parametrize("name", FILES)
def test_at04_verdict_on_every_signature_is_that_of_wycheproof(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm, found = FILES[name], set()
    for group in wycheproof.groups(name):
        key = ec.EllipticCurvePublicKey.from_encoded_point(
            algorithm.curve, bytes.fromhex(group["publicKey"]["uncompressed"])
        )
        for case in group["tests"]:
            signature, covered = bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
            # The vectors sign bare messages; what a COSE signature covers is put in their place.
            monkeypatch.setattr(cose, "sig_structure", lambda *_, covered=covered: covered)
            s = int.from_bytes(signature[algorithm.width :], "big")
            is_low = not algorithm.low_s or s <= algorithm.order // 2
            expected = case["result"] == "valid" and is_low
            if algorithm is ES256K:
                point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
                digest = hashlib.sha256(covered).digest()
                assert curve.is_signed(point, signature, digest) is expected, (case["tcId"], case["comment"])
            assert is_accepted(algorithm, key, signature) is expected, (case["tcId"], case["comment"])
            found.add(expected)
    assert found == {True, False}
