"""Whose signatures count under a statement that several people sign together (`protocol.approvals`).

Used wherever a quorum of measured keys puts a document in force: the guard's rules, a tenant's configuration.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from enclave.auth_key import Key, parse_key, verify_request_signature
from enclave.config import AdminKey


@dataclass(frozen=True, slots=True)
class Approval:
    """A signature over a statement, by the key that it is said to be of."""

    key: Key
    signature: str


class UnknownOfficer(Exception):
    """A signature of somebody who has no say."""


def verify_approvals(signed: bytes, approvals: Sequence[Approval], officers: Iterable[AdminKey]) -> frozenset[str]:
    """The names of the officers who signed, each once. One signature that does not hold refuses them all:
    `UnknownOfficer`, or `Refusal` INVALID_SIGNATURE.
    """
    names = {str(officer): officer.name for officer in officers}
    for approval in approvals:
        if str(approval.key) not in names:
            raise UnknownOfficer
        verify_request_signature(approval.key, approval.signature, signed)
    return frozenset(names[str(approval.key)] for approval in approvals)


def parse_approval(value: Any) -> Approval | None:
    """The approval in a JSON object `{key, signature}`, or None when it is none."""
    if isinstance(value, dict) and value.keys() == {"key", "signature"} and isinstance(value["signature"], str):
        key = parse_key(value["key"])
        if key is not None:
            return Approval(key, value["signature"])
    return None
