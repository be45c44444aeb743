"""From effects to a decision: pure, bounded, and with its reasons.

Every effect is judged, containers and contents alike. A denial that matches decides, wherever it stands; else the first
permission that matches; else the answer is no (SE-18). Budgets then count what would leave. The worst answer of all is
the answer, and it names what decided, and what the nearest better answer would need.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from enclave.guard.compiling import CompiledBudget, Rules, Subject
from enclave.guard.conditions import Circumstances, CompiledRule
from enclave.guard.limits import MAX_COMPARISONS
from evm.address import checksum
from evm.effects import Asset, Effect, Kind, all_effects
from evm.effects.effect_words import decimal


class Outcome(IntEnum):
    """The four answers, from best to worst."""

    ALLOW = 0
    SECOND_FACTOR = 1
    REVIEW = 2
    DENY = 3

    @property
    def text(self) -> str:
        """As documents write it."""
        return self.name.lower().replace("_", "-")


NO_RULE: Final = "no-rule"
_BUDGET: Final = "budget:"
_OUTCOMES: Final = {outcome.text: outcome for outcome in Outcome}


@dataclass(frozen=True, slots=True)
class Draw:
    """What a request takes from a budget. `subject` names whose share of it."""

    budget: CompiledBudget
    subject: str
    amount: int

    def asks(self, spent: int) -> frozenset[Outcome]:
        """All that it takes to draw this on top of `spent`, in base units: DENY alone where nothing helps."""
        total, budget = spent + self.amount, self.budget
        if total > budget.at_most:
            return frozenset({Outcome.DENY})
        steps = ((Outcome.SECOND_FACTOR, budget.second_factor_above), (Outcome.REVIEW, budget.review_above))
        return frozenset(outcome for outcome, above in steps if above is not None and total > above)


Spent = Callable[[Draw], int]
"""How much of a draw's budget its subject has spent in the current window."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One answer about one effect, or about the whole (`effect` None).

    `by` names a rule, a budget (`budget:…`), or what is built in: `frozen`, `chain`, `no-rule`, `no-effects`,
    `too-much-work`. `needs`: what a better answer would take, as a sentence; empty where there is none.
    """

    outcome: Outcome
    by: str
    words: str
    needs: str = ""
    effect: Effect | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, why, and what would be drawn from budgets if it were carried out."""

    outcome: Outcome
    deciding: Reason
    reasons: tuple[Reason, ...]
    draws: tuple[Draw, ...]
    effects: tuple[Effect, ...]
    rules_version: int

    def asking(self, outcome: Outcome) -> Reason | None:
        """The first reason that asks for `outcome`, be the answer as a whole that one or a worse one."""
        return next((reason for reason in self.reasons if reason.outcome is outcome), None)

    @property
    def nearest(self) -> str:
        """What the nearest other answer would need, as a sentence."""
        return self.deciding.needs or next((reason.needs for reason in self.reasons if reason.needs), "")


def nothing_spent(_draw: Draw) -> int:
    """For dry runs: every budget is full."""
    return 0


def judge(rules: Rules, effects: tuple[Effect, ...], about: Circumstances, spent: Spent = nothing_spent) -> Decision:
    """The decision about a request. Takes at most `MAX_COMPARISONS` comparisons; beyond that the answer is no."""
    draws: tuple[Draw, ...] = ()
    if rules.document.frozen:
        reasons = [Reason(Outcome.DENY, "frozen", "Everything is frozen", "the rules have to be thawed")]
    elif not effects:
        reasons = [Reason(Outcome.DENY, "no-effects", "It has no effect that could be judged")]
    else:
        reasons = list(_Judge(rules, about).judge(effects))
        draws = tuple(_draws(rules, effects, about))
        reasons += [reason for draw in draws for reason in _budget_reasons(draw, spent(draw))]
    deciding = max(reasons, key=lambda reason: (reason.outcome, _telling(reason)))  # the first among equals
    return Decision(deciding.outcome, deciding, tuple(reasons), draws, effects, rules.document.version)


def _telling(reason: Reason) -> int:
    """Of answers that are equally bad: a rule that forbids, then the lack of one that permits, then a budget."""
    if reason.by.startswith(_BUDGET):
        return 0
    return 1 if reason.by == NO_RULE else 2


