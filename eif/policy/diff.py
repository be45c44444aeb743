"""What one policy allows and another does not, in words: per principal, action, image, encryption context and time.

Both policies are evaluated for everything that either of them names, and for what neither names: another identity,
another image, debug mode, no document. A difference that only shows for a value of a condition that is not evaluated
(`evaluate`) is not seen.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final

from attestation import pcr
from attestation.cli.policy_file import format_time
from eif.errors import EifError
from eif.policy.document import PolicyDocument, Statement
from eif.policy.evaluate import Situation, may_be_allowed
from eif.policy.lint_reach import contexts_of, full_document, images_of
from eif.policy.vocabulary import ACTIONS, CURRENT_TIME

MAX_CALLS: Final = 100_000

_Labelled = tuple[str, Situation]
_Cells = frozenset[tuple[str, str, str]]  # labels of document, context and time


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody may do something under one of the two policies only."""

    gained: bool
    """Whether the second policy allows it; else the first."""
    principal: str
    actions: tuple[str, ...]
    circumstances: str
    """With which document, context and time; empty: in all of them."""

    @property
    def text(self) -> str:
        """One sentence."""
        actions = "every action" if len(self.actions) == len(ACTIONS) else ", ".join(self.actions)
        return f"{self.principal} may {actions}{self.circumstances or ', whatever else holds'}."


def diff(before: PolicyDocument, after: PolicyDocument) -> tuple[Change, ...]:
    """All changes from `before` to `after`; `EifError("policy-too-complex")`."""
    statements = (*before.statements, *after.statements)
    principals = _principals(statements)
    classes = _action_classes(statements)
    documents, contexts, times = _documents(statements), _contexts(statements), _times(statements)
    calls = len(principals) * len(classes) * len(documents) * len(contexts) * len(times)
    if calls > MAX_CALLS:
        raise EifError("policy-too-complex", f"{calls} calls to compare")
    everything = frozenset(product(documents, contexts, times))
    changed: dict[tuple[bool, str, _Cells], list[str]] = defaultdict(list)
    for (label, arn), actions in product(principals.items(), classes):
        cells: dict[bool, set[tuple[str, str, str]]] = {True: set(), False: set()}
        for document, context, time in everything:
            situation = Situation(documents[document], contexts[context], times[time])
            old, new = (may_be_allowed(policy, arn, actions[0], situation) for policy in (before, after))
            if old != new:
                cells[new].add((document, context, time))
        for gained in (True, False):
            if cells[gained]:
                changed[gained, label, frozenset(cells[gained])] += actions
    changes = (
        Change(gained, label, tuple(sorted(actions)), circumstances)
        for (gained, label, found), actions in changed.items()
        for circumstances in _describe(found, everything)
    )
    return tuple(sorted(changes, key=lambda change: (not change.gained, change.principal, change.text)))


def _describe(cells: _Cells, everything: _Cells) -> list[str]:
    """The cells as phrases, as few as a product of documents and the rest allows."""
    if cells == everything:
        return [""]
    all_documents = {document for document, _, _ in everything}
    by_rest: dict[frozenset[tuple[str, str]], set[str]] = defaultdict(set)
    for document in {document for document, _, _ in cells}:
        by_rest[frozenset((c, t) for d, c, t in cells if d == document)].add(document)
    phrases = []
    for rest, documents in by_rest.items():
        which = " with any document or none" if documents == all_documents else " " + " or ".join(sorted(documents))
        phrases.append(which + _describe_rest(rest, frozenset((c, t) for _, c, t in everything)))
    return phrases


def _describe_rest(rest: frozenset[tuple[str, str]], everything: frozenset[tuple[str, str]]) -> str:
    if rest == everything:
        return ""
    all_times = {time for _, time in everything}
    parts = []
    for context in sorted({context for context, _ in rest}):
        times = {time for c, time in rest if c == context}
        parts.append(context + ("" if times == all_times else f" {' and '.join(sorted(times))}"))
    return ", " + "; ".join(parts)


def _principals(statements: Iterable[Statement]) -> Mapping[str, str]:
    """Label to what conditions and statements see of a caller."""
    found = {}
    for principal in (principal for statement in statements for principal in statement.principals):
        if not principal.is_everybody and not principal.account_named:
            found[principal.text if principal.kind == "AWS" else f"{principal.kind} {principal.text}"] = principal.text
        if principal.account is not None:
            other = f"arn:aws:iam::{principal.account}:role/any-other-identity"
            found[f"any other identity of account {principal.account}"] = other
    return found | {"anybody of another account": "arn:aws:iam::000000000000:role/anybody"}


def _action_classes(statements: Sequence[Statement]) -> list[list[str]]:
    """Actions that no statement tells apart, together."""
    classes: dict[tuple[bool, ...], list[str]] = defaultdict(list)
    for action in ACTIONS:
        classes[tuple(statement.covers(action) for statement in statements)].append(action)
    return list(classes.values())


def _documents(statements: Iterable[Statement]) -> Mapping[str, Mapping[int, str] | None]:
    found: dict[str, Mapping[int, str] | None] = {
        "without an attestation document": None,
        "attested by an image in debug mode": full_document(dict.fromkeys(pcr.IMAGE_PCRS, pcr.ZERO.hex())),
        "attested by any other image": full_document({}),
    }
    for image in (image for statement in statements if statement.allow for image in images_of(statement)):
        if image:
            registers = ", ".join(f"PCR{index} {value[:16]}…" for index, value in sorted(image.items()))
            found[f"attested by the image with {registers}"] = full_document(image)
    return found


def _contexts(statements: Iterable[Statement]) -> Mapping[str, Mapping[str, str]]:
    found: dict[str, Mapping[str, str]] = {"without an encryption context": {}}
    for context in (contexts_of(statement) for statement in statements if statement.allow):
        if context:
            label = ", ".join(f"{name}={value}" for name, value in sorted(context.items()))
            found[f"for the encryption context {label}"] = context
            found["for another encryption context"] = dict.fromkeys(context, "another")
            found[f"for the encryption context {label} and more"] = {**context, "and-more": ""}
    return found


def _times(statements: Iterable[Statement]) -> Mapping[str, str | None]:
    """A moment before the first date that is named, and each date itself."""
    dates: set[datetime] = set()
    for condition in (condition for statement in statements for condition in statement.conditions):
        if condition.key == CURRENT_TIME.lower():
            dates |= {date for text in condition.wanted if (date := _date(text))}
    if not dates:
        return {"": None}
    ordered = sorted(dates)
    found = {f"before {_text(ordered[0])}": _text(ordered[0] - timedelta(seconds=1))}
    for date, following in zip(ordered, [*ordered[1:], None], strict=True):
        end = f" to {_text(following)}" if following else " on"
        found[f"from {_text(date)}{end}"] = _text(date)
    return dict(found)


def _date(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text)
        return date.astimezone(UTC) if date.tzinfo and 1970 < date.year < 9000 else None
    except (ValueError, OverflowError):
        return None


def _text(date: datetime) -> str:
    return format_time(round(date.timestamp() * 1000))
