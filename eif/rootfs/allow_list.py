"""The allow-list of the root file system: what is not on it does not get in (SC-04). Pure.

`allowed.txt` has one pattern a line: a path below the root, in which `*` stands for anything but a slash, `**` for
anything, and `{a,b}` for either; `!` before a pattern takes out what an earlier line let in; `#` starts a comment.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

from eif.errors import EifError

FILE: Final = Path(__file__).with_name("allowed.txt")
_PIECES: Final = re.compile(r"\*\*|\*|\{[^{}]+\}|[^*{}]+|(.)")


class AllowList:
    """Patterns in their order; the last one that matches decides."""

    def __init__(self, text: str) -> None:
        """`EifError("allow-list-malformed")` names the line."""
        self._rules = [
            (not line.startswith("!"), _regex(line.removeprefix("!"), number))
            for number, line in enumerate(text.splitlines(), start=1)
            if line and not line.startswith("#")
        ]

    def allows(self, path: str) -> bool:
        """Whether the file or link at `path` (relative to the root) may be in the image."""
        allowed = False
        for verdict, pattern in self._rules:
            if verdict is not allowed and pattern.fullmatch(path):
                allowed = verdict
        return allowed


@cache
def allow_list() -> AllowList:
    """The list of this package."""
    return AllowList(FILE.read_text())


def _regex(pattern: str, number: int) -> re.Pattern[str]:
    parts = []
    for match in _PIECES.finditer(pattern):
        piece = match[0]
        if match[1] is not None or pattern != pattern.strip():
            raise EifError("allow-list-malformed", f"line {number}")
        if piece == "**":
            parts.append(".*")
        elif piece == "*":
            parts.append("[^/]*")
        elif piece.startswith("{"):
            parts.append(f"(?:{'|'.join(map(re.escape, piece[1:-1].split(',')))})")
        else:
            parts.append(re.escape(piece))
    return re.compile("".join(parts), re.DOTALL)
