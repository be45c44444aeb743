"""A decision as data and in words, and as a line of the log that later rules are tried on.

The log holds what was judged, not what was signed: no signature, no digest, no authentication. Addresses and amounts
are in it, so it is as private as the wallets' business.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from enclave.guard.conditions import Circumstances
from enclave.guard.errors import RulesError
from enclave.guard.judging import Decision, Reason
from enclave.guard.limits import MAX_LOG_DEPTH, MAX_LOG_LINE_BYTES, MAX_LOG_NAME_CHARS
from evm.address import checksum, parse_address
from evm.effects import Effect
from evm.effects.effect_json import effect_to_json, effects_from_json
from evm.effects.effect_words import Naming, effect_words, tree_words
from evm.errors import EvmError
from evm.fields import members
from protocol import canonical_json
from protocol.errors import ProtocolError

_FORMAT: Final = "chancery/guard-decision/1"
_FIELDS: Final = ("format", "timeS", "wallet", "scope", "session", "rulesVersion", "outcome", "by", "effects")


def decision_to_json(decision: Decision, naming: Naming) -> dict[str, Any]:
    """What a caller is told: the answer, the rule behind it, what would change it, every effect with its own answer."""
    return {
        "outcome": decision.outcome.text,
        "by": decision.deciding.by,
        "rulesVersion": decision.rules_version,
        "nearest": decision.nearest,
        "reasons": [_reason(reason, naming) for reason in decision.reasons],
        "effects": [effect_to_json(effect) for effect in decision.effects],
        "words": decision_words(decision, naming),
    }


def decision_words(decision: Decision, naming: Naming) -> list[str]:
    """The same for a person."""
    deciding = decision.deciding
    about = f": {effect_words(deciding.effect, naming)}" if deciding.effect is not None else ""
    lines = [f"{decision.outcome.text.upper()} by {deciding.by}: {deciding.words}{about}"]
    if decision.nearest:
        lines.append(f"For another answer {decision.nearest}")
    return [*lines, "What it does:", *(f"  {line}" for line in tree_words(decision.effects, naming))]


def _reason(reason: Reason, naming: Naming) -> dict[str, str]:
    found = {"outcome": reason.outcome.text, "by": reason.by, "words": reason.words}
    if reason.needs:
        found["needs"] = reason.needs
    if reason.effect is not None:
        found["effect"] = effect_words(reason.effect, naming)
    return found


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A recorded decision: who asked for what, and what the answer was."""

    about: Circumstances
    rules_version: int
    outcome: str
    by: str
    effects: tuple[Effect, ...]


def log_line(decision: Decision, about: Circumstances) -> str:
    """The decision as one line of JSON."""
    entry = {
        "format": _FORMAT,
        "timeS": about.now_s,
        "wallet": checksum(about.wallet),
        "scope": about.scope,
        "session": about.session,
        "rulesVersion": decision.rules_version,
        "outcome": decision.outcome.text,
        "by": decision.deciding.by,
        "effects": [effect_to_json(effect) for effect in decision.effects],
    }
    return json.dumps(entry, separators=(",", ":"))


def parse_log_line(line: str) -> LogEntry:
    """The recorded decision in a line; `RulesError("log-line")` otherwise."""
    try:
        value = canonical_json.parse(line.encode(), max_bytes=MAX_LOG_LINE_BYTES, max_depth=MAX_LOG_DEPTH)
        found = members(value, required=_FIELDS, code="log-line")
        names = [found[name] for name in ("scope", "session", "outcome", "by")]
        numbers = [found["timeS"], found["rulesVersion"]]
        if found["format"] != _FORMAT or not all(isinstance(n, str) and len(n) <= MAX_LOG_NAME_CHARS for n in names):
            raise EvmError("log-line")
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise EvmError("log-line")
        about = Circumstances(parse_address(found["wallet"]), numbers[0], names[0], names[1])
        return LogEntry(about, numbers[1], names[2], names[3], effects_from_json(found["effects"]))
    except (EvmError, ProtocolError, UnicodeEncodeError):
        raise RulesError("log-line", "A line of the log is not a recorded decision.") from None
