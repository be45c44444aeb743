"""Whether what asks for a review can get one."""

from collections.abc import Iterator

from enclave.guard.compiling import Rules
from enclave.guard.document import RuleDocument
from enclave.guard.findings import Finding


def asking_for_review(document: RuleDocument) -> list[str]:
    """The rules and budgets that can hold a request."""
    rules = [f"Rule {rule.id}" for rule in document.rules if rule.decision == "review"]
    return rules + [f"Budget {budget.id}" for budget in document.budgets if budget.review_above is not None]


def check_reviews(rules: Rules) -> Iterator[Finding]:
    """Remarks about reviews that nobody can give, that one person gives alone, or that nothing asks for."""
    asking, terms = asking_for_review(rules.document), rules.document.review
    if terms is None:
        for who in asking:
            words = f"{who} asks for a review, but nobody is named as reviewer: it refuses."
            yield Finding("warning", "nobody-reviews", who.split()[1], words)
        return
    name = rules.document.name
    if terms.quorum == 1:
        yield Finding("warning", "one-reviewer", name, f"In {name} a single reviewer approves alone.")
    if not asking:
        yield Finding("warning", "unused-review", name, f"No rule or budget of {name} asks for a review.")
