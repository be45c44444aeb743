"""What a relying party demands of a genuine document: small policies that compose (AT-10 to AT-14).

A policy looks at a document whose signature and chain already hold. It raises, or says in findings what it checked, so
that a result can tell what was *not* checked. This is the file that decides whether measurements are acceptable.
Expected values come from the relying party, never over the channel that brought the document (AT-13).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from hmac import compare_digest
from types import MappingProxyType
from typing import Final, Protocol

from attestation import pcr
from attestation.binding import parse_binding
from attestation.document import AttestationDocument
from attestation.errors import AttestationError

DEFAULT_MAX_AGE_MS: Final = 300_000  # nitro-platform.md 3.4, step 10


class Aspect(StrEnum):
    """What a finding is about. `ANY_IMAGE` says that the image was deliberately left open."""

    IMAGE = "image"
    ANY_IMAGE = "any-image"
    DEBUG_IMAGE = "debug-image"
    NONCE = "nonce"
    AGE = "age"
    PUBLIC_KEY = "public-key"
    USER_DATA = "user-data"
    BINDING = "binding"
    REVOCATION = "revocation"
    CROSS_CHECK = "cross-check"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was checked and held, in words."""

    aspect: Aspect
    text: str


Findings = tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """`now_ms` is the verifier's clock; `as_of_ms` the time in question, which differs for archived documents."""

    now_ms: int
    as_of_ms: int


