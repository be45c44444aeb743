"""Condition blocks of a policy, and when they hold (nitro-platform.md 6.4).

A condition on an absent key fails, unless its operator is negated or ends in `IfExists`: then it holds. Operators and
keys that this module does not evaluate give no answer (None), and what is built on them takes the dangerous side.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from eif.errors import EifError
from eif.policy.vocabulary import ATTESTATION_PREFIX, CONTEXT_PREFIX, CURRENT_TIME

Values = Mapping[str, tuple[str, ...]]
"""The condition keys of one request, in lower case, with their values; absent keys are not in it."""

KNOWN_OPERATORS: Final = re.compile(
    r"(?:(?:ForAnyValue|ForAllValues):)?"
    r"(?:Null|(?:(?:String(?:Not)?(?:Equals(?:IgnoreCase)?|Like))"
    r"|(?:Numeric|Date)(?:(?:Not)?Equals|(?:Less|Greater)Than(?:Equals)?)"
    r"|Bool|BinaryEquals|(?:Not)?IpAddress|Arn(?:Not)?(?:Equals|Like))(?:IfExists)?)"
)
_TIME: Final = CURRENT_TIME.lower()
_DECIDED_KEYS: Final = frozenset(
    {"kms:encryptioncontextkeys", "kms:calleraccount", "aws:principalarn", "aws:principalaccount", _TIME}
)


def glob_match(text: str, pattern: str) -> bool:
    """Whether `text` matches `pattern`, where `*` is any run and `?` any one character; linear memory, no regex."""
    t = p = 0
    star, mark = -1, 0
    while t < len(text):
        if p < len(pattern) and pattern[p] == "*":
            star, mark = p, t
            p += 1
        elif p < len(pattern) and pattern[p] in ("?", text[t]):
            t += 1
            p += 1
        elif star >= 0:
            mark += 1
            t, p = mark, star + 1
        else:
            return False
    return not pattern[p:].strip("*")


def _earlier(value: str, wanted: str) -> bool:
    return datetime.fromisoformat(value) < datetime.fromisoformat(wanted)


_MATCHERS: Final[dict[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": glob_match,
    "ArnEquals": glob_match,
    "ArnLike": glob_match,
    "DateLessThan": _earlier,
    "DateLessThanEquals": lambda value, wanted: not _earlier(wanted, value),
    "DateGreaterThan": lambda value, wanted: _earlier(wanted, value),
    "DateGreaterThanEquals": lambda value, wanted: not _earlier(value, wanted),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key; `wanted` are alternatives. `key` is in lower case, `spelled` as in the file."""

    operator: str
    """Without quantifier, `Not` and `IfExists`."""
    negated: bool
    quantifier: str
    if_exists: bool
    key: str
    spelled: str
    wanted: tuple[str, ...]

    @property
    def is_positive(self) -> bool:
        """Whether it fails when its key is absent, and else asks for one of the listed values."""
        absent_holds = self.negated or self.if_exists or self.quantifier == "ForAllValues"
        return not absent_holds and self.operator in ("StringEquals", "StringEqualsIgnoreCase", "StringLike")

    def holds(self, values: Values) -> bool | None:
        """Whether a request with these values satisfies it; None when that is not decided here."""
        present = values.get(self.key)
        if self.operator == "Null":
            return any((wanted == "true") == (present is None) for wanted in self.wanted)
        if not self._is_decided() or (present is None and self.key == _TIME):
            return None
        if present is None:
            return self.if_exists or self.quantifier == "ForAllValues" or (self.negated and not self.quantifier)
        match = _MATCHERS[self.operator]
        try:
            verdicts = [any(match(value, wanted) for wanted in self.wanted) != self.negated for value in present]
        except (ValueError, TypeError):  # dates that are none, or without a zone
            return None
        return any(verdicts) if self.quantifier == "ForAnyValue" else all(verdicts)

    def _is_decided(self) -> bool:
        known = self.key in _DECIDED_KEYS or self.key.startswith((ATTESTATION_PREFIX, CONTEXT_PREFIX))
        return known and self.operator in _MATCHERS and not any("${" in wanted for wanted in self.wanted)


def parse_conditions(block: Any) -> tuple[Condition, ...]:
    """The conditions of a `Condition` element; `EifError("policy-malformed")` for another shape."""
    if type(block) is not dict:
        raise EifError("policy-malformed", "Condition is not an object")
    found: list[Condition] = []
    for name, keys in block.items():
        if type(keys) is not dict:
            raise EifError("policy-malformed", "a condition operator holds no object")
        found += [_parse_condition(name, key, wanted) for key, wanted in keys.items()]
    return tuple(found)


def _parse_condition(name: str, key: str, wanted: Any) -> Condition:
    quantifier, _, rest = name.rpartition(":")
    base = rest.removesuffix("IfExists")
    operator = re.sub(r"^(String|Arn|Numeric|Date)Not", r"\1", base)
    values = wanted if type(wanted) is list else [wanted]
    if not values or not all(type(value) in (str, bool, int) for value in values):
        raise EifError("policy-malformed", "the values of a condition are neither texts nor numbers")
    texts = tuple(str(value).lower() if type(value) is bool else str(value) for value in values)
    return Condition(operator, operator != base, quantifier, rest != base, key.lower(), key, texts)
