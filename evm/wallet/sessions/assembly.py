"""Putting a session signature together from signed calls: the tree as small as may be, each attestation once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from evm.address import Address
from evm.signature import Signature
from evm.wallet.attestation import SignedAttestation
from evm.wallet.compact import to_compact
from evm.wallet.errors import require
from evm.wallet.sessions.configuration import Tree, explicit_signers, identity_signers, minimise
from evm.wallet.sessions.session_sig import CallSignature, SessionSignature, UnverifiedAttestation


@dataclass(frozen=True, slots=True)
class ExplicitCallSignature:
    """The signature of the key `signer` on a call hash, under permission `permission_index` of its leaf."""

    signer: Address
    permission_index: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class ImplicitCallSignature:
    """The signature of an attested key on a call hash."""

    attestation: SignedAttestation
    signature: Signature


CallSigned: TypeAlias = ExplicitCallSignature | ImplicitCallSignature


def assemble(tree: Tree, calls: Sequence[CallSigned], identity_signer: Address | None = None) -> SessionSignature:
    """The session signature for calls signed in this order.

    `identity_signer` is the one to show where no attestation tells; the first of the tree by default.
    """
    attested = [call.attestation for call in calls if isinstance(call, ImplicitCallSignature)]
    listed = list(dict.fromkeys(attested))
    visible = {attestation.identity_signer for attestation in listed} or {identity_signer or identity_signers(tree)[0]}
    require(len(visible) == 1, "wallet-session-signature-identity-signers", "InvalidIdentitySigner")
    shown = visible.pop()
    require(shown in identity_signers(tree), "wallet-session-signature-identity-signer", "InvalidIdentitySigner")
    signers = {call.signer for call in calls if isinstance(call, ExplicitCallSignature)}
    require(signers <= set(explicit_signers(tree)), "wallet-session-signer", "InvalidSessionSigner")
    return SessionSignature(
        tree=minimise(tree, signers=signers, identity_signer=shown, implicit=bool(listed)),
        attestations=tuple([UnverifiedAttestation(each.attestation, to_compact(each.signature)) for each in listed]),
        calls=tuple([_call_signature(call, listed) for call in calls]),
    )


def _call_signature(call: CallSigned, listed: list[SignedAttestation]) -> CallSignature:
    signature = to_compact(call.signature)
    if isinstance(call, ImplicitCallSignature):
        return CallSignature(True, listed.index(call.attestation), signature)
    return CallSignature(False, call.permission_index, signature)
