"""Shamir sharing over the secp256k1 scalar field, with Feldman commitments (design section 6; SH-01 to SH-04).

A scalar is the constant term of a random polynomial of degree t - 1; holder i gets its value at x = i (1 to n). The
commitments are the coefficients times G, so each share can be checked alone, and the holder of a wrong one is named.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from enclave import curve
from enclave.secret import Secret


class WrongShare(Exception):
    """Shares that do not lie on the committed polynomial; `indices` names their holders."""

    def __init__(self, indices: tuple[int, ...]) -> None:
        super().__init__("wrong share")
        self.indices = indices


@dataclass(frozen=True, slots=True)
class Split:
    """`shares[i]` belongs to index i + 1; `commitments[0]` is the public key of the scalar."""

    shares: tuple[Secret, ...]
    commitments: tuple[bytes, ...]


def split(scalar: Secret, threshold: int, count: int, random: Callable[[int], bytes]) -> Split:
    """Share `scalar` so that any `threshold` of `count` shares combine to it and fewer say nothing."""
    if not 2 <= threshold <= count <= 255:
        raise ValueError("threshold")
    coefficients = [scalar, *(curve.random_scalar(random) for _ in range(threshold - 1))]
    try:
        commitments = tuple(curve.public_key(coefficient) for coefficient in coefficients)
        return Split(tuple(_evaluate(coefficients, index) for index in range(1, count + 1)), commitments)
    finally:
        for coefficient in coefficients[1:]:
            coefficient.wipe()


def combine(shares: Mapping[int, Secret], commitments: Sequence[bytes]) -> Secret:
    """The shared scalar from exactly t shares by index. `WrongShare` names every share off the polynomial.

    The result is checked against the public key first; only when that fails is each share checked alone. A result that
    has the right public key is the right scalar, so the short way decides no less.
    """
    scalar = interpolate(shares, commitments, at=0)
    try:
        matches = curve.public_key(scalar) == commitments[0]
    except curve.CurveError:
        matches = False
    if not matches:
        scalar.wipe()
        raise WrongShare(find_wrong(shares, commitments))
    return scalar


def interpolate(shares: Mapping[int, Secret], commitments: Sequence[bytes], *, at: int) -> Secret:
    """The value at `at` from exactly t shares: 0 gives the scalar, i the share of holder i. Not checked."""
    if len(shares) != len(commitments):
        raise ValueError("exactly t shares are needed")
    indices = tuple(sorted(shares))
    terms = [curve.copy_scalar(shares[index]) for index in indices]
    try:
        for term, factor in zip(terms, _lagrange(indices, at), strict=True):
            curve.multiply_scalar(term, factor)
        for term in terms[1:]:
            curve.add_scalar(terms[0], term)
    except curve.CurveError:
        terms[0].wipe()
        raise WrongShare(find_wrong(shares, commitments)) from None
    finally:
        for term in terms[1:]:
            term.wipe()
    return terms[0]


def find_wrong(shares: Mapping[int, Secret], commitments: Sequence[bytes]) -> tuple[int, ...]:
    """The indices whose share is not the committed one."""
    return tuple(index for index, share in shares.items() if not _is_committed(index, share, tuple(commitments)))


def _is_committed(index: int, share: Secret, commitments: tuple[bytes, ...]) -> bool:
    try:
        return curve.public_key(share) == curve.evaluate_commitments(commitments, index)
    except curve.CurveError:
        return False


def _evaluate(coefficients: Sequence[Secret], index: int) -> Secret:
    value = curve.copy_scalar(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):  # Horner
        curve.multiply_scalar(value, index)
        curve.add_scalar(value, coefficient)
    return value


@lru_cache(maxsize=1024)
def _lagrange(indices: tuple[int, ...], at: int) -> tuple[int, ...]:
    """Public coefficients for the value at `at`, from public indices (SH-04: non-zero and distinct)."""
    if min(indices) < 1 or len(set(indices)) != len(indices) or at in indices:
        raise ValueError("indices")
    factors = []
    for i in indices:
        above = below = 1
        for j in indices:
            if j != i:
                above = above * (at - j) % curve.ORDER
                below = below * (i - j) % curve.ORDER
        factors.append(above * pow(below, -1, curve.ORDER) % curve.ORDER)
    return tuple(factors)
