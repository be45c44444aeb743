"""The world of these tests: one holder, two images, and requests as the simulated KMS judges them."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from eif.policy.document import PolicyDocument, parse_policy
from eif.policy.generate import encryption_context, key_policy
from eif.policy.holders import Holder
from eif.policy.images import Image
from eif.policy.lint import lint
from simulator.kms.authorization import condition_values
from simulator.kms.policy import Policy as KmsPolicy
from simulator.kms.policy import Principal, Request, denial, parse_identity_policy, parse_key_policy
from simulator.kms.recipient import AttestedRecipient

ACCOUNT = "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/enclave"
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/keys"
STRANGER = f"arn:aws:iam::{ACCOUNT}:role/stranger"
FOREIGNER = "arn:aws:iam::999999999999:role/enclave"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/00000000-0000-4000-8000-000000000000"
HOLDER = Holder("demo", "operator", "eu-central-1", ROLE, (ADMINISTRATOR,))
CONTEXT = encryption_context(HOLDER)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
USED = ("kms:Decrypt", "kms:GenerateDataKey")

_RECIPIENT_KEY = rsa.generate_private_key(65537, 2048).public_key()

Policy = dict[str, Any]
Pcrs = Mapping[int, bytes]

PCRS_A: Pcrs = {0: b"\xa0" * 48, 1: b"\xa1" * 48, 2: b"\xa2" * 48}
PCRS_B: Pcrs = {0: b"\xb0" * 48, 1: b"\xb1" * 48, 2: b"\xb2" * 48}


def image(pcrs: Pcrs) -> Image:
    return Image({index: value.hex() for index, value in pcrs.items()})


def policy(*pcrs: Pcrs) -> Policy:
    """The generated policy for these images; a copy that the caller may damage."""
    return copy.deepcopy(key_policy(HOLDER, [image(one) for one in pcrs or (PCRS_A,)]))


def parsed(value: Policy) -> PolicyDocument:
    return parse_policy(json.dumps(value).encode())


def codes(value: Policy) -> set[str]:
    """The codes that `lint` finds."""
    return {finding.code for finding in lint(parsed(value), NOW)}


def document(pcrs: Pcrs) -> AttestedRecipient:
    """What a document of an image tells KMS: the registers of the start, further ones zero."""
    return AttestedRecipient({index: bytes(48) for index in range(16)} | dict(pcrs), _RECIPIENT_KEY)


_POWERFUL = parse_identity_policy(
    json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]})
)


def simulated(value: Policy) -> KmsPolicy:
    """The policy as the simulated KMS reads it; `AwsError` when it does not take it."""
    return parse_key_policy(json.dumps(value))


@dataclass(frozen=True)
class Call:
    """A call on the holder's key. Whoever makes it may do everything that identity policies can grant."""

    action: str
    pcrs: Pcrs | None = None
    principal: str = ROLE
    context: Mapping[str, str] = field(default_factory=lambda: CONTEXT)

    def is_allowed(self, value: Policy) -> bool:
        """What the simulated KMS says."""
        return self.is_allowed_by(simulated(value))

    def is_allowed_by(self, key_policy: KmsPolicy) -> bool:
        """The same, of a policy that it has read."""
        principal = Principal(self.principal, self.principal, _POWERFUL)
        recipient = None if self.pcrs is None else document(self.pcrs)
        values = condition_values(principal, self.context, recipient)
        return denial(Request(principal, self.action, KEY, values), key_policy, ACCOUNT) is None


WRONG_IMAGES: dict[str, Pcrs | None] = {
    "no document": None,
    "debug": {0: bytes(48), 1: bytes(48), 2: bytes(48)},
    "other PCR0": {**PCRS_A, 0: b"\xee" * 48},
    "other PCR1": {**PCRS_A, 1: b"\xee" * 48},
    "other PCR2": {**PCRS_A, 2: b"\xee" * 48},
    "PCR1 of B": {**PCRS_A, 1: PCRS_B[1]},
    "PCR2 of B": {**PCRS_A, 2: PCRS_B[2]},
    "PCR0 of B": {**PCRS_A, 0: PCRS_B[0]},
}
OPENING = (
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:ReEncryptFrom",
    "kms:DeriveSharedSecret",
)
WRONG_CONTEXTS: dict[str, Mapping[str, str]] = {
    "none": {},
    "other deployment": {**CONTEXT, "deployment": "other"},
    "other holder": {**CONTEXT, "holder": "auditor"},
    "other purpose": {**CONTEXT, "purpose": "else"},
    "other generation": {**CONTEXT, "generation": "2"},
    "one more": {**CONTEXT, "more": "x"},
    "one less": {name: value for name, value in CONTEXT.items() if name != "purpose"},
}

BAD_CALLS: tuple[Call, ...] = (
    *(Call(action, pcrs, who) for action in OPENING for pcrs in WRONG_IMAGES.values() for who in (ROLE, ADMINISTRATOR)),
    *(Call(action, pcrs, who) for action in USED for pcrs in (PCRS_A, None) for who in (STRANGER, FOREIGNER)),
    *(Call(action, PCRS_A, ADMINISTRATOR) for action in OPENING),
    *(Call(action, PCRS_A, ROLE, context) for action in USED for context in WRONG_CONTEXTS.values()),
    *(
        Call(action, PCRS_A, who)
        for action in (
            "kms:PutKeyPolicy",
            "kms:CreateGrant",
            "kms:ScheduleKeyDeletion",
            "kms:Encrypt",
            "kms:DisableKey",
        )
        for who in (ROLE, STRANGER, FOREIGNER)
    ),
    *(Call(action, PCRS_A) for action in OPENING if action not in USED),
    Call("kms:CreateGrant", None, ADMINISTRATOR),
)
"""What no policy for image A may allow."""
