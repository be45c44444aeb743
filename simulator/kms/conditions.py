"""Condition blocks of key policies: which operators exist, and what an absent key means (nitro-platform.md 6.4).

An absent key fails every positive operator and passes every negated one and every `...IfExists` form: that is why a
policy that only forbids wrong measurements lets a caller without a document through. Keys of the request map to one or
more values; a key without values is not in the map. Operators or keys that are not evaluated here are refused when the
policy is put, so that no policy means less here than it says (KM-08).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator.kms.errors import malformed_policy

Values = Mapping[str, tuple[str, ...]]
"""Condition keys of one request, lower-cased, with their values."""

CONTEXT_KEYS: Final = "kms:encryptioncontextkeys"
CONTEXT_PREFIX: Final = "kms:encryptioncontext:"
ATTESTATION_PREFIX: Final = "kms:recipientattestation:"

# NitroTPMPCRn and ViaService are never present here, which is what they are for an enclave that calls KMS itself.
_KNOWN_KEY: Final = re.compile(
    r"kms:recipientattestation:(imagesha384|(nitrotpm)?pcr(3[01]|[12][0-9]|[0-9]))"
    r"|kms:encryptioncontext:.+|kms:encryptioncontextkeys|kms:viaservice|kms:calleraccount"
    r"|aws:principalarn|aws:principalaccount",
    re.DOTALL,
)
_NAME: Final = re.compile(
    r"(?:(ForAnyValue|ForAllValues):)?(Null|String(?:Not)?(?:Equals(?:IgnoreCase)?|Like))(IfExists)?"
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


_MATCHERS: Final[dict[str, Callable[[str, str], bool]]] = {
    "Equals": lambda value, wanted: value == wanted,
    "EqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "Like": glob_match,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key. Several values are alternatives; several conditions must all hold."""

    operator: str
    quantifier: str
    if_exists: bool
    key: str
    wanted: tuple[str, ...]

    def holds(self, request: Values) -> bool:
        """Whether the request satisfies it."""
        present = request.get(self.key)
        if self.operator == "Null":
            return any((wanted == "true") == (present is None) for wanted in self.wanted)
        negated = self.operator.startswith("StringNot")
        if present is None:
            return self.if_exists or self.quantifier == "ForAllValues" or (negated and not self.quantifier)
        match = _MATCHERS[self.operator.removeprefix("StringNot" if negated else "String")]
        verdicts = (any(match(value, wanted) for wanted in self.wanted) != negated for value in present)
        return any(verdicts) if self.quantifier == "ForAnyValue" else all(verdicts)


def parse_conditions(block: Any) -> tuple[Condition, ...]:
    """The conditions of a `Condition` element; `AwsError` (MalformedPolicyDocumentException) for what is not known."""
    if not isinstance(block, dict):
        raise malformed_policy("Condition must be an object")
    found = []
    for name, keys in block.items():
        if _NAME.fullmatch(name) is None or not isinstance(keys, dict) or not keys:
            raise malformed_policy(f"Condition operator {name[:64]} is not evaluated")
        found += [_parse_condition(name, key, wanted) for key, wanted in keys.items()]
    return tuple(found)


def _parse_condition(name: str, key: str, wanted: Any) -> Condition:
    match = _NAME.fullmatch(name)
    folded = key.lower()
    if match is None or _KNOWN_KEY.fullmatch(folded) is None:
        raise malformed_policy(f"Condition key {key[:128]} is not evaluated")
    quantifier, operator, if_exists = match[1] or "", match[2], match[3] is not None
    values = tuple(_text(value, key) for value in (wanted if isinstance(wanted, list) else [wanted]))
    if not values:
        raise malformed_policy(f"Condition key {key[:128]} has no value")
    if operator == "Null" and (quantifier or if_exists or not set(values) <= {"true", "false"}):
        raise malformed_policy("Null takes true or false and no modifier")
    if (folded == CONTEXT_KEYS) != bool(quantifier) and operator != "Null":
        raise malformed_policy(f"{key[:128]} and ForAnyValue or ForAllValues do not go together as written")
    return Condition(operator, quantifier, if_exists, folded, values)


def _text(value: Any, key: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str) or "${" in value:
        raise malformed_policy(f"Values of {key[:128]} must be plain strings")
    return value
