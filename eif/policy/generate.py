"""The key policy of one share holder (KM-06, KM-07): one Allow for each image, and Denies that void any other way.

The Allow cannot match without a document: its conditions are positive. The Denies do not lean on it. They name
everybody, also identities that do not exist yet, and say "no document" and "a document that names something else"
apart, because a negated operator also matches on absence (nitro-platform.md 6.4). Registers of different images are
never mixed: which PCR1 is right depends on PCR0, which is unique among the images.

Nobody is allowed by a wildcard or by account, so no identity policy can grant a thing. What administrators can do all
the same is in docs/adr/0016. The output depends on nothing but the arguments.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from eif.errors import EifError
from eif.policy.holders import Holder, validate_holder
from eif.policy.images import Image, validate_images
from eif.policy.vocabulary import (
    ATTESTATION,
    CONTEXT,
    CONTEXT_KEYS,
    CURRENT_TIME,
    MAX_POLICY_BYTES,
    POLICY_VERSION,
    SECRET_ACTIONS,
    USED_ACTIONS,
)
from protocol import canonical_json

PURPOSE: Final = "holder-key"
FIRST_GENERATION: Final = 1

ADMINISTRATION: Final = (
    "kms:CancelKeyDeletion",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
"""Not ScheduleKeyDeletion: who deletes a key first says so in its policy, which raises an alarm."""

ROLE_NEVER: Final = (
    "kms:Create*",
    "kms:Delete*",
    "kms:Disable*",
    "kms:Enable*",
    "kms:Encrypt",
    "kms:Import*",
    "kms:Put*",
    "kms:ReEncrypt*",
    "kms:Replicate*",
    "kms:Revoke*",
    "kms:Schedule*",
    "kms:Update*",
)
"""What the enclave's role may not do whatever else is allowed: close data under the key, or change the key."""


def encryption_context(holder: Holder, generation: int = FIRST_GENERATION) -> dict[str, str]:
    """What the enclave sends with each call (`enclave/holder_key.py`; a test compares the two)."""
    return {
        "deployment": holder.deployment,
        "generation": str(generation),
        "holder": holder.name,
        "purpose": PURPOSE,
    }


def key_policy(
    holder: Holder, images: Sequence[Image], generations: Sequence[int] = (FIRST_GENERATION,)
) -> dict[str, Any]:
    """The policy of `holder`'s key under which `images`, and nothing else, open data keys; `EifError`.

    `generations` of holder keys are the first one, until keys are rotated: then the next one as well, and in the end
    that one alone (docs/adr/0037).
    """
    validate_holder(holder)
    validate_images(images)
    if not generations or min(generations) < FIRST_GENERATION or len(set(generations)) != len(generations):
        raise EifError("policy-generations")
    everybody = "*"
    statements = [
        *(
            _allow_image(holder, number, image, generation)
            for number, image in enumerate(images, 1)
            for generation in generations
        ),
        _statement("AdministerKey", "Allow", {"AWS": list(holder.administrators)}, ADMINISTRATION),
        _statement("DenyRoleEverythingElse", "Deny", {"AWS": holder.role}, ROLE_NEVER),
        *(
            _statement(f"DenyWithoutPCR{index}", "Deny", everybody, SECRET_ACTIONS, {"Null": {_pcr(index): "true"}})
            for index in images[0].registers
        ),
        _deny_other_images(images),
        *(
            _deny_mixture(number, image, index)
            for number, image in enumerate(images, 1)
            for index in image.registers
            if index != 0
        ),
    ]
    policy = {"Version": POLICY_VERSION, "Statement": statements}
    if len(canonical_json.canonicalize(policy)) > MAX_POLICY_BYTES:
        raise EifError("policy-too-large", "fewer images or administrators")
    return policy


def _allow_image(holder: Holder, number: int, image: Image, generation: int) -> dict[str, Any]:
    context = encryption_context(holder, generation)
    condition: dict[str, Any] = {
        "StringEqualsIgnoreCase": {_pcr(index): value for index, value in image.registers.items()},
        "StringEquals": {CONTEXT + name: value for name, value in context.items()},
        "ForAllValues:StringEquals": {CONTEXT_KEYS: sorted(context)},
    }
    if image.until is not None:
        condition["DateLessThan"] = {CURRENT_TIME: image.until}
    of_generation = "" if generation == FIRST_GENERATION else f"Generation{generation}"
    return _statement(f"AllowImage{number}{of_generation}", "Allow", {"AWS": holder.role}, USED_ACTIONS, condition)


def _deny_other_images(images: Sequence[Image]) -> dict[str, Any]:
    condition = {
        "StringNotEqualsIgnoreCase": {_pcr(0): [image.registers[0] for image in images]},
        "Null": {_pcr(0): "false"},
    }
    return _statement("DenyOtherImages", "Deny", "*", SECRET_ACTIONS, condition)


def _deny_mixture(number: int, image: Image, index: int) -> dict[str, Any]:
    condition = {
        "StringEqualsIgnoreCase": {_pcr(0): image.registers[0]},
        "StringNotEqualsIgnoreCase": {_pcr(index): image.registers[index]},
        "Null": {_pcr(index): "false"},
    }
    return _statement(f"DenyImage{number}WithOtherPCR{index}", "Deny", "*", SECRET_ACTIONS, condition)


def _pcr(index: int) -> str:
    return f"{ATTESTATION}PCR{index}"


def _statement(
    sid: str,
    effect: str,
    principal: str | Mapping[str, str | list[str]],
    actions: Sequence[str],
    condition: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": effect, "Principal": principal, "Action": list(actions), "Resource": "*"}
    return statement | ({"Condition": dict(condition)} if condition else {})