class Policy(Protocol):
    """A demand on a genuine document."""

    def validate(self, document: AttestationDocument, moment: Moment) -> Findings:
        """What was checked; `AttestationError` when the demand is not met."""
        ...


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of `policies`."""

    policies: tuple[Policy, ...]

    def validate(self, document: AttestationDocument, moment: Moment) -> Findings:
        return tuple(finding for policy in self.policies for finding in policy.validate(document, moment))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The first of `policies` that is met; none of an empty tuple ever is."""

    policies: tuple[Policy, ...]

    def validate(self, document: AttestationDocument, moment: Moment) -> Findings:
        return _first_met([policy.validate for policy in self.policies], document, moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """One acceptable image: PCR0, PCR1 and PCR2 together, and every further register that is named (AT-11)."""

    name: str
    pcrs: Mapping[int, bytes] = field(hash=False)
    version: int = 0
    """Rises with each release, for `AllowList.minimum_version`."""
    expires_ms: int | None = None

    def __post_init__(self) -> None:
        if not all(index in self.pcrs for index in pcr.IMAGE_PCRS):
            raise AttestationError("policy-malformed", "PCR0, PCR1 and PCR2 name an image only together")
        for index, value in self.pcrs.items():
            if index not in range(pcr.PCR_COUNT) or len(value) != pcr.PCR_BYTES:
                raise AttestationError("policy-malformed", f"PCR{index}")
            if index in pcr.IMAGE_PCRS and value == pcr.ZERO:
                raise AttestationError("policy-malformed", f"PCR{index} is zero: debug mode has a policy of its own")
        object.__setattr__(self, "pcrs", MappingProxyType(dict(sorted(self.pcrs.items()))))

    def validate(self, document: AttestationDocument, moment: Moment) -> Findings:
        _refuse_debug(document)
        for index, expected in self.pcrs.items():
            actual = document.pcrs.get(index)
            if actual is None:
                raise AttestationError("measurement-missing", f"PCR{index}")
            if not compare_digest(actual, expected):
                raise AttestationError("measurement-mismatch", f"PCR{index} differs from {self.name}")
        if self.expires_ms is not None and moment.as_of_ms > self.expires_ms:
            raise AttestationError("measurement-expired", self.name)
        registers = ", ".join(f"PCR{index}" for index in self.pcrs)
        return (Finding(Aspect.IMAGE, f"the image is {self.name} ({registers})"),)


@dataclass(frozen=True, slots=True)
class AllowList:
    """Any of the images in `entries` whose version is not below the floor."""

    entries: tuple[Measurements, ...]
    minimum_version: int = 0

    def validate(self, document: AttestationDocument, moment: Moment) -> Findings:
        return _first_met([partial(self._validate_entry, entry) for entry in self.entries], document, moment)

    def _validate_entry(self, entry: Measurements, document: AttestationDocument, moment: Moment) -> Findings:
        findings = entry.validate(document, moment)
        if entry.version < self.minimum_version:
            raise AttestationError("measurement-version", f"{entry.name} is version {entry.version}")
        return findings


@dataclass(frozen=True, slots=True)
class AnyImage:
    """Any image that is not in debug mode. Says "genuine hardware", not "the code I expect"."""

    def validate(self, document: AttestationDocument, _: Moment) -> Findings:
        _refuse_debug(document)
        return (Finding(Aspect.ANY_IMAGE, "any image was accepted"),)


@dataclass(frozen=True, slots=True)
class DebugImage:
    """Debug mode, named explicitly: whoever runs the host can read everything, and nothing names the image (AT-12)."""

    def validate(self, document: AttestationDocument, _: Moment) -> Findings:
        if not document.is_debug:
            raise AttestationError("measurement-mismatch", "not in debug mode")
        return (Finding(Aspect.DEBUG_IMAGE, "DEBUG MODE was accepted: the image is not measured"),)


@dataclass(frozen=True, slots=True)
class Nonce:
    """Made for this request: the document repeats the caller's nonce byte for byte."""

    expected: bytes

    def validate(self, document: AttestationDocument, _: Moment) -> Findings:
        if document.nonce is None:
            raise AttestationError("nonce-missing")
        if not compare_digest(document.nonce, self.expected):
            raise AttestationError("nonce-mismatch")
        return (Finding(Aspect.NONCE, "the nonce is the one that was sent"),)


@dataclass(frozen=True, slots=True)
class MaxAge:
    """Made at most `max_age_ms` before now (not: before the time in question)."""

    max_age_ms: int = DEFAULT_MAX_AGE_MS

    def validate(self, document: AttestationDocument, moment: Moment) -> Findings:
        if moment.now_ms - document.timestamp_ms > self.max_age_ms:
            raise AttestationError("document-too-old")
        return (Finding(Aspect.AGE, f"the document is at most {self.max_age_ms // 1000} s old"),)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The document's `public_key` equals `expected`."""

    expected: bytes

    def validate(self, document: AttestationDocument, _: Moment) -> Findings:
        if document.public_key is None or not compare_digest(document.public_key, self.expected):
            raise AttestationError("public-key-mismatch")
        return (Finding(Aspect.PUBLIC_KEY, "the public key is the expected one"),)


@dataclass(frozen=True, slots=True)
class UserData:
    """The document's `user_data` equals `expected`."""

    expected: bytes

    def validate(self, document: AttestationDocument, _: Moment) -> Findings:
        if document.user_data is None or not compare_digest(document.user_data, self.expected):
            raise AttestationError("user-data-mismatch")
        return (Finding(Aspect.USER_DATA, "the user data is as expected"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The document's `user_data` binds a deployment's keys, and every part named here is as expected (AT-14)."""

    deployment: str | None = None
    identity_key: bytes | None = None
    channel_key: bytes | None = None
    config_hash: bytes | None = None
    boot_epoch: bytes | None = None

    def validate(self, document: AttestationDocument, _: Moment) -> Findings:
        bound = parse_binding(document.user_data or b"")
        named = [part for part in self.__slots__ if getattr(self, part) is not None]
        for part in named:
            if getattr(bound, part) != getattr(self, part):
                raise AttestationError("binding-mismatch", part)
        return (Finding(Aspect.BINDING, f"the binding holds as expected: {', '.join(named) or 'any'}"),)


def online(image: Policy, nonce: bytes, max_age_ms: int = DEFAULT_MAX_AGE_MS) -> AllOf:
    """What a client demands of a server it talks to now: an image, its own nonce, and a recent document."""
    return AllOf((image, Nonce(nonce), MaxAge(max_age_ms)))


_Check = Callable[[AttestationDocument, Moment], Findings]


def _first_met(checks: Sequence[_Check], document: AttestationDocument, moment: Moment) -> Findings:
    """What the first check that is met found; the most telling refusal when none is.

    "Known, but expired" tells more than "another image than entry 1".
    """
    refusals = []
    for check in checks:
        try:
            return check(document, moment)
        except AttestationError as refusal:
            refusals.append(refusal)
    telling = [refusal for refusal in refusals if refusal.code != "measurement-mismatch"]
    raise (telling or refusals or [AttestationError("measurement-mismatch", "no image is acceptable")])[0]


def _refuse_debug(document: AttestationDocument) -> None:
    if document.is_debug:
        raise AttestationError("debug-mode")
