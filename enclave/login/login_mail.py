"""The mail that carries a one-time code (OT-08).

Pure. The subject, which lock screens show, is the scope's text, without the code unless the scope puts it there. The
body says who asked: the application, what for, and the fingerprint of the device key, to compare with the device's.
"""

import hashlib
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate
from html import escape
from typing import Final

from enclave.auth_key import Key
from enclave.config import Scope

_FINGERPRINT_BYTES: Final = 8
_ID_BYTES: Final = 16

_CODE: Final = "{auth_code}"

_TEXT: Final = """\
{intro}Your code: {code}

It works once, within {minutes} minutes, and only for this request:

Application: {origin} ({scope})
Purpose: {purpose}
Device key: {fingerprint}

Enter the code only in the application that you opened yourself, and only
if your device shows the same device key.
If you asked for nothing, ignore this mail: without the code nobody gets in.
"""

_HTML: Final = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{subject}</title></head>
<body style="font-family: sans-serif; line-height: 1.5">
{logo}{intro}<p>Your code:</p>
<p style="font-family: monospace; font-size: 200%"><strong>{code}</strong></p>
<p>It works once, within {minutes} minutes, and only for this request:</p>
<table>
<tr><th scope="row" align="left">Application</th><td>{origin} ({scope})</td></tr>
<tr><th scope="row" align="left">Purpose</th><td>{purpose}</td></tr>
<tr><th scope="row" align="left">Device key</th><td>{fingerprint}</td></tr>
</table>
<p>Enter the code only in the application that you opened yourself, and only if your device shows the same device key.
If you asked for nothing, ignore this mail: without the code nobody gets in.</p>
</body>
</html>
"""


def fingerprint(auth_key: Key) -> str:
    """What a person compares: the first 8 bytes of SHA-256 over `keyType:address`, hex in groups of four digits."""
    digest = hashlib.sha256(str(auth_key).encode()).digest()[:_FINGERPRINT_BYTES]
    return digest.hex(" ", 2)


def compose_login_mail(
    scope: Scope,
    recipient: str,
    code: str,
    *,
    auth_key: Key,
    origin: str,
    lifetime_s: int,
    now_s: int,
    random: Callable[[int], bytes],
    purpose: str = "sign in",
) -> EmailMessage:
    """The mail for a normalised `recipient`, as plain text and as HTML."""
    subject = scope.email_subject.replace(_CODE, code, 1)
    fields = {
        "subject": subject,
        "code": code,
        "minutes": str(lifetime_s // 60),
        "origin": origin,
        "scope": scope.scope,
        "purpose": purpose,
        "fingerprint": fingerprint(auth_key),
    }
    message = new_mail(scope, recipient, subject, now_s, random)
    message.set_content(_TEXT.format_map(fields | {"intro": f"{scope.email_intro}\n\n" if scope.email_intro else ""}))
    escaped = {name: escape(value) for name, value in fields.items()}
    message.add_alternative(_HTML.format_map(escaped | _decoration(scope)), subtype="html")
    message.set_boundary(random(_ID_BYTES).hex())
    return message


def new_mail(scope: Scope, recipient: str, subject: str, now_s: int, random: Callable[[int], bytes]) -> EmailMessage:
    """A mail of a scope, without a body yet."""
    message = EmailMessage()
    message["From"] = scope.email_sender
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = formatdate(now_s)
    message["Message-ID"] = f"<{random(_ID_BYTES).hex()}@{message['From'].addresses[0].domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    return message


def _decoration(scope: Scope) -> dict[str, str]:
    """What the scope puts above the code, as HTML."""
    intro = f"<p>{escape(scope.email_intro)}</p>\n" if scope.email_intro else ""
    logo = f'<p><img src="{escape(scope.email_logo_url)}" alt="" height="48"></p>\n' if scope.email_logo_url else ""
    return {"intro": intro, "logo": logo}
