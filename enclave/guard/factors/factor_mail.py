"""The mail with a code of the guard: for which wallet, and what exactly it lets through (OT-08). Pure."""

from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final

from evm.address import Address, checksum

_ID_BYTES: Final = 16
_LINES: Final = 12
_TEXT: Final = """\
Your code: {code}

It works once, within {minutes} minutes, and only for this:

Wallet: {wallet}
{what}

Enter it only in the application that you opened yourself, and only if this
is what you want. If you asked for nothing, ignore this mail.
"""


def compose_factor_mail(
    sender: str,
    recipient: str,
    service: str,
    code: str,
    wallet: Address,
    what: Sequence[str],
    *,
    minutes: int,
    now_s: int,
    random: Callable[[int], bytes],
) -> EmailMessage:
    """The mail for a normalised `recipient`; `what` in a few lines of printable text."""
    unique = random(_ID_BYTES).hex()
    message = EmailMessage()
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = f"Your code for {service}"
    message["Date"] = formatdate(now_s)
    message["Message-ID"] = f"<{unique}@{message['From'].addresses[0].domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834
    shown = [*what[:_LINES], *(["..."] if len(what) > _LINES else [])]
    message.set_content(
        _TEXT.format(code=code, minutes=minutes, wallet=checksum(wallet), what="\n".join(shown)), cte="quoted-printable"
    )
    return message
