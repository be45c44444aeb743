"""Sender and subject of a scope become mail headers, so the boot refuses what would break one (OT-09)."""

import json
from typing import Any

import pytest

from enclave.config import parse_config
from enclave.errors import BootError


def configuration(**scope: Any) -> bytes:
    holders = [
        {"name": name, "key_arn": f"arn:aws:kms:eu-west-{number}:{number:012d}:key/k{number}"}
        for number, name in enumerate("abc", start=1)
    ]
    roots = {"kms": "x", "identity_providers": "x", "mail": "x"}
    scopes = [{"scope": "@1", "origins": ["https://app.example"], "rights": [], "email_login": True} | scope]
    return json.dumps(
        {"version": 1, "role": "instrument", "deployment": "test", "threshold": 2, "holders": holders, "scopes": scopes}
        | {"tls_roots": roots, "mail": {"host": "mail.example.test", "port": 465}}
    ).encode()


@pytest.mark.parametrize(
    "sender", ["no-reply@localhost", "Example App <no-reply@example.com>", "Bücher <a@xn--b-xga.example>"]
)
def test_usual_sender_is_accepted(sender: str) -> None:
    assert parse_config(configuration(email_sender=sender)).scopes[0].email_sender == sender


@pytest.mark.parametrize(
    "changes",
    [
        {"email_sender": "a@b.cc\r\nBcc: x@y.zz"},
        {"email_sender": "a@b.cc, x@y.zz"},
        {"email_sender": "a@b.cc\n"},
        {"email_sender": "nobody"},
        {"email_sender": "a,b@c.dd"},
        {"email_sender": "A <a@b.cc"},
        {"email_sender": "a@b.cc>"},
        {"email_sender": "A, B <a@b.cc>"},
        {"email_sender": "ä@b.cc"},
        {"email_subject": "Hello\r\nBcc: x@y.zz"},
        {"email_subject": "Hello\x00"},
    ],
)
def test_setting_that_would_break_a_header_refuses_the_boot(changes: dict[str, str]) -> None:
    with pytest.raises(BootError, match="config-email"):
        parse_config(configuration(**changes))
