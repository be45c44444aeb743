"""The `TraceId` of an answer: the client's, when it is a UUID, or a new one (identity-instrument.md 1.2).

Trust side: host. It lets a client, a log line of the host and whoever is on call speak of one request. It goes no
further: the enclave and what it calls outside never see it.
"""

import os
import re
import time
from typing import Final

_UUID: Final = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")


def choose_trace_id(sent: bytes | None) -> str:
    """What goes back as `TraceId`."""
    if sent is not None and _UUID.match(sent):
        return sent.decode("ascii")
    return _uuid7()


def _uuid7() -> str:
    """Milliseconds, then randomness (RFC 9562 section 5.7)."""
    now_ms = time.time_ns() // 1_000_000
    value = now_ms << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    digits = f"{value & ~(0x3 << 62) | 0x2 << 62:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
