"""A key policy of one holder, pinned to one image, without an encryption context: for calls of any kind (KM-07).

PCR0, PCR1 and PCR2 are pinned together, because PCR0 alone also fits an image with shifted section borders
(nitro-platform.md, finding 5). The Allow cannot match without a document; the Deny statements also void any Allow that
is added later. Nobody is a wildcard, and the enclave's role can neither encrypt nor touch the policy.
"""

from collections.abc import Mapping
from typing import Any, Final

_ATTESTATION: Final = "kms:RecipientAttestation:"
_USE: Final = ["kms:Decrypt", "kms:GenerateDataKey"]
_SECRETS: Final = ["kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DeriveSharedSecret"]
_ADMINISTER: Final = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy"]


def pinned_key_policy(account: str, enclave_role: str, administrator: str, pcrs: Mapping[int, bytes]) -> dict[str, Any]:
    """A policy under which only `enclave_role`, attested with exactly `pcrs` (0, 1 and 2 at least), opens data keys."""
    if not {0, 1, 2} <= pcrs.keys() or any(not any(value) for value in pcrs.values()):
        raise ValueError("PCR0, PCR1 and PCR2 are pinned, and none of them is zero (a debug image)")
    pinned = {f"{_ATTESTATION}PCR{index}": value.hex() for index, value in sorted(pcrs.items())}
    everyone = f"arn:aws:iam::{account}:root"
    return {
        "Version": "2012-10-17",
        "Statement": [
            _statement("OpenForTheMeasuredImage", "Allow", enclave_role, _USE, {"StringEqualsIgnoreCase": pinned}),
            _statement("Administer", "Allow", administrator, _ADMINISTER),
            _statement("NeverEncryptForTheEnclave", "Deny", enclave_role, ["kms:Encrypt", "kms:Put*", "kms:Create*"]),
            _statement(
                "NeverWithoutDocument", "Deny", everyone, _SECRETS, {"Null": {f"{_ATTESTATION}ImageSha384": "true"}}
            ),
            # Conditions of one statement must all hold, so each register needs a Deny of its own.
            *(
                _statement(
                    f"NeverWithAnother{key.removeprefix(_ATTESTATION)}",
                    "Deny",
                    everyone,
                    _SECRETS,
                    {"StringNotEqualsIgnoreCase": {key: value}},
                )
                for key, value in pinned.items()
            ),
        ],
    }


def _statement(
    sid: str, effect: str, principal: str, actions: list[str], condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": effect, "Principal": {"AWS": principal}, "Action": actions, "Resource": "*"}
    return statement | ({"Condition": condition} if condition else {})
