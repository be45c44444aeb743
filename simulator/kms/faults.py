"""How a holder can fail or lie, for the tests of everything that calls it (KM-02, KM-15, SH-06).

A fault belongs to a regional endpoint and stays until it is cleared. Lies are told after policy has allowed the call:
a lying holder is one whose checks all look right.
"""

import os
import uuid
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.kms.envelope import ContentForm, seal_envelope
from simulator.kms.keys import KeyArn

_GENUINE_ENVELOPE_BYTES: Final = 493


class Fault(Enum):
    """What goes wrong."""

    DOWN = "down"
    """Connections are cut without an answer; `KmsService.is_down` lets an egress refuse them earlier."""
    UNAVAILABLE = "unavailable"
    """503 for everything."""
    THROTTLED = "throttled"
    """ThrottlingException for everything."""
    HUNG = "hung"
    """Requests are taken and never answered."""
    SLOW = "slow"
    """Answers come after the delay given with the fault."""
    WRONG_KEY_BYTES = "wrong-key-bytes"
    """Other random bytes of the same length."""
    WRONG_KEY_ID = "wrong-key-id"
    """The answer names another key of the same account and region."""
    PLAINTEXT = "plaintext"
    """The recipient is ignored: the secret in the clear and no envelope."""
    PLAINTEXT_BESIDE = "plaintext-beside"
    """The envelope, and the secret in the clear beside it."""
    GARBAGE_ENVELOPE = "garbage-envelope"
    """Random bytes of a genuine envelope's size."""
    FOREIGN_ENVELOPE = "foreign-envelope"
    """A well-formed envelope that is sealed for somebody else's RSA key."""


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A fault with the delay that `Fault.SLOW` waits."""

    kind: Fault
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation answers: public members, and at most one secret with the member for its clear form."""

    members: dict[str, Any]
    secret_member: str = ""
    secret: bytes = b""


def disclose(
    outcome: Outcome, recipient: rsa.RSAPublicKey | None, form: ContentForm, fault: Fault | None = None
) -> dict[str, Any]:
    """The members of the answer: the secret in the clear without a recipient, sealed and nothing else with one."""
    if not outcome.secret_member:
        return outcome.members
    if fault is Fault.WRONG_KEY_BYTES:
        outcome = replace(outcome, secret=os.urandom(len(outcome.secret)))
    members = dict(outcome.members)
    if fault is Fault.WRONG_KEY_ID and (arn := KeyArn.parse(members.get("KeyId", ""))):
        members["KeyId"] = str(replace(arn, key_id=str(uuid.uuid4())))
    if recipient is None or fault in (Fault.PLAINTEXT, Fault.PLAINTEXT_BESIDE):
        members[outcome.secret_member] = outcome.secret
    if recipient is not None and fault is not Fault.PLAINTEXT:
        members["CiphertextForRecipient"] = _envelope(recipient, outcome.secret, form, fault)
    return members


def _envelope(recipient: rsa.RSAPublicKey, secret: bytes, form: ContentForm, fault: Fault | None) -> bytes:
    if fault is Fault.GARBAGE_ENVELOPE:
        return os.urandom(_GENUINE_ENVELOPE_BYTES)
    if fault is Fault.FOREIGN_ENVELOPE:
        recipient = rsa.generate_private_key(65537, recipient.key_size).public_key()
    return seal_envelope(recipient, secret, form)
