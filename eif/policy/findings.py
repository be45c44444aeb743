"""What `lint` can find: a closed list of codes, each with what can happen and what to write instead.

Codes are append-only; programs match on them. Sources: nitro-platform.md 6.4, controls KM-06, KM-07, SH-09, UG-03 and
UG-05, AWS's documentation of key policies, and what users of comparable systems report.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """ERROR: a key can be had by whom it is not meant for, or by nobody. WARNING: one more mistake away from it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a finding of one code means."""

    severity: Severity
    consequence: str
    remedy: str


_E, _W = Severity.ERROR, Severity.WARNING

RULES: Final[dict[str, Rule]] = {
    # --- the document ---
    "policy-size": Rule(_E, "KMS refuses a policy of more than 32 KiB.", "Name fewer images or principals."),
    "version-old": Rule(
        _W, "Without Version 2012-10-17 AWS applies the rules of 2008.", 'Write "Version": "2012-10-17".'
    ),
    "sid-repeated": Rule(
        _W, "Two statements of one name cannot be told apart in reviews and alarms.", "Give each statement its own Sid."
    ),
    "administrator-missing": Rule(
        _W,
        "Nobody may change this policy: no new image can ever be allowed.",
        "Allow kms:PutKeyPolicy to an administrator that is not the enclave's role.",
    ),
    # --- principals ---
    "principal-wildcard": Rule(
        _E, "Everybody in every account is allowed what this statement allows.", "Name one role."
    ),
    "principal-negated": Rule(
        _E,
        "NotPrincipal names everybody else, identities of tomorrow and of other accounts included.",
        "Name whom the statement is about with Principal.",
    ),
    "principal-foreign": Rule(
        _E,
        "Another account's administrators decide who acts as this principal.",
        "Allow roles of the key's own account only; others assume them.",
    ),
    "principal-account": Rule(
        _E,
        "Every identity policy of the account can now grant this, and whoever writes those decides.",
        "Name roles, and allow the account nothing.",
    ),
    "principal-service": Rule(
        _E, "A service of AWS can use the key on behalf of others.", "Allow AWS identities only."
    ),
    "principal-deleted": Rule(
        _W,
        "This is the internal id of an identity that was deleted; nobody can act as it.",
        "Write the ARN of an existing role.",
    ),
    # --- actions and resources ---
    "action-negated": Rule(
        _E, "NotAction covers every other action, those of tomorrow included.", "List the actions with Action."
    ),
    "action-everything": Rule(
        _E,
        "kms:* includes changing this policy and every way to open data.",
        "Allow the enclave's role kms:Decrypt and kms:GenerateDataKey, administrators the actions of administration.",
    ),
    "action-unknown": Rule(_W, "KMS has no such action, so it matches nothing.", "Correct the action's name."),
    "action-opens-otherwise": Rule(
        _E,
        "The enclave does not use this call, but it opens data or moves keys to where another policy decides.",
        "Allow kms:Decrypt and kms:GenerateDataKey only.",
    ),
    "grant-open": Rule(
        _E, "A grant hands on the use of the key without a change to this policy.", "Do not allow kms:CreateGrant."
    ),
    "role-administers": Rule(
        _E,
        "Whoever runs the parent instance can rewrite this policy and decrypt everything.",
        "Allow kms:PutKeyPolicy to administrators that are not the enclave's role.",
    ),
    "role-destroys": Rule(
        _E,
        "Whoever runs the parent instance can disable or delete the key.",
        "Allow administration of the key's state to administrators only.",
    ),
    "encrypt-open": Rule(
        _E,
        "Whoever may encrypt can close a key of their own choice under this key and hand it to the enclave.",
        "Let the enclave make keys by kms:GenerateDataKey, and allow nobody kms:Encrypt or kms:ReEncryptTo.",
    ),
    "resource-narrow": Rule(
        _W,
        'In a key policy Resource "*" means this key; anything else may match nothing.',
        'Write "Resource": "*".',
    ),
    # --- attestation ---
    "attestation-missing": Rule(
        _E,
        "The call is allowed without an attestation document: KMS answers with the plaintext.",
        "Demand PCR0, PCR1 and PCR2 with StringEqualsIgnoreCase in every Allow of this kind.",
    ),
    "pins-incomplete": Rule(
        _E,
        "Other images can have the same values in the registers that are named; PCR8 alone names all of one signer.",
        "Demand PCR0, PCR1 and PCR2 together in one statement.",
    ),
    "pcr-zero": Rule(
        _E,
        "Every image in debug mode has zeros there, and the host reads the memory of those.",
        "Write the registers of an image that is not in debug mode.",
    ),
    "pcr-form": Rule(_E, "A register is 96 hex digits; this matches no document.", "Copy the measured value."),
    "pcr-case": Rule(
        _E,
        "KMS compares lower-case hex, and this operator heeds case: no document matches.",
        "Use StringEqualsIgnoreCase, and write lower case.",
    ),
    "pcr-upper-case": Rule(
        _W,
        "This operator ignores case, but whoever compares texts, or changes the operator, sees another image.",
        "Write lower-case hex, as documents have it.",
    ),
    "pcr-operator": Rule(
        _E, "Registers are texts, and this operator does not compare texts.", "Use StringEqualsIgnoreCase."
    ),
    "pcr-wildcard": Rule(_E, "A pattern matches other images.", "Use StringEqualsIgnoreCase with the whole value."),
    "image-contradiction": Rule(
        _E,
        "ImageSha384 is PCR0; two values for it match no document.",
        "Name PCR0 once, with the value of the image.",
    ),
    "images-mixed": Rule(
        _E,
        "Lists are alternatives each by itself, so parts of different images pass as one.",
        "Write one statement for each image.",
    ),
    "if-exists": Rule(
        _E,
        "The condition holds when there is no attestation document, or no context, at all.",
        "Drop IfExists from the operator.",
    ),
    "negated-unguarded": Rule(
        _E,
        "A negated operator holds when its key is absent, so a call without a document passes.",
        "Name the allowed values with StringEqualsIgnoreCase; deny others in a Deny statement.",
    ),
    "image-negated": Rule(
        _E,
        "Every image but the named one is allowed.",
        "Name the allowed values with StringEqualsIgnoreCase; deny others in a Deny statement.",
    ),
    "for-all-values": Rule(
        _E,
        "ForAllValues holds when the key is absent.",
        "Use StringEqualsIgnoreCase for registers, and name each part of the context beside its list of names.",
    ),
    "document-forbidden": Rule(
        _E, "Only calls without an attestation document pass.", 'Drop the Null condition, or write "false".'
    ),
    "context-missing": Rule(
        _W,
        "The image may open what was closed for another deployment, holder or purpose.",
        "Demand each part of the encryption context with StringEquals.",
    ),
    "context-incomplete": Rule(
        _W,
        "The image may open what was closed for another deployment, holder, purpose or generation.",
        "Demand all four parts with StringEquals, and no other with ForAllValues on kms:EncryptionContextKeys.",
    ),
    "context-wildcard": Rule(
        _W, "A pattern matches the contexts of other deployments or holders.", "Use StringEquals with the whole value."
    ),
    "condition-key-unknown": Rule(
        _E,
        "AWS knows no such key, so it is always absent: an Allow never matches, a Deny never protects.",
        "Correct the key's name.",
    ),
    "condition-operator-unknown": Rule(_E, "KMS refuses the policy.", "Correct the operator's name."),
    "nitrotpm-key": Rule(
        _E,
        "These registers are of instances with a NitroTPM; a document of an enclave never has them.",
        "Use kms:RecipientAttestation:PCR0, PCR1 and PCR2.",
    ),
    "deny-missing": Rule(
        _W,
        "One Allow that is added later opens the key without an attestation document.",
        "Deny everybody the calls that open keys where kms:RecipientAttestation:PCR0 is absent (Null).",
    ),
    "deny-other-image-missing": Rule(
        _W,
        "One Allow that is added later opens the key to any attested image.",
        "Deny everybody the calls that open keys where PCR0 is none of the allowed ones.",
    ),
    "image-shut-out": Rule(
        _E,
        "The image that this statement allows is refused all the same, so the enclave cannot start.",
        "Correct the Deny statement that matches it.",
    ),
    "overlap-expired": Rule(
        _W, "The image's time is over: this statement matches nothing.", "Remove the statement, or set a new end."
    ),
    "date-form": Rule(_E, "This is no time that AWS can compare.", "Write a time as 2027-01-31T00:00:00Z."),
    # --- against the images that were named ---
    "image-unexpected": Rule(
        _E, "An image that you did not name can open the key.", "Remove its statement, or find out whose it is."
    ),
    "image-absent": Rule(_E, "An image that you named cannot open the key.", "Generate the policy anew with it."),
}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One mistake. `statement` is a Sid or a place, empty for the policy as a whole; `detail` may be empty."""

    statement: str
    code: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.code not in RULES:
            raise ValueError(self.code)

    @property
    def rule(self) -> Rule:
        return RULES[self.code]
