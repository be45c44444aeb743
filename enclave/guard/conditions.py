"""One rule against one effect: its conditions, each with what an effect would have to be like to meet it.

Compiled once from the document: names are resolved to addresses, selectors to bytes. Nothing here loops over anything
that a request brings.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from enclave.guard.document import ANY, PLAIN, Hours, Rule
from evm.address import Address
from evm.effects import Asset, Effect, Kind

MINUTES_A_DAY: Final = 24 * 60
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Who asks, and when: what is true of a request beside its effects.

    `now_s` is trusted time. `session` names the session key; empty where there is none.
    """

    wallet: Address
    now_s: int
    scope: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class Addresses:
    """A set of addresses, or all. `names` is how the rule says it.

    `own` stands for the wallet that signs, `open` for whomever it turns out to be: the buyer in a sale.
    """

    names: tuple[str, ...]
    members: frozenset[Address]
    all: bool
    own: bool
    open: bool

    def has(self, address: Address | None, wallet: Address) -> bool:
        """Whether it has the address; None is nobody in particular, or anybody at all."""
        if self.all or address is None:
            return self.all or self.open
        return address in self.members or (self.own and address == wallet)

    @property
    def words(self) -> str:
        """The set, for a sentence."""
        return "anybody" if self.all else " or ".join(self.names)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its names resolved. None: the condition holds for all."""

    rule: Rule
    kinds: frozenset[Kind]
    contracts: Addresses | None
    counterparties: Addresses | None
    selectors: frozenset[bytes] | None
    assets: frozenset[tuple[int, Asset]] | None
    any_asset: bool
    wallets: Addresses | None
    minutes: tuple[int, int]
    days: frozenset[int]

    @property
    def denies(self) -> bool:
        """Whether the rule forbids."""
        return self.rule.decision == "deny"

    def matches(self, effect: Effect, about: Circumstances) -> bool:
        """Whether every condition holds. The kind has been compared by the caller."""
        for holds, _ in _CONDITIONS:
            if not holds(self, effect, about):
                return False
        return next(_wide(self, effect), None) is None

    def unmet(self, effect: Effect, about: Circumstances) -> Iterator[str]:
        """For each condition that does not hold, what it asks for."""
        for holds, asks in _CONDITIONS:
            if not holds(self, effect, about):
                yield asks(self)
        yield from _wide(self, effect)


def _who(rule: CompiledRule, effect: Effect, about: Circumstances) -> bool:
    return rule.counterparties is None or rule.counterparties.has(effect.counterparty, about.wallet)


def _contract(rule: CompiledRule, effect: Effect, about: Circumstances) -> bool:
    return rule.contracts is None or rule.contracts.has(effect.contract, about.wallet)


def _selector(rule: CompiledRule, effect: Effect, _about: Circumstances) -> bool:
    return rule.selectors is None or effect.selector in rule.selectors


def _asset(rule: CompiledRule, effect: Effect, _about: Circumstances) -> bool:
    if rule.assets is None or rule.any_asset:
        return True
    if effect.asset is None:
        return False
    chain_id = 0 if effect.asset.contract is None else effect.chain_id  # every chain has its coin
    return (chain_id, effect.asset.kind) in rule.assets


def _chain(rule: CompiledRule, effect: Effect, _about: Circumstances) -> bool:
    chains = rule.rule.chains
    return chains is None or effect.chain_id in chains or effect.kind is Kind.STATEMENT


def _site(rule: CompiledRule, effect: Effect, _about: Circumstances) -> bool:
    sites = rule.rule.sites
    return sites is None or ANY in sites or (effect.site or PLAIN) in sites


def _reason(rule: CompiledRule, effect: Effect, _about: Circumstances) -> bool:
    reasons = rule.rule.reasons
    return effect.kind is not Kind.UNKNOWN or reasons is None or effect.reason in reasons


def _wallet(rule: CompiledRule, _effect: Effect, about: Circumstances) -> bool:
    return rule.wallets is None or rule.wallets.has(about.wallet, about.wallet)


def _scope(rule: CompiledRule, _effect: Effect, about: Circumstances) -> bool:
    return rule.rule.scopes is None or about.scope in rule.rule.scopes


def _period(rule: CompiledRule, _effect: Effect, about: Circumstances) -> bool:
    begin, end = rule.rule.not_before_s, rule.rule.not_after_s
    return (begin is None or begin <= about.now_s) and (end is None or about.now_s <= end)


def _hours(rule: CompiledRule, _effect: Effect, about: Circumstances) -> bool:
    if rule.rule.hours is None:
        return True
    day, minute = divmod(about.now_s // 60, MINUTES_A_DAY)
    start, end = rule.minutes
    return (day + _EPOCH_WEEKDAY) % len(_DAYS) in rule.days and start <= minute < end


def _lasts(rule: CompiledRule, effect: Effect, about: Circumstances) -> bool:
    most = rule.rule.lasts_at_most_s
    if most is None or effect.kind not in _ENDING:
        return True
    return effect.expires_s is not None and effect.expires_s <= about.now_s + most


def _account(rule: CompiledRule, effect: Effect, about: Circumstances) -> bool:
    return rule.denies or rule.rule.accounts == ANY or effect.account == about.wallet


_ENDING: Final = frozenset({Kind.APPROVAL, Kind.OPERATOR, Kind.GRANT, Kind.TRANSFER, Kind.NATIVE})

_Holds: TypeAlias = Callable[[CompiledRule, Effect, Circumstances], bool]
_Asks: TypeAlias = Callable[[CompiledRule], str]


def _one_of(values: Iterable[object] | None) -> str:
    return " or ".join(map(str, values or ()))


def _set(addresses: Addresses | None) -> str:
    return "" if addresses is None else addresses.words


# Whether it holds, and what it asks for.
_CONDITIONS: Final[tuple[tuple[_Holds, _Asks], ...]] = (
    (_who, lambda c: f"the recipient, spender or operator has to be in {_set(c.counterparties)}"),
    (_contract, lambda c: f"the contract has to be in {_set(c.contracts)}"),
    (_selector, lambda c: f"the function has to be {_one_of(sorted('0x' + s.hex() for s in c.selectors or ()))}"),
    (_asset, lambda c: f"the asset has to be {_one_of(c.rule.assets)}"),
    (_chain, lambda c: f"the chain has to be {_one_of(c.rule.chains)}"),
    (_site, lambda c: f"the site has to be {_one_of(c.rule.sites)}"),
    (_reason, lambda c: f"it has to be unknown because of {_one_of(c.rule.reasons)}"),
    (_wallet, lambda c: f"the wallet has to be in {_set(c.wallets)}"),
    (_scope, lambda c: f"the scope has to be {_one_of(c.rule.scopes)}"),
    (_period, lambda c: f"the Unix time has to be from {c.rule.not_before_s or 0} to {c.rule.not_after_s or 'ever'}"),
    (_hours, lambda c: f"it has to be {_hours_words(c.rule.hours)}"),
    (_lasts, lambda c: f"it has to end within {c.rule.lasts_at_most_s} seconds"),
    (_account, lambda _: "the account has to be the wallet itself"),
)


def _hours_words(hours: Hours | None) -> str:
    return f"{', '.join(hours.days)} between {hours.start} and {hours.end} UTC" if hours else ""


def _wide(rule: CompiledRule, effect: Effect) -> Iterator[str]:
    """The three fields that widen a permission, and narrow a denial."""
    wide = (
        (rule.rule.unlimited, effect.unlimited, "an unlimited amount"),
        (rule.rule.every_chain, effect.chain_id == 0 and effect.kind is not Kind.STATEMENT, "every chain at once"),
        (rule.rule.by_signature, effect.signed and effect.kind in _BY_SIGNATURE, "a signature alone"),
    )
    for said, found, what in wide:
        if rule.denies and said and not found:
            yield f"it has to be {what}"
        elif not rule.denies and found and not said:
            yield f"it must not be {what}"


# Kinds for which it matters that somebody else decides when; messages, delegations and the like are signatures anyway.
_BY_SIGNATURE: Final = frozenset({Kind.NATIVE, Kind.TRANSFER, Kind.APPROVAL, Kind.OPERATOR, Kind.NESTED, Kind.UNKNOWN})


def parse_hours(rule: Rule) -> tuple[tuple[int, int], frozenset[int]]:
    """First and last minute of the day, and the days, Monday being 0."""
    if rule.hours is None:
        return (0, MINUTES_A_DAY), frozenset(range(len(_DAYS)))
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (rule.hours.start, rule.hours.end))
    return (start, end), frozenset(_DAYS.index(day) for day in rule.hours.days)
