"""Signatures: the bytes of an independent implementation, low-S, and none that does not verify (SE-07, SE-08)."""

import hashlib
import os

import pytest
from coincurve import PrivateKey
from eth_account import Account

from enclave import curve
from enclave.secret import Secret

HALF_ORDER = curve.ORDER // 2


def secret(data: bytes) -> Secret:
    return Secret.take(bytearray(data))


def test_the_golden_signature_of_the_published_service() -> None:
    """identity-instrument.md section 10, row 18."""
    key = secret(hashlib.sha256(b"signer").digest())
    digest = bytes.fromhex("c2baf6c66618acd49fb133cebc22f55bd907fe9f0d69a726d45b7539ba6bbe08")
    compact, parity = curve.sign(key, digest, curve.public_key(key))
    expected = (
        "0fe5bee331fa34d2ad53177e7586f9f56bf24736ca0d2a953f64c878ef6ab9bd"
        "7daf5779b585fe4c8eff7150c7a40df07c912a82fd07a344c07363229c7511ad1c"
    )
    assert (compact + bytes([27 + parity])).hex() == expected
    assert curve.address(curve.public_key(key)) == "0x81aefdb84a65089efa669583c2875dd1bf1613e7"


def test_signatures_equal_those_of_another_binding_and_are_low_s() -> None:
    for _ in range(50):
        raw, digest = os.urandom(32), os.urandom(32)
        key = secret(bytearray(raw))
        compact, parity = curve.sign(key, digest, curve.public_key(key))
        assert compact + bytes([parity]) == PrivateKey(raw).sign_recoverable(digest, hasher=None)
        assert int.from_bytes(compact[32:], "big") <= HALF_ORDER
        assert curve.address(curve.public_key(key)) == Account.from_key(raw).address.lower()


def test_a_signature_that_is_not_the_expected_key_s_is_not_released() -> None:
    key, other = curve.random_scalar(os.urandom), curve.random_scalar(os.urandom)
    with pytest.raises(curve.CurveError, match="fault"):
        curve.sign(key, bytes(32), curve.public_key(other))


@pytest.mark.parametrize("bad", [bytes(32), curve.ORDER.to_bytes(32, "big"), b"\xff" * 32])
def test_scalars_out_of_range_are_refused(bad: bytes) -> None:
    with pytest.raises(curve.CurveError):
        curve.public_key(secret(bad))
    with pytest.raises(curve.CurveError):
        curve.sign(secret(bad), bytes(32), bytes(33))


@pytest.mark.parametrize(
    ("compact", "parity", "digest"),
    [
        (bytes(64), 0, bytes(32)),
        (b"\xff" * 64, 0, bytes(32)),
        (bytes(63), 0, bytes(32)),
        (bytes(65), 0, bytes(32)),
        (b"\x01" * 64, 4, bytes(32)),
        (b"\x01" * 64, -1, bytes(32)),
        (b"\x01" * 64, 0, bytes(31)),
    ],
)
def test_recovery_of_nonsense_is_one_error(compact: bytes, parity: int, digest: bytes) -> None:
    with pytest.raises(curve.CurveError):
        curve.recover(compact, parity, digest)


@pytest.mark.parametrize("point", [b"", bytes(33), b"\x02" + b"\xff" * 32, b"\x04" + bytes(32), b"\x02" * 65])
def test_points_off_the_curve_are_refused(point: bytes) -> None:
    with pytest.raises(curve.CurveError, match="point"):
        curve.address(point)


def test_a_zero_scalar_is_drawn_again() -> None:
    draws = iter([bytes(32), curve.ORDER.to_bytes(32, "big"), b"\x05" + bytes(31)])
    assert bytes(curve.random_scalar(lambda _: next(draws)).view) == b"\x05" + bytes(31)
