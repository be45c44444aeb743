"""Cross-origin headers of the public API and the answer to a preflight (identity-instrument.md 1.2).

Trust side: host. Any origin is reflected: there are no cookies, every request is signed, and the enclave checks the
origin against the scope. A browser drops an attestation document, or a receipt of ours, that is not exposed here.
"""

import re
from typing import Final

from protocol import limits

RawHeaders = list[tuple[bytes, bytes]]

ALLOWED_METHODS: Final = b"GET, POST, OPTIONS"
ALLOWED_HEADERS: Final = (
    b"Accept, Authorization, Content-Type, X-Access-Key, X-Attestation-Nonce, X-Receipt-Nonce, Accept-Signature, Webrpc"
)
EXPOSED_HEADERS: Final = (
    b"Date, Signature, Signature-Input, Content-Digest, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
    b"Webrpc, X-Attestation-Document, X-Receipt"
)
MAX_AGE_S: Final = b"600"

_REFLECTABLE: Final = re.compile(rb"[\x21-\x7e]{1,%d}\Z" % limits.MAX_ORIGIN_CHARS)
_VARY: Final = (b"vary", b"Origin")
_CREDENTIALS: Final = (b"access-control-allow-credentials", b"true")
_EXPOSE: Final = (b"access-control-expose-headers", EXPOSED_HEADERS)


def response_headers(origin: bytes | None) -> RawHeaders:
    """What every answer carries. An origin that is not printable ASCII of sane length is not reflected."""
    if origin is None or not _REFLECTABLE.match(origin):
        return [_VARY]
    return [_VARY, (b"access-control-allow-origin", origin), _CREDENTIALS, _EXPOSE]


def preflight_headers(origin: bytes | None) -> RawHeaders:
    """What the answer to a preflight carries."""
    if origin is None or not _REFLECTABLE.match(origin):
        return [_VARY]
    return [
        (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        (b"access-control-allow-origin", origin),
        _CREDENTIALS,
        (b"access-control-allow-methods", ALLOWED_METHODS),
        (b"access-control-allow-headers", ALLOWED_HEADERS),
        (b"access-control-max-age", MAX_AGE_S),
    ]