class _Judge:
    """Judges the effects of one request, and counts the work."""

    def __init__(self, rules: Rules, about: Circumstances) -> None:
        self._rules = rules
        self._about = about
        self._left = MAX_COMPARISONS
        self._explained = False

    def judge(self, effects: tuple[Effect, ...]) -> Iterator[Reason]:
        for effect in all_effects(effects):
            yield self._judge(effect)
            if self._left < 0:
                yield Reason(Outcome.DENY, "too-much-work", "There are too many effects for this many rules")
                return

    def _judge(self, effect: Effect) -> Reason:
        chains = self._rules.chains
        if effect.kind is not Kind.STATEMENT and effect.chain_id != 0 and effect.chain_id not in chains:
            needs = f"chain {effect.chain_id} has to be among the chains of the rules"
            return Reason(Outcome.DENY, "chain", f"Chain {effect.chain_id} is not served", needs, effect)
        rule = self._first(self._rules.denials[effect.kind], effect)
        if rule is not None:
            return Reason(Outcome.DENY, rule.rule.id, rule.rule.why or "A rule denies this", "", effect)
        rule = self._first(self._rules.permissions[effect.kind], effect)
        if rule is None:
            return Reason(Outcome.DENY, NO_RULE, "No rule permits this", self._nearest(effect), effect)
        outcome = _OUTCOMES[rule.rule.decision]
        return Reason(outcome, rule.rule.id, rule.rule.why or "A rule permits this", _NEEDS[outcome], effect)

    def _first(self, rules: Iterable[CompiledRule], effect: Effect) -> CompiledRule | None:
        for rule in rules:
            self._left -= 1
            if self._left < 0:
                return None  # the caller ends with a denial
            if rule.matches(effect, self._about):
                return rule
        return None

    def _nearest(self, effect: Effect) -> str:
        """The permission with the fewest conditions that are not met, and those conditions; for one effect only."""
        if self._explained:
            return ""
        self._explained = True
        best: tuple[int, str] | None = None
        for rule in self._rules.permissions[effect.kind]:
            self._left -= 1
            if self._left < 0:
                break
            unmet = list(rule.unmet(effect, self._about))
            if best is None or len(unmet) < best[0]:
                best = len(unmet), f"for rule {rule.rule.id}, {' and '.join(unmet)}"
        return best[1] if best else f"a rule has to permit effects of the kind {effect.kind}"


_NEEDS: Final = {
    Outcome.ALLOW: "",
    Outcome.SECOND_FACTOR: "a second factor has to be shown",
    Outcome.REVIEW: "reviewers have to approve it",
}


def subject_of(per: Subject, about: Circumstances) -> str:
    """Whose share of a budget a request draws on."""
    subjects = {"wallet": checksum(about.wallet), "session": about.session, "scope": about.scope, "everyone": ""}
    return subjects[per]


def _draws(rules: Rules, effects: tuple[Effect, ...], about: Circumstances) -> Iterator[Draw]:
    """What each budget would lose. What comes back to the wallet itself is not lost; chain 0 is every chain.

    Coins that a session may send are as good as approved to it.
    """
    leaving: Counter[tuple[Kind, int, Asset]] = Counter()
    for effect in all_effects(effects):
        if effect.amount and effect.asset is not None and effect.counterparty != about.wallet:
            kind = Kind.APPROVAL if effect.kind is Kind.GRANT else effect.kind
            leaving[(kind, effect.chain_id, effect.asset.kind)] += effect.amount
    for budget in rules.budgets:
        if not budget.counts(about.wallet):
            continue
        amount = sum(
            leaving[(kind, chain_id, budget.asset)] for kind in budget.kinds for chain_id in (budget.chain_id, 0)
        )
        if amount:
            yield Draw(budget, subject_of(budget.budget.per, about), amount)


def _budget_reasons(draw: Draw, spent: int) -> Iterator[Reason]:
    """A reason for each thing that the draw takes, or one that says what is left."""
    budget = draw.budget
    words = f"{_shown(draw.amount, budget)}, after {_shown(spent, budget)} already, of {_shown(budget.at_most, budget)}"
    by, within = _BUDGET + budget.id, f"Within the budget: {words}"
    asked = sorted(draw.asks(spent), reverse=True)
    if asked == [Outcome.DENY]:
        left = max(0, budget.at_most - spent)
        needs = f"it has to take at most {_shown(left, budget)}, or wait until some of the window has passed"
        yield Reason(Outcome.DENY, by, f"The budget would be exceeded: {words}", needs)
        return
    for outcome in asked:
        yield Reason(outcome, by, within, _NEEDS[outcome])
    if not asked:
        yield Reason(Outcome.ALLOW, by, within, _next(draw, spent))


def _next(draw: Draw, spent: int) -> str:
    """How much is left until more is asked for."""
    budget = draw.budget
    steps = (budget.second_factor_above, budget.review_above, budget.at_most)
    threshold = min(step for step in steps if step is not None)
    return f"{_shown(threshold - spent - draw.amount, budget)} more before more is asked for"


def _shown(amount: int, budget: CompiledBudget) -> str:
    return f"{decimal(amount, budget.decimals)} {budget.budget.asset}"
