"""Documents for verifiers in any language, each with what the Python verifier says of it: a code, or None for accepted.

The rows are those of the Python tests (`tests/attestation/`), the vectors, and mutants: documents with flipped bits,
and certificates whose covered part was damaged before their issuer signed it, so that nothing but the reading of DER
can refuse them.
"""

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import cbor2
import pytest

from attestation.chain import ChainCache
from attestation.cose import ES384
from attestation.errors import AttestationError
from attestation.policy import (
    AllOf,
    AnyImage,
    AnyOf,
    Aspect,
    DebugImage,
    Finding,
    MaxAge,
    Measurements,
    Nonce,
    Policy,
    UserData,
)
from attestation.roots import AMAZON, TrustRoot
from attestation.verify import verify
from protocol import limits
from tests.attestation import pki, test_chain, test_document
from tests.attestation.pki import ENCLAVE, NOW, NOW_MS, REGIONAL, ROOT, SPECS, DocumentParts
from tests.attestation_channel import odd_certificates


class Careless:
    """A policy of somebody who forgot about debug mode."""

    def validate(self, *_: Any) -> tuple[Finding, ...]:
        return (Finding(Aspect.IMAGE, "looks fine"),)


IMAGES: dict[str, Policy] = {
    "any": AnyImage(),
    "debug": DebugImage(),
    "either": AnyOf((AnyImage(), DebugImage())),
    "image": Measurements(name="image", pcrs=pki.image()),
    "other": Measurements(name="other", pcrs=pki.image(0x44)),
    "expired": Measurements(name="expired", pcrs=pki.image(), expires_ms=NOW_MS - 1),
    "expires now": Measurements(name="expires now", pcrs=pki.image(), expires_ms=NOW_MS),
    "with PCR16": Measurements(name="with PCR16", pcrs=pki.image() | {16: bytes(48)}),
    "one of two": AnyOf(
        (Measurements(name="other", pcrs=pki.image(0x44)), Measurements(name="image", pcrs=pki.image()))
    ),
    "none": AnyOf(()),
    "careless": Careless(),
    "silent": AllOf(()),
}
"""The policies of the table by name; the JavaScript side has the same ones."""


@dataclass(frozen=True, slots=True)
class Row:
    """One document and its circumstances. Bytes are base64."""

    name: str
    document: str
    now_ms: int
    as_of_ms: int
    root: str | None = None
    policy: str = "any"
    nonce: str | None = None
    user_data: str | None = None
    max_age_ms: int | None = None
    expected: str | None = field(default=None)
    exact: bool = True
    """Whether the codes must agree, too; of mutants only the verdict must."""


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def row(name: str, data: bytes, **circumstances: Any) -> Row:
    """The row of `data` with the Python verifier's verdict."""
    now_ms = circumstances.pop("now_ms", NOW_MS)
    as_of_ms = circumstances.pop("as_of_ms", now_ms)
    root: TrustRoot = circumstances.pop("root", None) or pki.root()
    policy = circumstances.pop("policy", "any")
    nonce, user_data = circumstances.pop("nonce", None), circumstances.pop("user_data", None)
    max_age_ms = circumstances.pop("max_age_ms", None)
    demands: list[Policy] = [IMAGES[policy]]
    demands += [] if nonce is None else [Nonce(nonce)]
    demands += [] if max_age_ms is None else [MaxAge(max_age_ms)]
    demands += [] if user_data is None else [UserData(user_data)]
    expected = None
    try:
        verify(data, AllOf(tuple(demands)), now_ms, [root], as_of=as_of_ms, cache=ChainCache())
    except AttestationError as error:
        expected = error.code
    return Row(
        name,
        _text(data) or "",
        now_ms,
        as_of_ms,
        None if root == AMAZON else _text(root.der),
        policy,
        _text(nonce),
        _text(user_data),
        max_age_ms,
        expected,
        **circumstances,
    )


