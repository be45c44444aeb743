"""What verifying a document costs, next to the raw P-384 verifications that it contains, measured in the same run.

    python -m benchmarks.bench_attestation

A raw verification takes a public key's bytes, a message and a signature, and gives a verdict; the library does all of
it. The stricter comparison, with key objects that have been used before, is shown beside it: reading a key and using it
for the first time costs about a tenth of a verification, and a document brings keys that nobody has used before.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation import pcr
from attestation.certificate import parse_certificate
from attestation.chain import ChainCache
from attestation.cose import ES384, ES384_PROTECTED, encode_sign1, sig_structure
from attestation.document import parse_attestation_document
from attestation.policy import Measurements
from attestation.roots import TrustRoot
from attestation.verify import verify
from benchmarks.report import Figure
from simulator.pki import NitroPki

_NOW_MS = 1_790_000_000_000
_INSTANCE = "i-0123456789abcdef0"
_MODULE = f"{_INSTANCE}-enc0123456789abcdef"
_IMAGE = Measurements(name="benchmark", pcrs={index: bytes([index + 1]) * 48 for index in pcr.IMAGE_PCRS})
_P384 = SECP384R1()


@dataclass(frozen=True, slots=True)
class Raw:
    """One raw verification: the key as bytes and as an object, the signature in DER, what it covers."""

    point: bytes
    key: EllipticCurvePublicKey
    signature: bytes
    covered: bytes

    def from_bytes(self) -> None:
        key = EllipticCurvePublicKey.from_encoded_point(_P384, self.point)
        key.verify(self.signature, self.covered, ES384.ecdsa)

    def from_object(self) -> None:
        self.key.verify(self.signature, self.covered, ES384.ecdsa)


def measure(seconds: float = 1.0) -> list[Figure]:
    """The ratios of the fastest rounds of each side; what is slower than that is the machine's doing."""
    with tempfile.TemporaryDirectory() as folder:
        root, data = _document(NitroPki(Path(folder)))
    raws, warm = _raw_verifications(data), ChainCache()

    def run(cache: ChainCache) -> Callable[[], object]:
        return lambda: verify(data, _IMAGE, _NOW_MS, [root], cache=cache)

    def known_authorities() -> object:
        cache = ChainCache()
        cache.authorities = warm.authorities  # type: ignore[misc]
        return run(cache)()

    run(warm)()
    cold = lambda: run(ChainCache())()  # noqa: E731
    sides = [cold, known_authorities, run(warm)]
    sides += [_each(raws[-count:], how) for how in (Raw.from_bytes, Raw.from_object) for count in (5, 2, 1)]
    cold_s, known_s, cached_s, five_s, two_s, one_s, five_used_s, two_used_s, one_used_s = _times(sides, seconds)
    return [
        Figure("one raw P-384 verification", one_s * 1e6, "us"),
        Figure("document, nothing known", cold_s * 1e6, "us"),
        Figure("  to its five raw verifications", cold_s / five_s, "x", at_most=1.2),
        Figure("  the same, key objects used before", cold_s / five_used_s, "x"),
        Figure("document, authorities known", known_s * 1e6, "us"),
        Figure("  to its two raw verifications", known_s / two_s, "x", at_most=1.25),
        Figure("  the same, key objects used before", known_s / two_used_s, "x"),
        Figure("document, whole chain known", cached_s * 1e6, "us"),
        Figure("  to its one raw verification", cached_s / one_s, "x", at_most=1.25),
        Figure("  the same, key object used before", cached_s / one_used_s, "x"),
    ]


def _document(pki: NitroPki) -> tuple[TrustRoot, bytes]:
    """A document shaped like the hardware's."""
    chain = pki.chain(_MODULE, _NOW_MS)
    pcrs = dict.fromkeys(sorted(pcr.BOOT_PCRS), pcr.ZERO) | dict(_IMAGE.pcrs) | {4: pcr.of_instance(_INSTANCE)}
    payload = cbor2.dumps(
        {
            "module_id": _MODULE,
            "digest": "SHA384",
            "timestamp": _NOW_MS,
            "pcrs": pcrs,
            "certificate": chain.leaf.der,
            "cabundle": list(chain.bundle),
            "public_key": None,
            "user_data": bytes(64),
            "nonce": bytes(32),
        }
    )
    der = chain.leaf.key.sign(sig_structure(ES384_PROTECTED, payload), ES384.ecdsa)
    signature = b"".join(number.to_bytes(48, "big") for number in decode_dss_signature(der))
    return TrustRoot("simulator", pki.root_der), encode_sign1(ES384_PROTECTED, payload, signature)


def _raw_verifications(data: bytes) -> list[Raw]:
    document = parse_attestation_document(data)
    chain = [parse_certificate(der) for der in document.certificates]
    signature = document.sign1.signature
    r, s = int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")
    covered = sig_structure(document.sign1.protected, document.sign1.payload)
    links = [_raw(issuer.key, issued.signature, issued.covered) for issuer, issued in pairwise(chain)]
    return [*links, _raw(chain[-1].key, encode_dss_signature(r, s), covered)]


def _raw(key: EllipticCurvePublicKey, signature: bytes, covered: bytes) -> Raw:
    return Raw(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint), key, signature, covered)


def _each(raws: Sequence[Raw], how: Callable[[Raw], None]) -> Callable[[], object]:
    def run() -> None:
        for raw in raws:
            how(raw)

    return run


def _times(sides: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Seconds of processor time for each side, in turns, so that a busy moment meets all of them."""
    samples: list[list[float]] = [[] for _ in sides]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples[0]) < 10:
        for side, found in zip(sides, samples, strict=True):
            start = time.process_time()
            side()
            found.append(time.process_time() - start)
    return [min(found) for found in samples]


def main() -> None:
    """Print the figures."""
    for figure in measure(3.0):
        verdict = "" if figure.holds is None else "  ok" if figure.holds else "  MISSED"
        target = f"  ({figure.target})" if figure.target else ""
        print(f"{figure.name:<36} {figure.value:10.3f} {figure.unit}{target}{verdict}")


if __name__ == "__main__":
    main()
