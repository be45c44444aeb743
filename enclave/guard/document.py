"""A rule document as it is written: what may be signed, by name and in order of preference.

`docs/guard.md` explains it to people. JSON; unknown fields, names that do not exist and permissions that leave
something open without saying so refuse the whole document (`RulesError`). `matching.py` is what it means.
"""

import re
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from enclave.guard.errors import RulesError
from enclave.guard.limits import (
    MAX_BUDGETS,
    MAX_CREDENTIAL_CHARS,
    MAX_EXAMPLES,
    MAX_HOLD_S,
    MAX_PUBLIC_KEY_CHARS,
    MAX_REVIEW_QUORUM,
    MAX_REVIEWERS,
    MAX_RULES,
    MAX_RULES_BYTES,
    MAX_TOKENS,
    MAX_WINDOW_S,
)
from evm.effects import Kind, Reason

Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]
Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Names: TypeAlias = tuple[Text, ...]
ChainId: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
Seconds: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=MAX_WINDOW_S)]
DayName: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

ANY: Final = "any"
OWN: Final = "own"
OPEN: Final = "open"
PLAIN: Final = "plain"
_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,77})(?:\.([0-9]{1,77}))?\Z")


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, no unknown fields."""


class TokenEntry(_Part, frozen=True, kw_only=True):
    """A token that the author of the rules vouches for: its standard is what decides how calls are read."""

    chain: ChainId
    address: Text
    standard: Literal["erc20", "erc721", "erc1155"]
    decimals: Annotated[int, msgspec.Meta(ge=0, le=77)] = 0


class Hours(_Part, frozen=True, kw_only=True):
    """A part of the week, in UTC: `start` inclusive, `end` exclusive, as `HH:MM`; `24:00` ends the day."""

    days: tuple[DayName, ...]
    start: Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")] = "00:00"
    end: Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z|^24:00\Z")] = "24:00"


class Rule(_Part, frozen=True, kw_only=True):
    """What happens to effects that meet every condition. A condition that is left out (null) holds for all.

    `allow`, `second-factor` and `review` permit, and say what they need first; the first that matches decides. `deny`
    forbids, wherever it stands. A permission covers limited approvals, effects of the own account, on one chain, that
    come about by a transaction; `unlimited`, `accounts`, `every_chain` and `by_signature` widen it. In a denial
    `unlimited`, `every_chain` and `by_signature` narrow it to exactly these.
    """

    id: Name
    decision: Literal["allow", "second-factor", "review", "deny"]
    effects: Annotated[tuple[Kind, ...], msgspec.Meta(min_length=1)]
    why: str = ""
    chains: tuple[ChainId, ...] | None = None
    contracts: Names | None = None
    selectors: Names | None = None
    counterparties: Names | None = None
    assets: Names | None = None
    sites: Names | None = None
    wallets: Names | None = None
    scopes: Names | None = None
    reasons: tuple[Reason, ...] | None = None
    accounts: Literal["own", "any"] = "own"
    unlimited: bool = False
    every_chain: bool = False
    by_signature: bool = False
    lasts_at_most_s: Seconds | None = None
    hours: Hours | None = None
    not_before_s: int | None = None
    not_after_s: int | None = None


class Budget(_Part, frozen=True, kw_only=True):
    """How much of one asset may leave, in tokens (`"12.5"`), for each subject in each window.

    `wallets`: whose requests it counts and bounds; those of others it does not know. Null: everybody's.

    `window_s` null: in one request. Whatever the rules permit, the sum of all effects of these kinds counts, approvals
    as if they were spent when given. Above a threshold more is asked for; above `at_most` the answer is no.
    """

    id: Name
    asset: Name
    chain: ChainId | None = None
    effects: tuple[Kind, ...] = (Kind.NATIVE, Kind.TRANSFER, Kind.APPROVAL, Kind.FEE)
    per: Literal["wallet", "session", "scope", "everyone"]
    wallets: Names | None = None
    window_s: Seconds | None = None
    second_factor_above: Text | None = None
    review_above: Text | None = None
    at_most: Text


class Example(_Part, frozen=True, kw_only=True):
    """A case that the author has thought of: these effects, this answer, for this reason."""

    name: Text
    effects: msgspec.Raw
    wallet: Text
    expect: Literal["allow", "second-factor", "review", "deny"]
    by: Text


class ReviewerEntry(_Part, frozen=True, kw_only=True):
    """A person who may decide on held requests, with one passkey: credential id and COSE key in base64url."""

    name: Name
    credential: Annotated[str, msgspec.Meta(min_length=2, max_length=MAX_CREDENTIAL_CHARS)]
    public_key: Annotated[str, msgspec.Meta(min_length=2, max_length=MAX_PUBLIC_KEY_CHARS)]


class ReviewTerms(_Part, frozen=True, kw_only=True):
    """Who decides on what the rules hold for review: `quorum` approvals sign it, one refusal refuses it.

    `site` is what the passkeys are for (a domain), `origins` where the reviewers' page is served. A request is held
    for `hold_s` seconds.
    """

    site: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\Z")]
    origins: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=8)]
    reviewers: Annotated[tuple[ReviewerEntry, ...], msgspec.Meta(min_length=1, max_length=MAX_REVIEWERS)]
    quorum: Annotated[int, msgspec.Meta(ge=1, le=MAX_REVIEW_QUORUM)]
    hold_s: Annotated[int, msgspec.Meta(ge=60, le=MAX_HOLD_S)] = 86_400


class RuleDocument(_Part, frozen=True, kw_only=True):
    """The whole document. `version` only rises; `frozen` denies everything."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    name: Text
    chains: tuple[ChainId, ...]
    rules: Annotated[tuple[Rule, ...], msgspec.Meta(max_length=MAX_RULES)]
    budgets: Annotated[tuple[Budget, ...], msgspec.Meta(max_length=MAX_BUDGETS)] = ()
    tokens: Annotated[dict[Name, TokenEntry], msgspec.Meta(max_length=MAX_TOKENS)] = {}
    lists: dict[Name, Names] = {}
    examples: Annotated[tuple[Example, ...], msgspec.Meta(max_length=MAX_EXAMPLES)] = ()
    review: ReviewTerms | None = None
    frozen: bool = False


def parse_document(data: bytes) -> RuleDocument:
    """The document in `data`, its form checked; `RulesError` with the field at fault otherwise."""
    if len(data) > MAX_RULES_BYTES:
        raise RulesError("rules-too-large", f"A rule document has at most {MAX_RULES_BYTES} bytes.")
    try:
        return msgspec.json.decode(data, type=RuleDocument)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RulesError("rules-malformed", f"{error}.") from None


def parse_amount(text: str, decimals: int, where: str) -> int:
    """Base units of an amount in tokens; `RulesError` for another spelling, or more digits than the token has."""
    match = _AMOUNT.match(text)
    fraction = (match[2] or "") if match else ""
    if match is None or len(fraction) > decimals:
        raise RulesError("rules-amount", f"{where}: {text} is no amount with at most {decimals} decimals.")
    whole: int = int(match[1]) * 10**decimals
    return whole + int(fraction.ljust(decimals, "0") or "0")
