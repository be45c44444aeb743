"""The examples that a rule document carries: cases of its author, with the answer and who has to give it."""

from dataclasses import dataclass

import msgspec

from enclave.guard.compiling import Rules
from enclave.guard.conditions import Circumstances
from enclave.guard.document import Example
from enclave.guard.judging import judge
from evm.address import parse_address
from evm.effects.effect_json import effects_from_json
from evm.errors import EvmError


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """What came of an example: empty `failure` if it held. `deciders` are all rules that gave an answer in it."""

    name: str
    failure: str
    deciders: frozenset[str]


def run_examples(rules: Rules) -> list[ExampleResult]:
    """Every example against the rules it stands in, with full budgets and at the beginning of time."""
    return [_run(rules, example) for example in rules.document.examples]


def _run(rules: Rules, example: Example) -> ExampleResult:
    try:
        effects = effects_from_json(msgspec.json.decode(example.effects))
        wallet = parse_address(example.wallet)
    except (EvmError, msgspec.DecodeError):
        return ExampleResult(example.name, "its effects or its wallet cannot be read.", frozenset())
    decision = judge(rules, effects, Circumstances(wallet, now_s=0))
    found, by = decision.outcome.text, decision.deciding.by
    failure = ""
    if (found, by) != (example.expect, example.by):
        failure = f"expects {example.expect} by {example.by}, and gets {found} by {by}."
    return ExampleResult(example.name, failure, frozenset(reason.by for reason in decision.reasons))
