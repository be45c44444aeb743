"""What is left of budgets, when it frees, and what was decided lately: for officers and reviewers.

Sealed records cannot be listed, so the overview is about those who have asked in this boot, or about one that is named.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from enclave.errors import Refusal
from enclave.guard.budgets import Budgets
from enclave.guard.compiling import CompiledBudget, Rules
from enclave.guard.conditions import Circumstances
from enclave.guard.decision_log import DecisionLog
from enclave.guard.judging import Draw, subject_of
from enclave.guard.limits import MAX_OVERVIEW_ASKERS, MAX_OVERVIEW_STEPS
from enclave.guard.rulebook import RuleBook
from enclave.ledger import Ledger
from evm.address import Address, checksum, parse_address
from evm.effects.effect_words import decimal
from evm.errors import EvmError
from protocol import guard_errors


@dataclass(frozen=True, slots=True)
class Share:
    """What one subject has drawn from one rolling budget."""

    budget: CompiledBudget
    subject: str
    ledger: Ledger

    def as_json(self, now_s: int) -> dict[str, Any]:
        """Amounts in tokens as text; `frees`: how much comes back when, the next times and the last."""
        window_s = self.budget.budget.window_s or 0
        spent = self.ledger.spent(now_s, window_s)
        return {
            "subject": self.subject,
            "spent": self._tokens(spent),
            "left": self._tokens(max(0, self.budget.at_most - spent)),
            "frees": [
                {"timeS": time_s, "amount": self._tokens(amount)} for time_s, amount in self._steps(now_s, window_s)
            ],
        }

    def _steps(self, now_s: int, window_s: int) -> list[tuple[int, int]]:
        steps = [(entry.time_s + window_s, entry.amount) for entry in self.ledger.entries]
        steps = [step for step in steps if step[0] > now_s]
        first, rest = steps[: MAX_OVERVIEW_STEPS - 1], steps[MAX_OVERVIEW_STEPS - 1 :]
        return first if not rest else [*first, (rest[-1][0], sum(amount for _, amount in rest))]

    def _tokens(self, amount: int) -> str:
        return decimal(amount, self.budget.decimals)


class Overview:
    """Reads; takes nothing and changes nothing."""

    def __init__(self, rule_book: RuleBook, budgets: Budgets, log: DecisionLog, now_s: Callable[[], int]) -> None:
        """`now_s` is trusted time in seconds."""
        self._rule_book = rule_book
        self._budgets = budgets
        self._log = log
        self._now_s = now_s

    async def tell(self, wallet: Address | None = None) -> dict[str, Any]:
        """`{nowS, budgets, decisions}`: of this wallet and what it shares, or of those who have asked lately."""
        rules, now_s = await self._rule_book.current(), self._now_s()
        recent = [made for made in self._log.recent() if wallet in (None, made.about.wallet)]
        askers = list(dict.fromkeys(made.about for made in recent))[:MAX_OVERVIEW_ASKERS]
        if wallet is not None:
            askers.insert(0, Circumstances(wallet, now_s))
        shares = await self._shares(rules, askers)
        return {
            "nowS": now_s,
            "budgets": [_budget(budget, shares, now_s) for budget in rules.budgets],
            "decisions": [
                {
                    "timeS": made.time_s,
                    "wallet": checksum(made.about.wallet),
                    "session": made.about.session,
                    "outcome": made.outcome,
                    "by": made.by,
                }
                for made in recent
            ],
        }

    async def _shares(self, rules: Rules, askers: list[Circumstances]) -> list[Share]:
        found: dict[tuple[str, str], Share] = {}
        for about in askers:
            draws = [Draw(budget, subject_of(budget.budget.per, about), 0) for budget in _rolling(rules, about)]
            missing = [draw for draw in draws if (draw.budget.id, draw.subject) not in found]
            for draw, ledger in await self._budgets.ledgers(missing):
                found[(draw.budget.id, draw.subject)] = Share(draw.budget, draw.subject, ledger)
        return list(found.values())


def parse_subject(value: object) -> Address | None:
    """The wallet that is asked about; None for an empty text. `Refusal` INVALID_ARGUMENT for what is neither."""
    try:
        return None if value == "" else parse_address(value)
    except EvmError:
        raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:wallet") from None


def _rolling(rules: Rules, about: Circumstances) -> list[CompiledBudget]:
    """Budgets of which this asker has a share that is kept. One for sessions has none of nobody's."""
    known = [budget for budget in rules.budgets if budget.budget.window_s is not None and budget.counts(about.wallet)]
    return [budget for budget in known if about.session or budget.budget.per != "session"]


def _budget(budget: CompiledBudget, shares: list[Share], now_s: int) -> dict[str, Any]:
    """A budget for one request keeps nothing, so it has no shares."""
    said = budget.budget
    found: dict[str, Any] = {"id": budget.id, "asset": said.asset, "per": said.per}
    if said.window_s is not None:
        found["windowS"] = said.window_s
    steps = {"secondFactorAbove": said.second_factor_above, "reviewAbove": said.review_above, "atMost": said.at_most}
    found |= {name: amount for name, amount in steps.items() if amount is not None}
    return found | {"shares": [share.as_json(now_s) for share in shares if share.budget.id == budget.id]}