def parameters(test: Callable[..., Any]) -> list[tuple[Any, ...]]:
    """The argument sets of a parametrized test, where it has one `parametrize`."""
    marks: list[pytest.Mark] = [mark for mark in test.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    [mark] = marks
    names = [name.strip() for name in mark.args[0].split(",")] if isinstance(mark.args[0], str) else mark.args[0]
    return [values if len(names) > 1 else (values,) for values in mark.args[1]]


def genuine() -> Iterator[Row]:
    """The vectors: at their own time, at the ends of their windows, and under a root that is not theirs."""
    from tests.attestation import test_genuine

    for name in [*test_genuine.VALID, *test_genuine.INVALID]:
        info, data = test_genuine.index()[name], test_genuine.vector(name)
        now_ms = info.get("timestamp_ms") or test_genuine.TODAY_MS
        yield row(f"{name}, own time", data, now_ms=now_ms, root=AMAZON, policy="either")
        yield row(f"{name}, not debug", data, now_ms=now_ms, root=AMAZON)
        yield row(f"{name}, today", data, now_ms=test_genuine.TODAY_MS, root=AMAZON, policy="either")
        yield row(f"{name}, other root", data, now_ms=now_ms, policy="either")
        if name in test_genuine.VALID:
            for edge in ("chain_valid_from", "chain_valid_to"):
                at_ms = test_genuine.milliseconds(info[edge])
                for offset_ms in (-1000, -1, 0, 1, 1000):
                    where = f"{name}, {edge} {offset_ms:+} ms"
                    yield row(where, data, now_ms=at_ms + offset_ms, root=AMAZON, policy="either")


def chains() -> Iterator[Row]:
    """One defect in one certificate, harmless variations, other orders, edges of validity (AT-07 to AT-09)."""
    for name, place, defects, _ in test_chain.CASES:
        yield _chain(name, pki.chain(pki.defective(place, **defects)))
    for (defects,) in parameters(test_chain.test_at08_harmless_variations_of_the_enclave_certificate_pass):
        yield _chain(f"harmless {defects}"[:80], pki.chain(pki.defective(ENCLAVE, **defects)))
    for (order,) in parameters(test_chain.test_at08_certificates_in_any_other_order_or_number_are_refused):
        yield _chain(f"order {order}", tuple(pki.good_chain()[place] for place in order))
    between = [pki.Spec(f"authority {n}", SPECS[3].life) for n in range(limits.MAX_CABUNDLE_CERTIFICATES - 1)]
    yield _chain("longest bundle", pki.chain((SPECS[ROOT], *between, SPECS[ENCLAVE])))
    for specs in (SPECS, test_chain.UNLIMITED):
        yield _chain("a certificate below the enclave's", pki.chain((*specs, test_chain.ATTACKER)))
    for place in range(1, 5):
        good = pki.good_chain()
        for name, bad in (("cut", good[place][:-1]), ("longer", good[place] + b"\0"), ("text", b"certificate")):
            yield _chain(f"{name} {place}", (*good[:place], bad, *good[place + 1 :]))
    for name, certificate in odd_certificates.certificates():
        exact = name not in odd_certificates.OTHER_CODES
        yield _chain(f"odd: {name}", (*pki.good_chain()[:-1], certificate), exact=exact)
    yield from _dates()


def _dates() -> Iterator[Row]:
    for place in (ROOT, REGIONAL):
        yield _chain(f"no path length {place}", pki.chain(pki.defective(place, path_length=None)))
        # RFC 5280 4.1.2.5: dates from 2050 on are written another way.
        yield _chain(f"ends in 2060 {place}", pki.chain(pki.defective(place, not_after=NOW.replace(year=2060))))
        yield _chain(f"began in 1975 {place}", pki.chain(pki.defective(place, not_before=NOW.replace(year=1975))))
    for place in range(5):
        for bound in ("not_before", "not_after"):
            certificates = pki.chain(pki.defective(place, **{bound: NOW}))
            for offset_ms in (-1000, -1, 0, 1, 1000):
                yield _chain(f"{bound} {place} {offset_ms:+} ms", certificates, NOW_MS + offset_ms)


def _chain(name: str, certificates: tuple[bytes, ...], now_ms: int = NOW_MS, *, exact: bool = True) -> Row:
    return row(name, pki.document(certificates), now_ms=now_ms, root=pki.root(certificates), exact=exact)


def documents() -> Iterator[Row]:
    """Fields at and beyond their limits, other encodings, other headers and signatures (AT-01 to AT-06, AT-12)."""
    yield row("right", pki.document())
    yield row("tagged", DocumentParts(test_document.PAYLOAD).encode(tagged=True))
    yield row("indefinite", DocumentParts(pki.indefinite(test_document.PAYLOAD)).encode())
    yield row("too large", pki.document() + bytes(limits.MAX_ATTESTATION_DOCUMENT_BYTES))
    for tail in (b"\x00", b"\xff", b"\xf6", b"\x84"):
        yield row(f"tail {tail.hex()}", pki.document() + tail)
    for (data,) in parameters(test_document.test_at02_anything_but_four_plain_elements_is_refused):
        yield row(f"cose {data[:12].hex()}", data)
    yield from _fields()
    yield from _payloads()
    yield from _signatures()


def _fields() -> Iterator[Row]:
    for name, good, bad in parameters(test_document.test_at05_fields_are_taken_at_their_limits_and_refused_beyond):
        for number, value in enumerate([*good, *bad]):
            yield row(f"{name} {number}", pki.document(**{name: value}))
    for (pcrs,) in parameters(test_document.test_at05_bad_registers_are_refused):
        yield row(f"registers {str(pcrs)[:40]}", pki.document(pcrs=pcrs))
    for (name,) in parameters(test_document.test_at05_missing_field_is_refused):
        yield row(f"no {name}", pki.document(**{name: ...}))
    for (name,) in parameters(test_document.test_at05_unknown_field_is_refused):
        yield row(f"unknown {name}", pki.document(**{name: b""}))
    yield row("NitroTPM", pki.document(nitrotpm_pcrs={}, pcrs=...))


def _payloads() -> Iterator[Row]:
    for test in (
        test_document.test_at06_other_encodings_and_duplicates_are_refused,
        test_document.test_at06_plain_cbor_of_the_wrong_kind_is_refused,
    ):
        for number, (payload,) in enumerate(parameters(test)):
            yield row(f"{test.__name__} {number}", DocumentParts(payload).encode())
    for (tag,) in parameters(test_document.test_at06_no_tag_is_acted_upon):
        head = cbor2.dumps(cbor2.CBORTag(tag, 0))[:-1]
        yield row(f"tag {tag}", DocumentParts(test_document.with_member("nonce", head + b"\x43abc")).encode())


def _signatures() -> Iterator[Row]:
    payload, order = test_document.PAYLOAD, ES384.order
    good = pki.sign(payload)
    for (header,) in parameters(test_document.test_at03_protected_header_is_exactly_es384):
        signature = pki.sign(payload, protected=header)
        yield row(f"header {header.hex()}", DocumentParts(payload, protected=header, signature=signature).encode())
    for (length,) in parameters(test_document.test_at04_signature_is_exactly_96_raw_bytes):
        yield row(f"signature of {length}", DocumentParts(payload, signature=bytes(length)).encode())
    other_s = (order - int.from_bytes(good[48:], "big")).to_bytes(48, "big")
    yield row("the other s", DocumentParts(payload, signature=good[:48] + other_s).encode())
    for bad in (bytes(48), order.to_bytes(48, "big"), b"\xff" * 48):
        yield row(f"r {bad[:2].hex()}", DocumentParts(payload, signature=bad + good[48:]).encode())
        yield row(f"s {bad[:2].hex()}", DocumentParts(payload, signature=good[:48] + bad).encode())
    for signer in ("root", "instance", "stranger"):
        signature = pki.sign(payload, signer=pki.key(signer))
        yield row(f"signed by {signer}", DocumentParts(payload, signature=signature).encode())


def demands() -> Iterator[Row]:
    """Policies, nonces, ages, user data, and times (AT-10 to AT-14)."""
    zero = pki.payload_fields()["pcrs"] | {1: bytes(48)}
    for policy in IMAGES:
        yield row(f"policy {policy}", pki.document(), policy=policy)
        yield row(f"debug, policy {policy}", pki.document(pcrs=zero), policy=policy)
    nonce = b"0123456789abcdef"
    for held in (None, b"", nonce, nonce[:-1], nonce + b"\0", nonce.upper()):
        yield row(f"nonce {held!r}", pki.document(nonce=held), nonce=nonce)
        yield row(f"user data {held!r}", pki.document(user_data=held), user_data=nonce)
    for age_ms in (0, 299_999, 300_000, 300_001, 10**7):
        yield row(f"age {age_ms}", pki.document(timestamp=NOW_MS - age_ms), max_age_ms=300_000)
    for ahead_ms in (limits.MAX_FUTURE_SKEW_MS, limits.MAX_FUTURE_SKEW_MS + 1):
        yield row(f"ahead {ahead_ms}", pki.document(timestamp=NOW_MS + ahead_ms))
        yield row(f"as of {ahead_ms}", pki.document(), as_of_ms=NOW_MS - ahead_ms)
    for module_id in ("i-0123456789abcdef1-enc0123456789abcdef", "i-0123456789abcdef", "enc0123456789abcdef"):
        yield row(f"module {module_id}", pki.document(module_id=module_id))
    later_ms = NOW_MS + 365 * 86_400_000
    yield row("archived", pki.document(), now_ms=later_ms, as_of_ms=NOW_MS)
    yield row("archived and too old", pki.document(), now_ms=later_ms, as_of_ms=NOW_MS, max_age_ms=300_000)
    yield row("late", pki.document(), now_ms=later_ms)


def flipped(seed: int, count: int) -> Iterator[Row]:
    """A right document with one bit wrong."""
    good, source = pki.document(nonce=b"nonce"), random.Random(seed)
    for _ in range(count):
        position, bit = source.randrange(len(good)), source.randrange(8)
        damaged = bytearray(good)
        damaged[position] ^= 1 << bit
        yield row(f"bit {bit} of byte {position}", bytes(damaged), exact=False)


def damaged_certificates(seed: int, count: int) -> Iterator[Row]:
    """A right chain whose enclave certificate was damaged before it was signed: only its form can give it away.

    It has the two extensions that decide something. Of further ones, the Python verifier's library reads more kinds.
    """
    source = random.Random(seed)
    for _ in range(count):
        content, what = _damage(b"".join(odd_certificates.right_parts()), source)
        certificate = odd_certificates.signed(content)
        if len(certificate) <= limits.MAX_CERTIFICATE_BYTES:
            yield row(f"certificate: {what}", pki.document((*pki.good_chain()[:-1], certificate)), exact=False)


def _damage(content: bytes, source: random.Random) -> tuple[bytes, str]:
    data = bytearray(content)
    position = source.randrange(len(data))
    kind = source.choice(["flip", "set", "insert", "delete", "repeat"])
    if kind == "flip":
        data[position] ^= 1 << source.randrange(8)
    elif kind == "set":
        data[position] = source.choice([0x00, 0x01, 0x30, 0x80, 0xFF])
    elif kind == "insert":
        data.insert(position, source.randrange(256))
    elif kind == "delete":
        del data[position]
    else:
        data[position:position] = data[position : position + source.randrange(1, 12)]
    return bytes(data), f"{kind} at {position}"


def encode(rows: list[Row]) -> str:
    """The rows as JSON."""
    return json.dumps([asdict(each) for each in rows])
