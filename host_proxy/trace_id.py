"""The `TraceId` of an answer: the client's, when it is a UUID, or a new one (identity-instrument.md 1.2).

Trust side: host. It lets a client, a log line of the host and whoever is on call speak of one request. It goes no
further: the enclave and what it calls outside never see it.
"""

import os
import re
import time
from typing import Final

_UUID: Final = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def choose_trace_id(sent: bytes | None) -> str:
    """What goes back as `TraceId`."""
    if sent is not None and _UUID.match(sent):
        return sent.decode("ascii")
    return _uuid7()


def _uuid7() -> str:
    """Milliseconds, then randomness (RFC 9562 section 5.7)."""
    time_ms = f"{time.time_ns() // 1_000_000:012x}"
    random = os.urandom(10).hex()
    return f"{time_ms[:8]}-{time_ms[8:]}-7{random[:3]}-{_VARIANT[random[3]]}{random[4:7]}-{random[7:19]}"
