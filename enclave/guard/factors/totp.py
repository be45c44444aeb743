"""Time-based one-time passwords as authenticator apps make them: SHA-1, 30 seconds, 6 digits (RFC 6238, RFC 4226).

Pure. One step before and after the current one counts (RFC 6238 section 5.2), and no step twice or behind one that was
used.
"""

import base64
import hmac
from typing import Final
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

SEED_BYTES: Final = 20  # RFC 4226 section 4, requirement 6
DIGITS: Final = 6
STEP_S: Final = 30
_STEPS_AROUND: Final = 1


def code_at(seed: bytes, step: int) -> str:
    """The six digits of a step, which is Unix time over `STEP_S`."""
    return HOTP(seed, DIGITS, SHA1()).generate(step).decode()  # noqa: S303  what authenticators do; HMAC does not break


def find_step(seed: bytes, last_step: int, code: str, now_s: int) -> int | None:
    """The step after `last_step` and near `now_s` whose code this is, or None. All are compared, in constant time."""
    given = code.encode()
    found = None
    current = now_s // STEP_S
    for step in range(max(0, current - _STEPS_AROUND), current + _STEPS_AROUND + 1):
        if hmac.compare_digest(code_at(seed, step).encode(), given) and step > last_step:
            found = step
    return found


def enrolment_uri(seed: bytes, service: str, account: str) -> str:
    """What authenticator apps read, mostly as a QR code (the Key URI format)."""
    secret = base64.b32encode(seed).decode().rstrip("=")
    query = {"secret": secret, "issuer": service, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_S}
    return f"otpauth://totp/{quote(service)}:{quote(account)}?{urlencode(query, quote_via=quote)}"
