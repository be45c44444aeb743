"""Targets for what the simulated holders and the simulated module read: calls and key policies."""

from functools import cache
from typing import Any

import cbor2

from enclave.errors import NsmError
from simulator.kms.errors import AwsError
from simulator.kms.policy import parse_identity_policy, parse_key_policy
from simulator.kms.requests import parse_call
from simulator.nsm import SimulatedNsm
from tests.fuzz.appliance_targets import appliance
from tests.fuzz.target import Target
from tests.fuzz.wire_targets import encoded, text

KEY_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "enclave",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::111111111111:role/enclave", "111111111111"]},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": {
                "StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": "ab" * 48},
                "Null": {"kms:RecipientAttestation:ImageSha384": "false"},
                "StringLike": {"kms:EncryptionContext:purpose": ["holder-*"]},
            },
        },
        {"Effect": "Deny", "Principal": "*", "NotAction": "kms:Describe*", "Resource": "*"},
    ],
}
IDENTITY_POLICY = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}
KMS_CALLS: dict[str, dict[str, Any]] = {
    "Decrypt": {"KeyId": "k", "CiphertextBlob": "AAAA", "EncryptionContext": {"a": "b"}},
    "GenerateDataKey": {"KeyId": "k", "KeySpec": "AES_256"},
    "GenerateRandom": {"NumberOfBytes": 32},
    "PutKeyPolicy": {"KeyId": "k", "Policy": "{}"},
}


def _policy(data: bytes) -> object:
    parse = parse_identity_policy if b"Principal" not in data else parse_key_policy
    return parse(text(data))


def _kms_call(data: bytes) -> object:
    names = tuple(KMS_CALLS)
    return parse_call(f"TrentService.{names[(data[0] if data else 0) % len(names)]}", data[1:])


@cache
def _nsm() -> SimulatedNsm:
    return appliance().world.new_nsm()


def _nsm_request(data: bytes) -> object:
    reply = _nsm().call(data)
    if not reply:
        raise AssertionError("no reply")
    return reply


TARGETS = {
    "key_policy": Target(_policy, (AwsError,), lambda: [encoded(KEY_POLICY), encoded(IDENTITY_POLICY)]),
    "kms_request": Target(
        _kms_call, (AwsError,), lambda: [bytes([n]) + encoded(body) for n, body in enumerate(KMS_CALLS.values())]
    ),
    "nsm_request": Target(_nsm_request, (NsmError,), lambda: [cbor2.dumps("DescribeNSM")]),
}
