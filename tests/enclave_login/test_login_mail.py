"""The mail with the code says who asks for what, and its subject keeps the code to itself (OT-08)."""

import email.policy
from email import message_from_bytes
from email.message import EmailMessage
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.auth_key import Key
from enclave.config import Scope
from enclave.errors import Refusal
from enclave.login.login_mail import compose_login_mail, fingerprint
from enclave.login.otp import normalize_email
from simulator.mail import code_in

KEY = Key("Ethereum_Secp256k1", "0x36cf0e1d975f4ef8dbf4c7a70abef0548a68505e")
SCOPE = Scope(
    scope="@123:test",
    origins=("https://app.example",),
    rights=(),
    email_sender="Example <no-reply@example.com>",
    email_subject="Your sign-in code",
)

GOLDEN_HEADERS = {
    "From": "Example <no-reply@example.com>",
    "To": "user@example.com",
    "Subject": "Your sign-in code",
    "Date": "Tue, 14 Nov 2023 22:13:20 -0000",
    "Message-ID": "<000102030405060708090a0b0c0d0e0f@example.com>",
    "Auto-Submitted": "auto-generated",
    "MIME-Version": "1.0",
    "Content-Type": 'multipart/alternative; boundary="000102030405060708090a0b0c0d0e0f"',
}

GOLDEN_TEXT = """\
Your code: 012345

It works once, within 5 minutes, and only for this request:

Application: https://app.example (@123:test)
Purpose: sign in
Device key: f7bc 72f4 60d5 7eb1

Enter the code only in the application that you opened yourself, and only
if your device shows the same device key.
If you asked for nothing, ignore this mail: without the code nobody gets in.
"""


def compose(**changes: Any) -> EmailMessage:
    arguments: dict[str, Any] = {"auth_key": KEY, "origin": "https://app.example", "lifetime_s": 300}
    arguments |= {"now_s": 1_700_000_000, "random": lambda size: bytes(range(size)), "scope": SCOPE} | changes
    scope, recipient = arguments.pop("scope"), arguments.pop("recipient", "user@example.com")
    return compose_login_mail(scope, recipient, arguments.pop("code", "012345"), **arguments)


def test_mail_equals_the_golden_one() -> None:
    message = message_from_bytes(compose().as_bytes(), policy=email.policy.default)
    assert dict(message.items()) == GOLDEN_HEADERS
    text, html = message.iter_parts()
    assert text.get_content() == GOLDEN_TEXT
    assert html.get_content_type() == "text/html"


def test_both_parts_name_code_key_place_and_purpose_and_the_subject_holds_no_code() -> None:
    message = compose()
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        for expected in ("012345", "f7bc 72f4 60d5 7eb1", "https://app.example", "@123:test", "sign in", "5 minutes"):
            assert expected in part.get_content()
    headers = "".join(f"{name}: {value}\n" for name, value in message.items())
    assert "012345" not in headers


def test_fingerprint_is_the_head_of_the_published_key_hash() -> None:
    assert fingerprint(KEY) == "f7bc 72f4 60d5 7eb1"


def test_configured_texts_are_escaped_in_html() -> None:
    scope = msgspec.structs.replace(SCOPE, email_subject="<script>alert(1)</script> & code")
    part = compose(scope=scope, purpose='"><b>x').get_body(("html",))
    assert part is not None
    html = part.get_content()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; code" in html
    assert "&quot;&gt;&lt;b&gt;x" in html


def test_code_reads_back() -> None:
    assert code_in(compose(code="123456789012")) == "123456789012"


@settings(max_examples=150)
@given(st.from_regex(r"[a-z0-9._%+-]{1,64}@([a-z0-9]{1,5}\.){1,3}[a-z]{2,6}", fullmatch=True) | st.emails())
def test_every_accepted_address_is_the_only_recipient(typed: str) -> None:
    try:
        recipient = normalize_email(typed)
    except Refusal:
        return
    sent = message_from_bytes(compose(recipient=recipient).as_bytes(), policy=email.policy.default)
    assert [address.addr_spec for address in sent["To"].addresses] == [recipient]
    assert sorted(sent.keys()) == sorted(GOLDEN_HEADERS)
