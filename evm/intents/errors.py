"""Refusals of intents: members of the package's one error family, with the words that published clients look for.

`code` is stable and begins with `intent-` or `bundle-`. `cause` is what the original service answers in the same case;
clients compare its end, so it must not change: two of them make a client correct its clock and try again.
"""

from collections.abc import Mapping
from typing import Final

from evm.errors import EvmError

_CAUSES: Final[Mapping[str, str]] = {
    "intent-expired": "intent is invalid: intent expired",
    "intent-future": "intent is invalid: intent issued in the future",
    "intent-unsigned": "intent is invalid: no signatures",
    "intent-signature": "intent is invalid: invalid signature",
    "intent-signatures": "expected exactly one valid signature",
    "intent-session": "session invalid or not found",
    "intent-open-elsewhere": "opening a session is unsupported outside of RegisterSession",
    "intent-session-differs": "signing session and session to register must match",
    "intent-name": "intent name and data type mismatch",
}


class IntentError(EvmError):
    """An intent, or a bundle made from one, breaks a rule."""

    @property
    def cause(self) -> str:
        """The original's words where it has some; otherwise the code, which holds no input either."""
        return _CAUSES.get(self.code, f"intent is invalid: {self.code}")


def require(condition: bool, code: str) -> None:
    """`IntentError(code)` unless `condition` holds."""
    if not condition:
        raise IntentError(code)
