"""Proof bundles: one file that leads from a trust root to "this device key belongs to this identity" (design 7).

A bundle holds an attestation document whose user data binds a deployment's identity key, a session attestation under
that key, and, if the holder wants to show who it is, the opening of the salted identity hash. It verifies offline.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from hmac import compare_digest
from typing import Final

from attestation.binding import EnclaveBinding
from attestation.errors import AttestationError
from attestation.minted import Minted, require_mint
from attestation.policy import Policy
from attestation.roots import AMAZON, TrustRoot
from attestation.session import (
    ANYTHING,
    SessionExpectations,
    VerifiedSessionAttestation,
    identity_hash,
    verify_session_attestation,
)
from attestation.verify import AsOf, VerifiedDocument, verify
from protocol import cbor, limits
from protocol.errors import ProtocolError

CONTEXT: Final = "chancery/proof-bundle/1"

_MINT: Final = object()


@dataclass(frozen=True, slots=True)
class IdentityOpening:
    """What turns a subject back into an identity. Its holder decides whom to show it to."""

    salt: bytes = field(repr=False)
    scope: str
    identity: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A parsed bundle. Nothing in it is verified."""

    document: bytes = field(repr=False)
    session: bytes = field(repr=False)
    opening: IdentityOpening | None = None

    def encode(self) -> bytes:
        """The bundle as a file."""
        opening = None if self.opening is None else [self.opening.salt, self.opening.scope, self.opening.identity]
        return cbor.dumps([CONTEXT, self.document, self.session, opening])


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBundle(Minted):
    """A bundle whose whole chain held. Only `verify_bundle` makes one."""

    document: VerifiedDocument
    binding: EnclaveBinding
    session: VerifiedSessionAttestation
    opening: IdentityOpening | None
    mint: InitVar[object]

    def __post_init__(self, mint: object) -> None:
        require_mint(mint, _MINT)


def parse_bundle(data: bytes) -> Bundle:
    """The parts of the bundle in `data`; `AttestationError("bundle-malformed")` otherwise."""
    try:
        value = cbor.loads(data, max_bytes=limits.MAX_BUNDLE_BYTES)
    except ProtocolError:
        raise AttestationError("bundle-malformed") from None
    match value:
        case [context, bytes(document), bytes(session), opening] if context == CONTEXT:
            return Bundle(document, session, _parse_opening(opening))
    raise AttestationError("bundle-malformed")


def verify_bundle(
    data: bytes,
    policy: Policy,
    now_ms: int,
    roots: Sequence[TrustRoot] = (AMAZON,),
    *,
    as_of: AsOf = None,
    expected: SessionExpectations = ANYTHING,
) -> VerifiedBundle:
    """The verified bundle, or `AttestationError` with the first rule that it breaks.

    With `as_of` a time, everything is judged as of then. With `as_of="document"`, the document is judged as of its own
    timestamp, since its chain lives three hours, and the session now.
    The session must come from the very boot that the document measured: the identity key outlives boots and images.
    """
    bundle = parse_bundle(data)
    document = verify(bundle.document, policy, now_ms, roots, as_of=as_of)
    binding = document.binding()
    session_ms = as_of if isinstance(as_of, int) else now_ms
    session = verify_session_attestation(
        bundle.session,
        binding.identity_key,
        now_s=session_ms // 1000,
        expected=expected,
    )
    SessionExpectations(issuer=binding.deployment, boot_epoch=binding.boot_epoch).validate(session.claims)
    if bundle.opening is not None:
        _verify_opening(bundle.opening, session)
    return VerifiedBundle(document=document, binding=binding, session=session, opening=bundle.opening, mint=_MINT)


def _verify_opening(opening: IdentityOpening, session: VerifiedSessionAttestation) -> None:
    subject = identity_hash(opening.salt, opening.scope, opening.identity)
    if opening.scope != session.claims.scope or not compare_digest(subject, session.claims.subject):
        raise AttestationError("identity-mismatch")


def _parse_opening(value: object) -> IdentityOpening | None:
    match value:
        case None:
            return None
        case [bytes(salt), str(scope), str(identity)]:
            if len(scope) <= limits.MAX_SCOPE_CHARS and len(identity.encode()) <= limits.MAX_IDENTITY_BYTES:
                return IdentityOpening(salt, scope, identity)
    raise AttestationError("bundle-malformed", "opening")
