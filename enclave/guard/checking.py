"""Static checks of a rule document, in sentences: what it permits without saying so, and what can never happen."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from enclave.guard.compiling import CompiledBudget, Rules
from enclave.guard.conditions import CompiledRule
from enclave.guard.covering import check_reachability
from enclave.guard.document import ANY, Rule
from enclave.guard.examples import run_examples
from enclave.guard.findings import Finding
from enclave.guard.review_checks import check_reviews
from evm.address import checksum
from evm.effects import Kind
from evm.effects.model import COIN

_LOOKALIKE_BYTES: Final = 2  # what people compare: the first and last four digits


def check_rules(rules: Rules) -> list[Finding]:
    """Every remark about the document, errors first."""
    found = [finding for check in _CHECKS for finding in check(rules)]
    return sorted(found, key=lambda finding: finding.severity)


def _chains(rules: Rules) -> Iterator[Finding]:
    for compiled in rules.rules():
        chains = compiled.rule.chains
        if chains is not None and not rules.chains & set(chains):
            words = f"Rule {compiled.rule.id} is for chains that the document does not serve."
            yield Finding("error", "chain-not-served", compiled.rule.id, words)
    for budget in rules.budgets:
        if budget.chain_id not in rules.chains:
            words = f"Budget {budget.id} is for chain {budget.chain_id}, which the document does not serve."
            yield Finding("error", "chain-not-served", budget.id, words)


def _thresholds(rules: Rules) -> Iterator[Finding]:
    for budget in rules.budgets:
        steps = [("second_factor_above", budget.second_factor_above), ("review_above", budget.review_above)]
        for name, step in steps:
            if step is not None and step >= budget.at_most:
                words = (
                    f"Budget {budget.id}: {name} is never reached, for the answer is no above {budget.budget.at_most}."
                )
                yield Finding("error", "threshold-never-reached", budget.id, words)
        second, review = budget.second_factor_above, budget.review_above
        if second is not None and review is not None and second >= review:
            words = f"Budget {budget.id} asks for a review before it asks for a second factor, so it never does that."
            yield Finding("error", "threshold-never-reached", budget.id, words)


def _examples(rules: Rules) -> Iterator[Finding]:
    results = run_examples(rules)
    for result in results:
        if result.failure:
            yield Finding("error", "example-fails", result.name, f"Example {result.name}: {result.failure}")
    decided = {by for result in results for by in result.deciders}
    for rule in rules.document.rules:
        if rule.id not in decided:
            yield Finding("warning", "no-example", rule.id, f"No example is decided by rule {rule.id}.")
    for budget in rules.budgets:
        if f"budget:{budget.id}" not in decided:
            yield Finding("warning", "no-example", budget.id, f"No example draws on budget {budget.id}.")


def _shared(rules: Rules) -> Iterator[Finding]:
    for budget in rules.budgets:
        if budget.budget.per in ("scope", "everyone") and budget.wallets is None:
            words = f"Budget {budget.id} is shared by all wallets: whoever the rules permit anything can use it up."
            yield Finding("warning", "shared-budget", budget.id, words)


def _wide(rules: Rules) -> Iterator[Finding]:
    for compiled in rules.rules():
        if not compiled.denies:
            for code, holds, words in _REMARKS:
                if holds(compiled):
                    yield Finding("warning", code, compiled.rule.id, f"Rule {compiled.rule.id} {words}")


_Predicate: TypeAlias = Callable[[CompiledRule], bool]


def _kind(*kinds: Kind) -> _Predicate:
    return lambda compiled: bool(compiled.kinds & set(kinds))


def _anybody(compiled: CompiledRule) -> bool:
    return compiled.counterparties is not None and compiled.counterparties.all


def _any_contract(compiled: CompiledRule) -> bool:
    return compiled.contracts is not None and compiled.contracts.all


_APPROVES: Final = _kind(Kind.APPROVAL, Kind.OPERATOR)
_RUNS_CODE: Final = _kind(Kind.UNKNOWN, Kind.DELEGATE_CALL, Kind.NESTED, Kind.USER_OPERATION)

# A code, when it is remarked, and what it says of the rule.
_REMARKS: Final[tuple[tuple[str, _Predicate, str], ...]] = (
    (
        "unlimited-approvals",
        lambda c: c.rule.unlimited and Kind.APPROVAL in c.kinds,
        "permits unlimited approvals: whoever gets one can take all there ever will be.",
    ),
    ("operators", _kind(Kind.OPERATOR), "permits operators: whoever becomes one can take every item, at any time."),
    (
        "any-spender",
        lambda c: _anybody(c) and _APPROVES(c),
        "lets anybody be approved: a site that lies gets what it asks for.",
    ),
    (
        "any-delegate",
        lambda c: _anybody(c) and _kind(Kind.GRANT, Kind.DELEGATION)(c),
        "lets anybody act for the account.",
    ),
    ("full-control", _kind(Kind.DELEGATION), "permits EIP-7702 delegations, which hand over the whole account."),
    ("full-control", _kind(Kind.ACCOUNT_CHANGE), "permits changes of who controls the account."),
    (
        "any-code",
        lambda c: _any_contract(c) and _RUNS_CODE(c),
        "trusts any contract with code that nobody has looked at.",
    ),
    (
        "any-function",
        lambda c: Kind.UNKNOWN in c.kinds and c.selectors is None,
        "permits functions that are not understood without naming them.",
    ),
    (
        "every-chain",
        lambda c: c.rule.every_chain,
        "permits signatures that hold on every chain, also on those that do not exist yet.",
    ),
    (
        "any-account",
        lambda c: c.rule.accounts == ANY,
        "permits effects on accounts that are not the wallet's own.",
    ),
    (
        "endless-grant",
        lambda c: Kind.GRANT in c.kinds and c.rule.lasts_at_most_s is None,
        "permits grants that never end.",
    ),
)


def _without_budget(rules: Rules) -> Iterator[Finding]:
    for compiled in rules.rules():
        if compiled.denies:
            continue
        for kind in (Kind.NATIVE, Kind.TRANSFER, Kind.APPROVAL, Kind.FEE):
            if kind in compiled.kinds and not _counted(compiled, kind, rules):
                what = "fees" if kind is Kind.FEE else f"effects of the kind {kind}"
                words = f"Rule {compiled.rule.id} permits {what} of any size: no budget counts all of them."
                yield Finding("warning", "no-budget", compiled.rule.id, words)


def _counted(compiled: CompiledRule, kind: Kind, rules: Rules) -> bool:
    """Whether each asset that the rule permits is counted by some budget."""
    budgets = {(budget.chain_id, budget.asset) for budget in rules.budgets if kind in budget.kinds}
    if kind in (Kind.NATIVE, Kind.FEE):
        chains = rules.chains & set(compiled.rule.chains or rules.chains)
        return all((chain, COIN) in budgets for chain in chains)
    if compiled.any_asset or compiled.assets is None:
        return False
    return all(asset in budgets or asset[1].standard == "native" for asset in compiled.assets)


def _blocked(rules: Rules) -> Iterator[Finding]:
    for compiled in rules.rules():
        if compiled.denies or not compiled.rule.unlimited or Kind.APPROVAL not in compiled.kinds:
            continue
        for budget in rules.budgets:
            if Kind.APPROVAL in budget.kinds and _concerns(compiled, budget):
                what = f"Rule {compiled.rule.id} permits unlimited approvals of {budget.budget.asset}"
                words = f"{what}, but budget {budget.id} counts approvals and will always refuse them."
                yield Finding("error", "contradiction", compiled.rule.id, words)


def _concerns(compiled: CompiledRule, budget: CompiledBudget) -> bool:
    return compiled.any_asset or (budget.chain_id, budget.asset) in (compiled.assets or frozenset())


def _unused(rules: Rules) -> Iterator[Finding]:
    document = rules.document
    used = {name for rule in document.rules for name in _names(rule)}
    used |= {name for budget in document.budgets for name in (budget.asset, *(budget.wallets or ()))}
    for what, names in (("list", document.lists), ("token", document.tokens)):
        for name in names:
            if name not in used:
                yield Finding("warning", f"unused-{what}", name, f"No rule or budget uses the {what} {name}.")


def _names(rule: Rule) -> Iterator[str]:
    for names in (rule.contracts, rule.counterparties, rule.assets, rule.wallets):
        yield from names or ()


def _lookalikes(rules: Rules) -> Iterator[Finding]:
    """Two addresses in the lists that agree where people look: how payments are led astray."""
    ends = Counter(address[:_LOOKALIKE_BYTES] + address[-_LOOKALIKE_BYTES:] for address in rules.naming.names)
    for address, name in rules.naming.names.items():
        if ends[address[:_LOOKALIKE_BYTES] + address[-_LOOKALIKE_BYTES:]] > 1:
            words = f"{checksum(address)} in list {name} begins and ends like another listed address."
            yield Finding("warning", "lookalike", name, words)


def _frozen(rules: Rules) -> Iterator[Finding]:
    if rules.document.frozen:
        yield Finding("warning", "frozen", rules.document.name, "Everything is frozen: nothing will be signed.")


_CHECKS: Final[tuple[Callable[[Rules], Iterator[Finding]], ...]] = (
    check_reachability,
    _chains,
    _thresholds,
    _examples,
    _blocked,
    _frozen,
    check_reviews,
    _wide,
    _without_budget,
    _shared,
    _unused,
    _lookalikes,
)
