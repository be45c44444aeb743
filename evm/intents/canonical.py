"""The two canonical forms in which published clients hash an intent.

Browsers hash RFC 8785. The original service and its Go clients write canonical JSON of another dialect: members in
the order of code points instead of UTF-16 units, control characters in upper-case hex. For integers both write digits,
and numbers of other kinds, where the dialects differ most, are refused: no member of an intent needs one.
"""

import json
import re
from typing import Any, Final

from evm.intents.errors import require
from evm.keccak import keccak256
from protocol import canonical_json

_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-f]{4}|.)")
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def intent_hashes(value: dict[str, Any]) -> tuple[bytes, ...]:
    """keccak-256 of each canonical form of the signed members: RFC 8785 first, then Go's where it is another.

    `intent-number` for a number that is no integer, or beyond 2^53 - 1, where readers of JSON disagree.
    """
    require(_exact(value), "intent-number")
    browser = canonical_json.canonicalize(value)
    service = _ESCAPE.sub(_upper_hex, _ENCODER.encode(value)).encode()
    return tuple(dict.fromkeys(map(keccak256, (browser, service))))


def _upper_hex(escape: re.Match[str]) -> str:
    """An escape as the service writes it: the digits of a code point in upper case, others as they are."""
    return "\\u" + escape[0][2:].upper() if escape[0].startswith("\\u") else escape[0]


def _exact(value: Any) -> bool:
    """Whether every number in `value` is an integer that any reader keeps."""
    if isinstance(value, dict):
        return all(map(_exact, value.values()))
    if isinstance(value, list):
        return all(map(_exact, value))
    if isinstance(value, float):
        return False
    return not isinstance(value, int) or abs(value) <= canonical_json.MAX_SAFE_INTEGER
