"""A rule document in sentences, for those who have to agree to it."""

from collections.abc import Iterator

from enclave.guard.compiling import CompiledBudget, Rules
from enclave.guard.document import Budget, Rule, RuleDocument
from enclave.guard.review_checks import asking_for_review
from evm.words import printable

_DECISIONS = {
    "allow": "is allowed",
    "second-factor": "needs a second factor",
    "review": "needs the approval of reviewers",
    "deny": "is refused",
}


def rules_words(rules: Rules) -> list[str]:
    """The whole document: what is refused in any case, what is permitted in order, budgets, and the rest."""
    document = rules.document
    chains = ", ".join(map(str, document.chains)) or "none"
    lines = [f"{printable(document.name)}, version {document.version}, for the chains {chains}"]
    if document.frozen:
        lines.append("EVERYTHING IS FROZEN: nothing is signed")
    lines += ["Refused in any case:", *_listed(rule for rule in document.rules if rule.decision == "deny")]
    lines += ["Otherwise, the first that fits:", *_listed(rule for rule in document.rules if rule.decision != "deny")]
    lines.append("Everything else is refused.")
    if rules.budgets:
        lines += ["And of all that is permitted:", *(f"  {_budget(budget)}" for budget in rules.budgets)]
    return [*lines, *_reviewers(document)]


def _reviewers(document: RuleDocument) -> Iterator[str]:
    terms = document.review
    if terms is not None:
        names = ", ".join(reviewer.name for reviewer in terms.reviewers)
        yield f"Reviewers: {terms.quorum} of {names}, at {', '.join(map(printable, terms.origins))}"
        yield f"  within {terms.hold_s} seconds; one of them can refuse"
    elif asking_for_review(document):
        yield "NOBODY is named as reviewer: what needs their approval is refused"


def _listed(rules: Iterator[Rule]) -> list[str]:
    return [f"  {rule.id}: {_rule(rule)}" for rule in rules] or ["  nothing"]


def _rule(rule: Rule) -> str:
    conditions = [
        *_names("of", rule.assets),
        *_names("to", rule.counterparties),
        *_names("through", rule.contracts),
        *_names("by the functions", rule.selectors),
        *_names("for the sites", rule.sites),
        *_names("because of", rule.reasons),
        *_names("on the chains", rule.chains),
        *_names("from the wallets", rule.wallets),
        *_names("in the scopes", rule.scopes),
        *_time(rule),
        *_width(rule),
    ]
    why = f" ({rule.why})" if rule.why else ""
    return f"{' or '.join(rule.effects)} {', '.join(conditions)} {_DECISIONS[rule.decision]}{why}".replace("  ", " ")


def _names(what: str, names: tuple[object, ...] | None) -> Iterator[str]:
    if names is not None:
        yield f"{what} {' or '.join(map(str, names))}"


def _time(rule: Rule) -> Iterator[str]:
    if rule.hours is not None:
        yield f"on {', '.join(rule.hours.days)} from {rule.hours.start} to {rule.hours.end} UTC"
    if rule.not_before_s is not None:
        yield f"from {rule.not_before_s} (Unix seconds) on"
    if rule.not_after_s is not None:
        yield f"until {rule.not_after_s} (Unix seconds)"
    if rule.lasts_at_most_s is not None:
        yield f"that ends within {rule.lasts_at_most_s} seconds"


def _width(rule: Rule) -> Iterator[str]:
    also = "only" if rule.decision == "deny" else "also"
    for said, what in (
        (rule.unlimited, "UNLIMITED"),
        (rule.every_chain, "on EVERY chain at once"),
        (rule.by_signature, "by a signature alone"),
        (rule.accounts == "any" and rule.decision != "deny", "of OTHER accounts"),
    ):
        if said:
            yield f"{also} {what}"


def _budget(compiled: CompiledBudget) -> str:
    budget = compiled.budget
    steps = [
        f"{name} above {amount}"
        for name, amount in (("second factor", budget.second_factor_above), ("review", budget.review_above))
        if amount is not None
    ]
    rest = f" ({', '.join(steps)})" if steps else ""
    whose = f" of {compiled.wallets.words}" if compiled.wallets else ""
    return f"{budget.id}: at most {budget.at_most} {budget.asset} {_window(budget)} for {_subject(budget)}{whose}{rest}"


def _window(budget: Budget) -> str:
    return "in one request" if budget.window_s is None else f"in any {budget.window_s} seconds"


def _subject(budget: Budget) -> str:
    return "all together" if budget.per == "everyone" else f"each {budget.per}"
