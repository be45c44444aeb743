"""What the fields of the measured configuration have in common."""

import re
from typing import Annotated, Final

import msgspec

from enclave.errors import BootError

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
PEM_CHARS: Final = 64 * 1024
Pem = Annotated[str, msgspec.Meta(min_length=1, max_length=PEM_CHARS)]


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, no unknown fields."""


def host_and_port(url: str) -> tuple[str, int]:
    """Host and port of an https URL without user, query or fragment; `BootError` otherwise."""
    match = re.match(r"https://([A-Za-z0-9.-]{1,253})(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?\Z", url)
    if match is None or not 1 <= int(match[2] or 443) <= 65535:
        raise BootError("config-url", url)
    return match[1], int(match[2] or 443)
