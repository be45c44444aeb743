"""base64url without padding, in the one spelling that encodes back to itself (RFC 4648 section 5, RFC 7515)."""

import base64
import re
from typing import Final

_TEXT: Final = re.compile(r"[A-Za-z0-9_-]*\Z")


def encode_b64u(data: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_b64u(text: str) -> bytes | None:
    """The bytes whose encoding is `text`, or None when there are none."""
    if not _TEXT.match(text) or len(text) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return data if encode_b64u(data) == text else None
