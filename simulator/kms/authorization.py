"""From a call to a policy question: the action, the condition values, and the refusal in the words of AWS."""

from collections.abc import Mapping
from typing import Any

from simulator.kms import requests
from simulator.kms.conditions import ATTESTATION_PREFIX, CONTEXT_KEYS, CONTEXT_PREFIX, Values
from simulator.kms.errors import AwsError, malformed_policy
from simulator.kms.keys import Key
from simulator.kms.policy import Policy, Principal, Request, denial
from simulator.kms.recipient import AttestedRecipient


def authorize(call: requests.Call, principal: Principal, key: Key | None, recipient: AttestedRecipient | None) -> None:
    """Return when the policies allow `call`; `AwsError` (AccessDeniedException) otherwise."""
    action = f"kms:{type(call).__name__}"
    values = condition_values(principal, getattr(call, "encryption_context", {}), recipient)
    resource = str(key.arn) if key else "*"
    request = Request(principal, action, resource, values)
    reason = denial(request, key.policy if key else None, key.arn.account if key else principal.account)
    if reason is not None:
        raise AwsError(
            "AccessDeniedException",
            f"User: {principal.caller_arn} is not authorized to perform: {action} on resource: {resource} {reason}",
        )


def condition_values(
    principal: Principal, encryption_context: Mapping[str, str], recipient: AttestedRecipient | None
) -> Values:
    """The condition keys that are present, lower-cased; without a document none of attestation is.

    Measurements are lower-case hex and ImageSha384 is PCR0 (nitro-platform.md 6.4). Names of the encryption context
    ignore case, its values do not.
    """
    values: dict[str, tuple[str, ...]] = {
        "aws:principalarn": (principal.arn,),
        "aws:principalaccount": (principal.account,),
        "kms:calleraccount": (principal.account,),
    }
    values |= {CONTEXT_PREFIX + name.lower(): (value,) for name, value in encryption_context.items()}
    if encryption_context:
        values[CONTEXT_KEYS] = tuple(encryption_context)
    if recipient is not None:
        values |= {f"{ATTESTATION_PREFIX}pcr{index}": (pcr.hex(),) for index, pcr in recipient.pcrs.items()}
        values[f"{ATTESTATION_PREFIX}imagesha384"] = (recipient.pcrs[0].hex(),)
    return values


def check_lockout(policy: Policy, principal: Principal, account: str, resource: str) -> None:
    """Refuse a policy under which the caller could not change the policy again, as AWS does unless told otherwise."""
    request = Request(principal, "kms:PutKeyPolicy", resource, condition_values(principal, {}, None))
    if denial(request, policy, account) is not None:
        raise malformed_policy("The new key policy will not allow you to update the key policy in the future.")


def default_key_policy(account: str) -> dict[str, Any]:
    """What CreateKey takes when it is given no policy: the account's identity policies decide."""
    everyone = {"AWS": f"arn:aws:iam::{account}:root"}
    statement = {"Effect": "Allow", "Principal": everyone, "Action": "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}
