"""Request signatures against Project Wycheproof's P-256 vectors."""

from enclave.auth_key import parse_key, verify_request_signature
from enclave.errors import Refusal
from protocol.errors import INVALID_SIGNATURE
from tests import wycheproof


def is_accepted(point: str, signature: str, covered: bytes) -> bool:
    key = parse_key({"keyType": "WebCrypto_Secp256r1", "address": "0x" + point})
    assert key is not None
    try:
        verify_request_signature(key, "0x" + signature, covered)
    except Refusal as refusal:
        return refusal.error != INVALID_SIGNATURE
    return True


def test_verdict_on_every_signature_is_that_of_wycheproof() -> None:
    found = set()
    for group in wycheproof.groups("ecdsa_secp256r1_sha256_p1363"):
        for case in group["tests"]:
            expected = case["result"] == "valid"
            covered = bytes.fromhex(case["msg"])
            assert is_accepted(group["publicKey"]["uncompressed"], case["sig"], covered) is expected, case["tcId"]
            found.add(expected)
    assert found == {True, False}
