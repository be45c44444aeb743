"""One rule against one effect: its conditions, each with what an effect would have to be like to meet it.

Compiled once from the document: names are resolved to addresses, selectors to bytes. Nothing here loops over anything
that a request brings.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from enclave.guard.document import ANY, PLAIN, Rule
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
    """A set of addresses, or all; `own` stands for the wallet that signs. `names` is how the rule says it."""

    names: tuple[str, ...]
    members: frozenset[Address]
    all: bool
    own: bool

    def has(self, address: Address | None, wallet: Address) -> bool:
        """Whether it has the address; None (nobody in particular, or anybody at all) is only in the set of all."""
        if self.all:
            return True
        return address is not None and (address in self.members or (self.own and address == wallet))

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
        return next(self.unmet(effect, about), None) is None

    def unmet(self, effect: Effect, about: Circumstances) -> Iterator[str]:
        """For each condition that does not hold, what it asks for."""
        for condition in _CONDITIONS:
            needs = condition(self, effect, about)
            if needs:
                yield needs
        yield from _wide(self, effect)


def _who(rule: CompiledRule, effect: Effect, about: Circumstances) -> str:
    if rule.counterparties is None or rule.counterparties.has(effect.counterparty, about.wallet):
        return ""
    return f"the recipient, spender or operator has to be in {rule.counterparties.words}"


def _contract(rule: CompiledRule, effect: Effect, about: Circumstances) -> str:
    if rule.contracts is None or rule.contracts.has(effect.contract, about.wallet):
        return ""
    return f"the contract has to be in {rule.contracts.words}"


def _selector(rule: CompiledRule, effect: Effect, _about: Circumstances) -> str:
    if rule.selectors is None or effect.selector in rule.selectors:
        return ""
    return "the function has to be one of " + ", ".join(sorted("0x" + s.hex() for s in rule.selectors))


def _asset(rule: CompiledRule, effect: Effect, _about: Circumstances) -> str:
    if rule.assets is None or rule.any_asset:
        return ""
    if effect.asset is not None and (effect.chain_id, effect.asset.kind) in rule.assets:
        return ""
    if effect.asset is not None and effect.asset.contract is None and (0, effect.asset) in rule.assets:
        return ""
    return "the asset has to be " + " or ".join(rule.rule.assets or ())


def _chain(rule: CompiledRule, effect: Effect, _about: Circumstances) -> str:
    chains = rule.rule.chains
    if chains is None or effect.chain_id in chains or effect.kind is Kind.STATEMENT:
        return ""
    return "the chain has to be " + " or ".join(map(str, chains))


def _site(rule: CompiledRule, effect: Effect, _about: Circumstances) -> str:
    sites = rule.rule.sites
    if sites is None or ANY in sites or (effect.site or PLAIN) in sites:
        return ""
    return "the site has to be " + " or ".join(sites)


def _reason(rule: CompiledRule, effect: Effect, _about: Circumstances) -> str:
    reasons = rule.rule.reasons
    if effect.kind is not Kind.UNKNOWN or reasons is None or effect.reason in reasons:
        return ""
    return "it has to be unknown because of " + " or ".join(reasons)


def _wallet(rule: CompiledRule, _effect: Effect, about: Circumstances) -> str:
    if rule.wallets is None or rule.wallets.has(about.wallet, about.wallet):
        return ""
    return f"the wallet has to be in {rule.wallets.words}"


def _scope(rule: CompiledRule, _effect: Effect, about: Circumstances) -> str:
    scopes = rule.rule.scopes
    if scopes is None or about.scope in scopes:
        return ""
    return "the scope has to be " + " or ".join(scopes)


def _time(rule: CompiledRule, _effect: Effect, about: Circumstances) -> str:
    what = rule.rule
    if what.not_before_s is not None and about.now_s < what.not_before_s:
        return f"the time has to be {what.not_before_s} (Unix seconds) or later"
    if what.not_after_s is not None and about.now_s > what.not_after_s:
        return f"the time has to be {what.not_after_s} (Unix seconds) or earlier"
    minute = about.now_s // 60
    weekday = (minute // MINUTES_A_DAY + _EPOCH_WEEKDAY) % len(_DAYS)
    start, end = rule.minutes
    if what.hours is None or (weekday in rule.days and start <= minute % MINUTES_A_DAY < end):
        return ""
    return f"it has to be {', '.join(what.hours.days)} between {what.hours.start} and {what.hours.end} UTC"


def _lasts(rule: CompiledRule, effect: Effect, about: Circumstances) -> str:
    most = rule.rule.lasts_at_most_s
    if most is None or effect.kind not in (Kind.APPROVAL, Kind.OPERATOR, Kind.GRANT, Kind.TRANSFER, Kind.NATIVE):
        return ""
    if effect.expires_s is not None and effect.expires_s <= about.now_s + most:
        return ""
    return f"it has to end within {most} seconds"


def _account(rule: CompiledRule, effect: Effect, about: Circumstances) -> str:
    if rule.denies or rule.rule.accounts == ANY or effect.account == about.wallet:
        return ""
    return "the account has to be the wallet itself"


_CONDITIONS: Final[tuple[Callable[[CompiledRule, Effect, Circumstances], str], ...]] = (
    _who,
    _contract,
    _selector,
    _asset,
    _chain,
    _site,
    _reason,
    _wallet,
    _scope,
    _time,
    _lasts,
    _account,
)


def _wide(rule: CompiledRule, effect: Effect) -> Iterator[str]:
    """The four fields that widen a permission, and narrow a denial."""
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
