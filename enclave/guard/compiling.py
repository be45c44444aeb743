"""From a rule document to what is evaluated: names resolved, all cross-checked, nothing left open by accident."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from enclave.guard.conditions import Addresses, CompiledRule, parse_hours
from enclave.guard.document import ANY, Budget, Rule, RuleDocument, parse_amount
from enclave.guard.errors import RulesError
from enclave.guard.resolving import Resolver
from enclave.guard.reviewers import Panel, compile_panel
from evm.address import Address
from evm.effects import Asset, Kind, Tokens
from evm.effects.effect_words import Naming
from evm.effects.model import COIN
from evm.errors import EvmError
from evm.fields import hex_bytes

Subject: TypeAlias = Literal["wallet", "session", "scope", "everyone"]

_COIN_DECIMALS: Final = 18
_BUDGETED: Final = frozenset({Kind.NATIVE, Kind.TRANSFER, Kind.APPROVAL, Kind.FEE})

# What a permission has to say explicitly, be it "any": who gets it, which contract runs, which site is signed in to.
REQUIRED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.NATIVE: ("counterparties",),
    Kind.TRANSFER: ("assets", "counterparties"),
    Kind.APPROVAL: ("assets", "counterparties"),
    Kind.OPERATOR: ("assets", "counterparties"),
    Kind.REVOCATION: (),
    Kind.FEE: (),
    Kind.DELEGATE_CALL: ("contracts",),
    Kind.CREATION: ("contracts",),
    Kind.DELEGATION: ("counterparties",),
    Kind.ACCOUNT_CHANGE: ("counterparties",),
    Kind.GRANT: ("counterparties",),
    Kind.RECOVERY: (),
    Kind.STATEMENT: ("sites",),
    Kind.NESTED: ("contracts",),
    Kind.USER_OPERATION: ("contracts",),
    Kind.UNKNOWN: ("contracts", "selectors", "reasons"),
}


@dataclass(frozen=True, slots=True)
class CompiledBudget:
    """A budget in base units. Thresholds are None where there are none."""

    budget: Budget
    kinds: frozenset[Kind]
    chain_id: int
    asset: Asset
    decimals: int
    wallets: Addresses | None
    second_factor_above: int | None
    review_above: int | None
    at_most: int

    @property
    def id(self) -> str:
        """The budget's name."""
        return self.budget.id

    def counts(self, wallet: Address) -> bool:
        """Whether requests of this wallet draw on it."""
        return self.wallets is None or self.wallets.has(wallet, wallet)


@dataclass(frozen=True, slots=True)
class Rules:
    """A document ready for evaluation. `denials` and `permissions` are by kind, in the order of the document."""

    document: RuleDocument
    chains: frozenset[int]
    denials: Mapping[Kind, tuple[CompiledRule, ...]]
    permissions: Mapping[Kind, tuple[CompiledRule, ...]]
    budgets: tuple[CompiledBudget, ...]
    naming: Naming = field(repr=False)
    panel: Panel | None = None
    """Who decides on what is held; None: nobody, and what needs a review is refused."""

    @property
    def tokens(self) -> Tokens:
        """The tokens that the document vouches for: how calls of them are read."""
        return self.naming.tokens

    @property
    def named_wallets(self) -> frozenset[Address]:
        """Wallets that a permission is for by name."""
        named = (rule.wallets for rules in self.permissions.values() for rule in rules)
        return frozenset().union(*(found.members for found in named if found is not None))

    def rules(self) -> list[CompiledRule]:
        """Every rule once, in the order of the document."""
        tables = (*self.denials.values(), *self.permissions.values())
        found = {rule.rule.id: rule for rules in tables for rule in rules}
        return [found[rule.id] for rule in self.document.rules]


def compile_rules(document: RuleDocument) -> Rules:
    """The document, ready; `RulesError` where it contradicts itself or leaves something open."""
    resolver = Resolver(document)
    _validate_unique("rules-rule-id", [rule.id for rule in document.rules])
    _validate_unique("rules-budget-id", [budget.id for budget in document.budgets])
    compiled = [_compile_rule(rule, resolver) for rule in document.rules]
    return Rules(
        document=document,
        chains=frozenset(document.chains),
        denials=_by_kind(rule for rule in compiled if rule.denies),
        permissions=_by_kind(rule for rule in compiled if not rule.denies),
        budgets=tuple(_compile_budget(budget, resolver) for budget in document.budgets),
        naming=Naming(MappingProxyType(resolver.names), MappingProxyType(resolver.known_tokens)),
        panel=None if document.review is None else compile_panel(document.review),
    )


