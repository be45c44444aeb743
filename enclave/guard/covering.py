"""Whether one rule leaves another nothing to decide about a kind of effect: what meets the second meets the first, too.

Cautious: an answer of True is right for all effects; False may only mean that it was not seen.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from enclave.guard.compiling import Rules
from enclave.guard.conditions import Addresses, CompiledRule
from enclave.guard.document import ANY
from enclave.guard.findings import Finding
from evm.effects import Kind

T = TypeVar("T")


def check_reachability(rules: Rules) -> Iterator[Finding]:
    """Rules that decide nothing, or nothing about some of their kinds, because others decide first."""
    listed = rules.rules()
    for at, rule in enumerate(listed):
        denials = [other for other in listed if other.denies and not rule.denies]
        earlier = [other for other in listed[:at] if other.denies is rule.denies]
        found = {kind: next((o for o in denials + earlier if covers(o, rule, kind)), None) for kind in rule.kinds}
        first = {other.rule.id: other for other in found.values() if other is not None}
        if None in found.values():
            for kind, other in found.items():
                if other is not None:
                    words = f"Rule {rule.rule.id} decides nothing about {kind}: rule {other.rule.id} always does."
                    yield Finding("warning", "shadowed", rule.rule.id, words)
        elif all(other.denies and not rule.denies for other in first.values()):
            words = f"Rule {rule.rule.id} permits what rule {_names(first)} denies in every case: it decides nothing."
            yield Finding("error", "contradiction", rule.rule.id, words)
        else:
            words = f"Rule {rule.rule.id} is never reached: rule {_names(first)} matches first in every case."
            yield Finding("error", "unreachable", rule.rule.id, words)


def _names(rules: Mapping[str, CompiledRule]) -> str:
    return " or ".join(sorted(rules))


def covers(first: CompiledRule, second: CompiledRule, kind: Kind) -> bool:
    """Whether `first` matches whatever effects of `kind` the other matches."""
    one, other = first.rule, second.rule
    return (
        kind in first.kinds
        and _addresses(first.contracts, second.contracts)
        and _addresses(first.counterparties, second.counterparties)
        and _addresses(first.wallets, second.wallets)
        and _assets(first, second)
        and _within(first.selectors, second.selectors)
        and (kind is Kind.STATEMENT or _within(_set(one.chains), _set(other.chains)))
        and _within(_sites(one.sites), _sites(other.sites))
        and _within(_set(one.scopes), _set(other.scopes))
        and (kind is not Kind.UNKNOWN or _within(_set(one.reasons), _set(other.reasons)))
        and _time(first, second)
        and _width(first, second)
    )


def _addresses(first: Addresses | None, second: Addresses | None) -> bool:
    if first is None or first.all:
        return True
    if second is None or second.all:
        return False
    return second.members <= first.members and (first.own or not second.own) and (first.open or not second.open)


def _assets(first: CompiledRule, second: CompiledRule) -> bool:
    if first.assets is None or first.any_asset:
        return True
    return second.assets is not None and not second.any_asset and second.assets <= first.assets


def _within(first: frozenset[T] | None, second: frozenset[T] | None) -> bool:
    return first is None or (second is not None and second <= first)


def _set(values: tuple[T, ...] | None) -> frozenset[T] | None:
    return None if values is None else frozenset(values)


def _sites(sites: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if sites is None or ANY in sites else frozenset(sites)


def _time(first: CompiledRule, second: CompiledRule) -> bool:
    one, other = first.rule, second.rule
    if one.lasts_at_most_s is not None and (other.lasts_at_most_s or one.lasts_at_most_s + 1) > one.lasts_at_most_s:
        return False
    if (one.hours, one.not_before_s, one.not_after_s) == (None, None, None):
        return True
    return (one.hours, one.not_before_s, one.not_after_s) == (other.hours, other.not_before_s, other.not_after_s)


def _width(first: CompiledRule, second: CompiledRule) -> bool:
    """A denial is narrowed by these fields, a permission widened."""
    one, other = first.rule, second.rule
    ours = (one.unlimited, one.every_chain, one.by_signature)
    theirs = (other.unlimited, other.every_chain, other.by_signature)
    if first.denies:  # a permission may cover effects that are not as wide as it allows
        return all(not mine or (second.denies and yours) for mine, yours in zip(ours, theirs, strict=True))
    wide = all(mine or not yours for mine, yours in zip(ours, theirs, strict=True))
    return wide and (one.accounts == ANY or other.accounts != ANY)
