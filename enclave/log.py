"""What the enclave says aloud: a closed list of events with a closed list of fields, one JSON line each (LP-01, LP-02).

The host reads these lines, so they hold codes and counts and nothing that a user sent.
"""

import json
import sys
from collections.abc import Mapping
from typing import Final, TextIO

EVENTS: Final[Mapping[str, frozenset[str]]] = {
    "booting": frozenset({"code", "detail"}),
    "serving": frozenset({"identity_key"}),
    "halted": frozenset({"code", "detail"}),
    "unforeseen": frozenset({"type", "count"}),
    "holder": frozenset({"name", "code"}),
    "rotation": frozenset({"code", "detail"}),
    "admin": frozenset({"method", "admin", "outcome"}),
    "webhook": frozenset({"code"}),
}


def event(name: str, *, stream: TextIO | None = None, **fields: str | int) -> None:
    """Write one event. An unlisted event or field is a defect and raises."""
    if not fields.keys() <= EVENTS[name]:
        raise ValueError("unlisted field")
    print(json.dumps({"event": name, **fields}), file=stream or sys.stderr, flush=True)
