"""Requests that wait for people: held, decided by M of N reviewers, and then signed once, or never.

What is approved is the statement about one request under one version of the rules (`held.py`). Whoever asked asks
again; the statement that comes about then has to be the approved one, byte for byte. An approval is used up durably
before the key is opened, so a crash at any point leaves it signed once, or held again (SE-11).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from enclave.errors import Refusal
from enclave.guard.compiling import Rules
from enclave.guard.held import (
    ID_BYTES,
    Held,
    ReviewDecision,
    State,
    Verdict,
    challenge_of,
    decision_line,
    hold,
    statement_of,
)
from enclave.guard.judging import Decision
from enclave.guard.review_queue import Entry, Listed, ReviewQueue, Stored
from enclave.guard.reviewers import Counters, Panel, VerifiedAssertion, verify_assertion
from enclave.guard.sign_request import SignRequest
from enclave.guard.signing_key import GuardKey
from enclave.records import Change, Conflict, Records
from evm.message import PersonalMessage
from protocol import errors, guard_errors
from protocol.services import RecordKey

_TRIES: Final = 8  # other workers may write the same list


@dataclass(frozen=True, slots=True)
class Cleared:
    """Reviewers have approved, and nobody has used it yet."""

    key: RecordKey
    held: Held


class Reviews:
    """The state machine of held requests. One instance a worker."""

    def __init__(
        self,
        records: Records,
        key: GuardKey,
        deployment: str,
        now_s: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        """`now_s` is trusted time in seconds, which refuses when there is none; `key` signs what reviewers decide."""
        self._queue = ReviewQueue(records)
        self._counters = Counters(records)
        self._key = key
        self._deployment = deployment
        self._now_s = now_s
        self._random = random

    async def require_approved(self, request: SignRequest, decision: Decision, rules: Rules) -> Cleared:
        """The approval of a request that the rules want reviewed, not yet used.

        `Refusal` PERMISSION_DENIED `guard:review:<id>` while it is held, `guard:review-refused:<id>` and
        `guard:review-expired:<id>` for as long again as it was held for; RATE_LIMITED where the queue is full.
        """
        key = self._queue.key(request)
        for _ in range(_TRIES):
            listed, stored = await self._queue.load(key)
            now_s = self._now_s()
            if stored.held is not None and self._concerns(stored.held, request, decision, rules, now_s):
                return _require_approved(stored, stored.held, now_s)
            held = hold(request, decision, rules, self._deployment, self._random(ID_BYTES), now_s)
            named = request.wallet in rules.named_wallets
            entry = Entry(key, held.id, request.cosigners[0], held.expires_s, named)
            changes = [self._queue.write(stored, held), self._queue.write_list(listed.added(entry, now_s))]
            try:
                await self._queue.save(*changes)
            except Conflict:
                continue
            raise _refusal("review", held)
        raise Refusal(errors.BUSY)

    def _concerns(self, held: Held, request: SignRequest, decision: Decision, rules: Rules, now_s: int) -> bool:
        """Whether what is held is this request as it is read now, under these rules, and not long ago or used up."""
        if held.state is State.USED or held.rules_version != decision.rules_version:
            return False
        if now_s >= 2 * held.expires_s - held.held_at_s:
            return False
        return held.statement == statement_of(held, request, decision, rules, self._deployment)

    async def use(self, cleared: Cleared) -> None:
        """Use an approval up, durably. `Refusal` REQUEST_CONFLICT where somebody else has, BUSY; then sign nothing."""
        await self._move(cleared.key, cleared.held, State.APPROVED, State.USED)

    async def give_back(self, cleared: Cleared) -> None:
        """Make a used approval usable again, because the key was not opened and nothing was signed."""
        await self._move(cleared.key, cleared.held, State.USED, State.APPROVED)

    async def _move(self, key: RecordKey, held: Held, before: State, after: State) -> None:
        for _ in range(_TRIES):
            listed, stored = await self._queue.load(key)
            current = stored.held
            if current is None or current.id != held.id or current.state is not before:
                raise Refusal(guard_errors.REQUEST_CONFLICT, "guard:review-used")
            if await self._saved(listed, stored, replace(current, state=after)):
                return
        raise Refusal(errors.BUSY)

    async def decide(
        self, id_: bytes, verdict: Verdict, assertion: str, panel: Panel, rules_version: int
    ) -> tuple[Held, ReviewDecision]:
        """Take a reviewer's decision, an assertion over `challenge_of(statement, verdict)`; it counts once.

        What was approved may be refused until it is used. `Refusal` NOT_FOUND; REQUEST_CONFLICT `guard:review-ended`
        for what can no longer be decided under the rules in force, `guard:review-decided` for a second decision;
        PROOF_VERIFICATION_FAILED.
        """
        for _ in range(_TRIES):
            listed, stored, held = await self._find(id_)
            now_s = self._now_s()
            if not held.can_be_decided(verdict, now_s) or held.rules_version != rules_version:
                raise Refusal(guard_errors.REQUEST_CONFLICT, "guard:review-ended")
            verified = verify_assertion(panel, assertion, challenge_of(held.statement, verdict))
            if any(made.reviewer == verified.reviewer.name for made in held.decisions):
                raise Refusal(guard_errors.REQUEST_CONFLICT, "guard:review-decided")
            counter = await self._counters.advance(panel, verified)
            decision = await self._decision(held, verified, verdict, now_s)
            changed = held.decided(decision, panel.terms.quorum)
            if await self._saved(listed, stored, changed, *([counter] if counter else [])):
                return changed, decision
        raise Refusal(errors.BUSY)

    async def _decision(self, held: Held, verified: VerifiedAssertion, verdict: Verdict, now_s: int) -> ReviewDecision:
        """Signed before it is kept: what is kept without a signature could not be told from what nobody decided."""
        line = decision_line(held, verified, verdict, now_s)
        signature = await self._key.sign(PersonalMessage(line.encode(), line).digest)
        return ReviewDecision(verified.reviewer.name, verdict, now_s, line, signature)

    async def require_reviewer(self, panel: Panel, assertion: str, challenge: str) -> VerifiedAssertion:
        """The reviewer who has answered a challenge that is about nothing but a session; its counter is taken."""
        verified = verify_assertion(panel, assertion, challenge)
        counter = await self._counters.advance(panel, verified)
        if counter is not None:
            try:
                await self._queue.save(counter)
            except Conflict:
                raise Refusal(errors.BUSY) from None
        return verified

    async def find(self, id_: bytes) -> Held:
        """One held request. `Refusal` NOT_FOUND."""
        _, _, held = await self._find(id_)
        return held

    async def all(self) -> list[Held]:
        """Every request in the list, the newest last. Read one by one: together they could be too large for a frame."""
        found = []
        for entry in (await self._queue.listed()).entries:
            _, stored = await self._queue.load(entry.key)
            if stored.held is not None and stored.held.id == entry.id:
                found.append(stored.held)
        return found

    async def decisions(self, most_bytes: int) -> list[ReviewDecision]:
        """The newest decisions whose lines fit into `most_bytes`, the oldest of them first."""
        made = [decision for held in await self.all() for decision in held.decisions]
        made.sort(key=lambda decision: decision.time_s)
        while sum(len(decision.line) for decision in made) > most_bytes:
            made.pop(0)
        return made

    async def _find(self, id_: bytes) -> tuple[Listed, Stored, Held]:
        entry = (await self._queue.listed()).find(id_)
        if entry is not None:
            listed, stored = await self._queue.load(entry.key)
            if stored.held is not None and stored.held.id == id_:
                return listed, stored, stored.held
        raise Refusal(guard_errors.NOT_FOUND, "guard:review")

    async def _saved(self, listed: Listed, stored: Stored, held: Held, *more: Change) -> bool:
        """Whether `held` was written in the place of `stored`, with the list where it says something else by that."""
        changes = [self._queue.write(stored, held), *more]
        entry = listed.find(held.id)
        if entry is not None and entry.ended is held.state.live:
            changes.append(self._queue.write_list(listed.with_ended(entry, ended=not held.state.live)))
        try:
            await self._queue.save(*changes)
        except Conflict:
            return False
        return True


def _require_approved(stored: Stored, held: Held, now_s: int) -> Cleared:
    match held.state_at(now_s):
        case State.APPROVED:
            return Cleared(stored.key, held)
        case State.HELD:
            raise _refusal("review", held)
        case ended:
            raise _refusal(f"review-{ended}", held)


def _refusal(what: str, held: Held) -> Refusal:
    return Refusal(guard_errors.PERMISSION_DENIED, f"guard:{what}:{held.id.hex()}")
