"""The service of reviewers: what waits for them, and their decisions. All of it through the sealed channel alone.

A session is opened by an assertion of a reviewer's passkey and lets them read; a decision is an assertion of its own
over what was read (`guard/held.py`).
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from enclave.errors import Refusal
from enclave.guard.compiling import Rules
from enclave.guard.cosigning import Cosigner
from enclave.guard.held import ID_BYTES, VERDICTS, Held, State
from enclave.guard.overview import Overview, parse_subject
from enclave.guard.review_sessions import ReviewSessions
from enclave.guard.reviewers import Panel
from enclave.guard.reviews import Reviews
from enclave.guard.rule_words import rules_words
from enclave.guard.rulebook import RuleBook
from enclave.rpc.envelope import Call, parse_object, require_json_post
from protocol import guard_errors

REVIEW_SERVICE: Final = "/rpc/GuardReview/"

Method = Callable[[Call], Awaitable[dict[str, Any]]]


class GuardReviewService:
    """The methods. `Refusal` NOT_FOUND `guard:review-nobody` while the rules in force name no reviewers."""

    def __init__(
        self, reviews: Reviews, cosigner: Cosigner, rule_book: RuleBook, sessions: ReviewSessions, overview: Overview
    ) -> None:
        self._reviews = reviews
        self._cosigner = cosigner
        self._rule_book = rule_book
        self._sessions = sessions
        self._overview = overview

    def methods(self) -> Mapping[str, Method]:
        """Every method by path."""
        methods: dict[str, Method] = {
            "Challenge": self.challenge,
            "OpenSession": self.open_session,
            "Queue": self.queue,
            "Get": self.get,
            "Rules": self.rules,
            "Overview": self.overview,
            "Decide": self.decide,
        }
        return {REVIEW_SERVICE + name: method for name, method in methods.items()}

    async def challenge(self, call: Call) -> dict[str, Any]:
        """`{}` -> `{challenge, site, credentials}`: what a passkey signs, for which site, and which passkeys count."""
        _arguments(call)
        _, panel = await self._panel()
        credentials = [entry.credential for entry in panel.terms.reviewers]
        return {"challenge": self._sessions.challenge(), "site": panel.terms.site, "credentials": credentials}

    async def open_session(self, call: Call) -> dict[str, Any]:
        """`{challenge, assertion}` -> `{session, reviewer, expiresS}`."""
        arguments = _arguments(call, "challenge", "assertion")
        _, panel = await self._panel()
        self._sessions.verify_challenge(arguments["challenge"])
        found = await self._reviews.require_reviewer(panel, arguments["assertion"], arguments["challenge"])
        session, expires_s = self._sessions.open(found.reviewer)
        return {"session": session, "reviewer": found.reviewer.name, "expiresS": expires_s}

    async def queue(self, call: Call) -> dict[str, Any]:
        """`{session}` -> `{nowS, quorum, reviews}`, the newest first: what waits, and what has ended."""
        rules, panel = await self._panel_of(_arguments(call, "session"))
        now_s = self._cosigner.now_s()
        reviews = [_summary(held, now_s, rules) for held in reversed(await self._reviews.all())]
        return {"nowS": now_s, "quorum": panel.terms.quorum, "reviews": reviews}

    async def get(self, call: Call) -> dict[str, Any]:
        """`{session, id}` -> one of them: its statement, what would be decided now, and who has decided what."""
        arguments = _arguments(call, "session", "id")
        rules, panel = await self._panel_of(arguments)
        held, now_s = await self._reviews.find(_id(arguments["id"])), self._cosigner.now_s()
        decision = await self._cosigner.judge_held(held, rules)
        return {
            "nowS": now_s,
            "quorum": panel.terms.quorum,
            "state": _state(held, now_s, rules),
            "statement": held.statement.decode(),
            "budgets": [
                f"{reason.by}: {reason.words}" for reason in decision.reasons if reason.by.startswith("budget:")
            ],
            "outcome": decision.outcome.text,
            "by": decision.deciding.by,
            "why": decision.deciding.words,
            "decisions": [made.as_json() for made in held.decisions],
        }

    async def rules(self, call: Call) -> dict[str, Any]:
        """`{session}` -> `{version, sha256, frozen, words}`: the rules in force, in sentences."""
        rules, _ = await self._panel_of(_arguments(call, "session"))
        document, frozen = await self._rule_book.document()
        sha256 = hashlib.sha256(document).hexdigest()
        return {"version": rules.document.version, "sha256": sha256, "frozen": frozen, "words": rules_words(rules)}

    async def overview(self, call: Call) -> dict[str, Any]:
        """`{session, wallet}` -> `{nowS, budgets, decisions}` as officers get it; `wallet` empty: those seen lately."""
        arguments = _arguments(call, "session", "wallet")
        await self._panel_of(arguments)
        return await self._overview.tell(parse_subject(arguments["wallet"]))

    async def decide(self, call: Call) -> dict[str, Any]:
        """`{id, decision, assertion}` -> `{state, line, signature}`; the assertion alone says who decides."""
        arguments = _arguments(call, "id", "decision", "assertion")
        verdict = next((known for known in VERDICTS if known == arguments["decision"]), None)
        if verdict is None:
            raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:review-arguments")
        rules, panel = await self._panel()
        version = rules.document.version
        held, made = await self._reviews.decide(_id(arguments["id"]), verdict, arguments["assertion"], panel, version)
        return {"state": held.state.value, **made.as_json()}

    async def _panel(self) -> tuple[Rules, Panel]:
        rules = await self._rule_book.current()
        if rules.panel is None:
            raise Refusal(guard_errors.NOT_FOUND, "guard:review-nobody")
        return rules, rules.panel

    async def _panel_of(self, arguments: dict[str, str]) -> tuple[Rules, Panel]:
        """The panel, if the session is of one of them."""
        rules, panel = await self._panel()
        self._sessions.verify(arguments["session"], panel)
        return rules, panel


def _arguments(call: Call, *names: str) -> dict[str, str]:
    """Exactly the named members, all of them text, of a sealed call."""
    if not call.sealed:
        raise Refusal(guard_errors.PERMISSION_DENIED, "guard:review-unsealed")
    require_json_post(call)
    found = parse_object(call.body)
    if found.keys() != set(names) or not all(isinstance(value, str) for value in found.values()):
        raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:review-arguments")
    return found


def _id(text: str) -> bytes:
    try:
        id_ = bytes.fromhex(text)
    except ValueError:
        id_ = b""
    if len(id_) != ID_BYTES or id_.hex() != text:
        raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:review-arguments")
    return id_


def _state(held: Held, now_s: int, rules: Rules) -> str:
    """As reviewers see it: what was held under earlier rules can no longer be decided."""
    state = held.state_at(now_s)
    outdated = held.rules_version != rules.document.version
    return "outdated" if outdated and state in (State.HELD, State.APPROVED) else state


def _summary(held: Held, now_s: int, rules: Rules) -> dict[str, Any]:
    statement = held.told()
    return {
        "id": held.id.hex(),
        "state": _state(held, now_s, rules),
        "wallet": statement["wallet"],
        "chainId": statement["chainId"],
        "heldBy": held.by,
        "words": statement["words"][:4],
        "heldAtS": held.held_at_s,
        "expiresS": held.expires_s,
        "decisions": [
            {"reviewer": made.reviewer, "decision": made.verdict, "timeS": made.time_s} for made in held.decisions
        ],
    }
