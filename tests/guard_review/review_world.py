"""A guard whose rules name reviewers, and the reviewers with their passkeys."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from protocol import canonical_json, cbor
from tests.appliance import Refused
from tests.attestation_channel.attested import AttestedWorld
from tests.enclave_login.authenticator import Authenticator, b64u
from tests.guard_wire.guard_world import GuardWorld, RefusedByGuard, pay

SITE: Final = "guard.example.test"
PAGE: Final = "https://guard.example.test"
HOLD_S: Final = 3600
BUDGETS: Final = [
    {"id": "usd-day", "asset": "usd", "per": "wallet", "window_s": 86400, "review_above": "2000", "at_most": "10000"}
]
LARGE: Final = 3_000 * 10**6
"""Of the token of the rules: above what needs a review, below what a budget has."""


class Reviewer:
    """A person with a passkey."""

    def __init__(self, name: str, site: str = SITE, **knobs: Any) -> None:
        self.name = name
        self.passkey = Authenticator(site, **knobs)

    def entry(self) -> dict[str, str]:
        """As a rule document names them."""
        return {
            "name": self.name,
            "credential": b64u(self.passkey.id),
            "public_key": b64u(cbor.dumps(self.passkey.public_key())),
        }

    def answer(self, challenge: str, origin: str = PAGE) -> str:
        """The assertion that their browser makes."""
        return json.dumps(self.passkey.get(challenge, origin))


def terms(*reviewers: Reviewer, quorum: int = 2, **changes: Any) -> dict[str, Any]:
    """The member `review` of a rule document."""
    named = [reviewer.entry() for reviewer in reviewers]
    return {"site": SITE, "origins": [PAGE], "quorum": quorum, "hold_s": HOLD_S, "reviewers": named} | changes


def challenge(statement: str, decision: str) -> str:
    """What a passkey signs for a decision, written here by hand."""
    told = {
        "decision": decision,
        "format": "chancery/guard-review-decision/1",
        "statement": hashlib.sha256(statement.encode()).hexdigest(),
    }
    return b64u(hashlib.sha256(canonical_json.canonicalize(told)).digest())


class ReviewWorld(GuardWorld, AttestedWorld):
    """A guard with three reviewers, two of whom are a quorum."""

    def __init__(self, folder: Path, *reviewers: Reviewer, quorum: int = 2, **changes: Any) -> None:
        """`review=None` among the changes: rules that name nobody."""
        self.reviewers = reviewers or tuple(Reviewer(name) for name in ("ada", "ben", "cleo"))
        usual = {"budgets": BUDGETS, "review": terms(*self.reviewers, quorum=quorum)}
        super().__init__(folder, **usual | changes)

    async def review(self, method: str, **arguments: Any) -> dict[str, Any]:
        """A method of the reviewers' service, through the sealed channel; `RefusedByGuard` for a refusal."""
        try:
            return await self.sealed(f"/rpc/GuardReview/{method}", arguments)
        except Refused as refused:
            raise RefusedByGuard(refused.body["status"], refused.body) from None

    async def session(self, reviewer: Reviewer) -> str:
        """A session that this reviewer has opened."""
        asked = (await self.review("Challenge"))["challenge"]
        opened = await self.review("OpenSession", challenge=asked, assertion=reviewer.answer(asked))
        assert opened["reviewer"] == reviewer.name
        session: str = opened["session"]
        return session

    async def hold(self, request: dict[str, Any]) -> str:
        """Ask for a signature that the rules hold; the id of what is held."""
        return held_id(await self.refused(request))

    async def refused(self, request: dict[str, Any]) -> str:
        """The cause with which a signature is refused."""
        cause = await self.cause(request)
        assert cause, "it was signed"
        return cause

    async def cause(self, request: dict[str, Any]) -> str:
        """The same; empty if it was signed."""
        try:
            await self.sign(request)
        except RefusedByGuard as refused:
            return refused.cause
        return ""

    async def read(self, id_: str, by: Reviewer | None = None) -> dict[str, Any]:
        """One held request, as a reviewer reads it."""
        return await self.review("Get", session=await self.session(by or self.reviewers[0]), id=id_)

    async def decide(self, id_: str, decision: str, by: Reviewer) -> str:
        """A reviewer reads and decides; the state after that."""
        statement = (await self.read(id_, by))["statement"]
        assertion = by.answer(challenge(statement, decision))
        state: str = (await self.review("Decide", id=id_, decision=decision, assertion=assertion))["state"]
        return state

    async def approve(self, id_: str) -> None:
        """As many reviewers as it takes approve."""
        first, second, *_ = self.reviewers
        assert await self.decide(id_, "approve", first) == "held"
        assert await self.decide(id_, "approve", second) == "approved"


def held_id(cause: str) -> str:
    """The id in `guard:review:<id>`."""
    prefix, _, id_ = cause.rpartition(":")
    assert (prefix, len(id_)) == ("guard:review", 32), cause
    return id_


def large(nonce: int = 0, amount: int = LARGE) -> dict[str, Any]:
    """A payment that the rules hold."""
    return pay(amount, nonce=nonce)
