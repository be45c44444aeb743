"""Signature Version 4 for KMS: one method, one path, no query, at the time of our own clock.

Trust side: enclave. The signature only lets a call reach AWS: its credentials are the host's hint (KM-09). A test
compares every header with botocore's, which stays outside: importing it takes longer than the rest of the boot.
Source: AWS General Reference, "Signature Version 4 signing process".
"""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final

from protocol.services import Credentials

CONTENT_TYPE: Final = "application/x-amz-json-1.1"
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SERVICE: Final = "kms"
_END: Final = "aws4_request"


def sign(
    *, host: str, region: str, operation: str, body: bytes, credentials: Credentials, wall_ms: int
) -> dict[str, str]:
    """All headers of `POST https://host/` with `body` for `TrentService.operation`, the authorization included."""
    timestamp = datetime.fromtimestamp(wall_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "Host": host,
        "Content-Type": CONTENT_TYPE,
        "X-Amz-Target": f"TrentService.{operation}",
        "X-Amz-Date": timestamp,
    }
    if credentials.session_token:
        headers["X-Amz-Security-Token"] = credentials.session_token
    scope = (timestamp[:8], region, _SERVICE, _END)
    names, request = _canonical_request(headers, body)
    to_sign = "\n".join((_ALGORITHM, timestamp, "/".join(scope), hashlib.sha256(request).hexdigest()))
    signature = _mac(_signing_key(credentials.secret_access_key, scope), to_sign).hex()
    credential = "/".join((credentials.access_key_id, *scope))
    headers["Authorization"] = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers


def _canonical_request(headers: dict[str, str], body: bytes) -> tuple[str, bytes]:
    """The names of all headers as they are signed, and what is hashed."""
    lower = sorted((name.lower(), value.strip()) for name, value in headers.items())
    names = ";".join(name for name, _ in lower)
    lines = [
        "POST",
        "/",
        "",
        *(f"{name}:{value}" for name, value in lower),
        "",
        names,
        hashlib.sha256(body).hexdigest(),
    ]
    return names, "\n".join(lines).encode()


def _signing_key(secret: str, scope: tuple[str, ...]) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in scope:
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