def _compile_rule(rule: Rule, resolver: Resolver) -> CompiledRule:
    where = f"Rule {rule.id}"
    _validate_rule(rule, where)
    assets = None if rule.assets is None else frozenset(resolver.asset(n, where) for n in rule.assets if n != ANY)
    minutes, days = parse_hours(rule)
    return CompiledRule(
        rule=rule,
        kinds=frozenset(rule.effects),
        contracts=resolver.addresses(rule.contracts, where),
        counterparties=resolver.addresses(rule.counterparties, where),
        selectors=_selectors(rule.selectors, where),
        assets=assets,
        any_asset=ANY in (rule.assets or ()),
        wallets=resolver.addresses(rule.wallets, where),
        minutes=minutes,
        days=days,
    )


def _validate_rule(rule: Rule, where: str) -> None:
    if rule.decision != "deny":
        for kind in rule.effects:
            missing = [name for name in REQUIRED[kind] if getattr(rule, name) is None]
            if missing:
                raise RulesError(
                    "rules-open", f'{where} permits {kind} and has to say which {missing[0]}, be it "{ANY}".'
                )
    if any(value == () for value in _conditions(rule)):
        raise RulesError("rules-empty", f"{where} has a condition with nothing in it, which nothing can meet.")
    if rule.hours is not None and not (rule.hours.days and rule.hours.start < rule.hours.end):
        raise RulesError("rules-hours", f"{where}: its hours have to begin before they end, on some day.")


def _conditions(rule: Rule) -> Iterable[Any]:
    names = "chains contracts selectors counterparties assets sites wallets scopes reasons"
    return (getattr(rule, name) for name in names.split())


def _selectors(texts: tuple[str, ...] | None, where: str) -> frozenset[bytes] | None:
    if texts is None or ANY in texts:
        return None
    try:
        found = frozenset(hex_bytes(text, "rules-selector", most=4) for text in texts)
    except EvmError:
        raise RulesError("rules-selector", f"{where}: a selector is 0x and eight digits.") from None
    if any(len(selector) not in (0, 4) for selector in found):
        raise RulesError("rules-selector", f"{where}: a selector is 0x and eight digits, or 0x for none.")
    return found


def _compile_budget(budget: Budget, resolver: Resolver) -> CompiledBudget:
    where = f"Budget {budget.id}"
    chain, asset = resolver.asset(budget.asset, where)
    if (asset is COIN) is (budget.chain is None):
        raise RulesError("rules-budget-chain", f"{where}: coins need the chain they are on; a token has one already.")
    if budget.wallets == ():
        raise RulesError("rules-empty", f"{where} is for no wallet.")
    if not set(budget.effects) <= _BUDGETED or not budget.effects:
        raise RulesError("rules-budget-effects", f"{where}: only {', '.join(sorted(_BUDGETED))} have amounts to count.")
    decimals = _COIN_DECIMALS if asset is COIN else resolver.tokens[budget.asset][2].decimals

    def amount(text: str | None) -> int | None:
        return None if text is None else parse_amount(text, decimals, where)

    return CompiledBudget(
        budget=budget,
        kinds=frozenset(budget.effects),
        chain_id=budget.chain or chain,
        asset=asset,
        decimals=decimals,
        wallets=resolver.addresses(budget.wallets, where),
        second_factor_above=amount(budget.second_factor_above),
        review_above=amount(budget.review_above),
        at_most=parse_amount(budget.at_most, decimals, where),
    )


def _by_kind(rules: Iterable[CompiledRule]) -> Mapping[Kind, tuple[CompiledRule, ...]]:
    listed = list(rules)
    return MappingProxyType({kind: tuple(rule for rule in listed if kind in rule.kinds) for kind in Kind})


def _validate_unique(code: str, ids: list[str]) -> None:
    twice = {id_ for id_ in ids if ids.count(id_) > 1}
    if twice:
        raise RulesError(code, f"The name {twice.pop()} is given twice.")
