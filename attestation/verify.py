"""From a document to something to rely on: `verify` raises, or returns what only it can make (AT-16).

The order is that of nitro-platform.md 3.4: syntax, root, chain, time, signature, then what the document says, then the
relying party's policy. The verifier is the same for hardware and simulator; only the roots differ (SM-02).
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import Final, Literal

from attestation import pcr
from attestation.binding import EnclaveBinding, parse_binding
from attestation.chain import ChainCache, VerifiedPath, verify_chain
from attestation.cose import ES384, verify_sign1
from attestation.document import AttestationDocument, parse_attestation_document
from attestation.errors import AttestationError
from attestation.minted import Minted, require_mint
from attestation.policy import Aspect, Finding, Moment, Policy
from attestation.roots import AMAZON, TrustRoot
from protocol import limits

_MINT: Final = object()
_CHAINS: Final = ChainCache()

AsOf = int | Literal["document"] | None
"""The time in question: milliseconds, the document's own timestamp, or None for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDocument(Minted):
    """A genuine document that met a policy. Only `verify` makes one."""

    document: AttestationDocument
    root: TrustRoot
    """Which root vouched for it."""
    as_of_ms: int
    now_ms: int
    not_before_ms: int
    not_after_ms: int
    """The window in which every certificate of the chain is valid, both ends included."""
    findings: tuple[Finding, ...] = field(repr=False)
    """What the policy checked; anything else was not."""
    mint: InitVar[object]

    def __post_init__(self, mint: object) -> None:
        require_mint(mint, _MINT)

    @property
    def is_archived(self) -> bool:
        """Whether the verdict is about another time than now, and must be labelled "as of" (AT-10)."""
        return self.as_of_ms != self.now_ms

    def binding(self) -> EnclaveBinding:
        """The deployment's keys that the document binds; `AttestationError("binding-malformed")` when it binds none."""
        return parse_binding(self.document.user_data or b"")


def verify(
    document: bytes | AttestationDocument,
    policy: Policy,
    now_ms: int,
    roots: Sequence[TrustRoot] = (AMAZON,),
    *,
    as_of: AsOf = None,
    cache: ChainCache = _CHAINS,
) -> VerifiedDocument:
    """The verified document, or `AttestationError` with the first rule that it breaks.

    `now_ms` is the verifier's own clock, in milliseconds since the Unix epoch. `as_of` moves the chain's and the
    allow-list's time for archived documents; the age of a document is always counted from now.
    """
    if not isinstance(document, AttestationDocument):
        document = parse_attestation_document(document)
    moment = Moment(now_ms, _instant(document, now_ms, as_of))
    root = _vouching_root(document, roots)
    path = verify_chain(document.certificates, cache)
    path.validate_at(moment.as_of_ms)
    verify_sign1(document.sign1, ES384, path.last.key)
    _validate_claims(document, moment)
    findings = policy.validate(document, moment)
    _validate_image_rule(document, findings)
    return _verified(document, root, path, moment, findings)


def _instant(document: AttestationDocument, now_ms: int, as_of: AsOf) -> int:
    if as_of is None:
        return now_ms
    return document.timestamp_ms if as_of == "document" else as_of


def _vouching_root(document: AttestationDocument, roots: Sequence[TrustRoot]) -> TrustRoot:
    """The root that the chain starts at, compared byte for byte (AT-07)."""
    for root in roots:
        if root.der == document.certificates[0]:
            return root
    raise AttestationError("root-untrusted")


def _validate_claims(document: AttestationDocument, moment: Moment) -> None:
    """What the signed payload must say about itself, whatever the policy."""
    # PCR4 is a hash of the instance id, so the module id cannot name another one (nitro-platform.md 1.4).
    if document.pcrs[4] != pcr.of_instance(document.instance_id):
        raise AttestationError("document-module")
    if document.timestamp_ms > min(moment.now_ms, moment.as_of_ms) + limits.MAX_FUTURE_SKEW_MS:
        raise AttestationError("document-future")


def _validate_image_rule(document: AttestationDocument, findings: tuple[Finding, ...]) -> None:
    """No verdict without a word on the image, and none on a debug image unless the policy named debug (AT-12)."""
    aspects = {finding.aspect for finding in findings}
    if document.is_debug and Aspect.DEBUG_IMAGE not in aspects:
        raise AttestationError("debug-mode")
    if not aspects & {Aspect.IMAGE, Aspect.ANY_IMAGE, Aspect.DEBUG_IMAGE}:
        raise AttestationError("policy-image")


def _verified(
    document: AttestationDocument, root: TrustRoot, path: VerifiedPath, moment: Moment, findings: tuple[Finding, ...]
) -> VerifiedDocument:
    return VerifiedDocument(
        document=document,
        root=root,
        as_of_ms=moment.as_of_ms,
        now_ms=moment.now_ms,
        not_before_ms=path.not_before_ms,
        not_after_ms=path.not_after_ms,
        findings=findings,
        mint=_MINT,
    )
