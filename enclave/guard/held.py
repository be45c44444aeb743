"""A held request as a value: the statement that people decide about, what they decided, and what follows from it.

The statement is JSON in its RFC 8785 form: the request as it was parsed, what it does, the version of the rules, until
when. Reviewers are shown exactly these bytes, sign their SHA-256, and the same bytes have to come about again from the
request that is finally signed (SE-16).
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Literal

from enclave.errors import Refusal
from enclave.guard.compiling import Rules
from enclave.guard.cosigners import cosigner_text
from enclave.guard.judging import Decision
from enclave.guard.limits import MAX_LOG_DEPTH, MAX_REVIEW_LINE_BYTES, MAX_STATEMENT_BYTES
from enclave.guard.reviewers import VerifiedAssertion
from enclave.guard.sign_request import SignRequest
from evm.address import checksum
from evm.effects.effect_json import effect_to_json
from evm.effects.effect_words import tree_words
from evm.wallet.attestation import Attestation
from evm.wallet.payload_json import typed_data
from protocol import canonical_json, errors, guard_errors
from protocol.base64url import encode_b64u
from protocol.errors import ProtocolError

STATEMENT_FORMAT: Final = "chancery/guard-review/1"
DECISION_FORMAT: Final = "chancery/guard-review-decision/1"
ID_BYTES: Final = 16
Verdict = Literal["approve", "refuse"]
VERDICTS: Final[tuple[Verdict, ...]] = ("approve", "refuse")


class State(StrEnum):
    """Where a held request stands. Only `approved` leads to a signature, and to one."""

    HELD = "held"
    APPROVED = "approved"
    REFUSED = "refused"
    USED = "used"
    """A signature was made, or may have been."""

    @property
    def live(self) -> bool:
        """Whether something can still come of it."""
        return self in (State.HELD, State.APPROVED)


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """One reviewer's decision. `line`: canonical JSON with its evidence; `signature`: the guard's over it (EIP-191)."""

    reviewer: str
    """Their name, which one person has under one version of the rules."""
    verdict: Verdict
    time_s: int
    line: str
    signature: bytes

    def as_json(self) -> dict[str, str]:
        """What officers and reviewers read."""
        return {"line": self.line, "signature": "0x" + self.signature.hex()}


@dataclass(frozen=True, slots=True)
class Held:
    """The record of a held request. Times in Unix seconds."""

    id: bytes
    statement: bytes
    by: str
    """The rule or budget that asked for the review."""
    rules_version: int
    held_at_s: int
    expires_s: int
    state: State = State.HELD
    decisions: tuple[ReviewDecision, ...] = ()

    def state_at(self, now_s: int) -> str:
        """The state in a word, `expired` included."""
        return "expired" if self.state.live and now_s >= self.expires_s else self.state.value

    def told(self) -> dict[str, Any]:
        """The statement's members."""
        told: dict[str, Any] = canonical_json.parse(self.statement, max_depth=MAX_LOG_DEPTH)
        return told

    def can_be_decided(self, verdict: Verdict, now_s: int) -> bool:
        """Whether a decision still counts: approvals while it is held, a refusal until it is used."""
        waiting = self.state is State.HELD or (self.state is State.APPROVED and verdict == "refuse")
        return waiting and now_s < self.expires_s

    def decided(self, decision: ReviewDecision, quorum: int) -> "Held":
        """With one more decision: one refusal refuses, `quorum` approvals approve."""
        decisions = (*self.decisions, decision)
        state = self.state
        if decision.verdict == "refuse":
            state = State.REFUSED
        elif len({made.reviewer for made in decisions}) >= quorum:
            state = State.APPROVED
        return replace(self, state=state, decisions=decisions)

    def body(self) -> list[Any]:
        """What a record keeps."""
        made = [[d.reviewer, d.verdict, d.time_s, d.line, d.signature] for d in self.decisions]
        times = [self.rules_version, self.held_at_s, self.expires_s]
        return [self.id, self.statement, self.by, *times, self.state.value, made]


def read_held(body: Any) -> Held:
    """The value that `Held.body` wrote; `Refusal` DATA_INTEGRITY_ERROR."""
    match body:
        case [bytes(id_), bytes(statement), str(by), int(version), int(held), int(expires), str(state), list(made)]:
            if state in list(State):
                decisions = tuple(map(_read_decision, made))
                return Held(id_, statement, by, version, held, expires, State(state), decisions)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _read_decision(body: Any) -> ReviewDecision:
    match body:
        case [str(name), "approve" | "refuse" as verdict, int(time_s), str(line), bytes(signature)]:
            return ReviewDecision(name, verdict, time_s, line, signature)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def hold(request: SignRequest, decision: Decision, rules: Rules, deployment: str, id_: bytes, now_s: int) -> Held:
    """A request that the rules want reviewed, from `now_s` on. `Refusal` VALIDATION_FAILED where it is too long."""
    hold_s = 0 if rules.panel is None else rules.panel.terms.hold_s
    made = Held(id_, b"", decision.deciding.by, decision.rules_version, now_s, now_s + hold_s)
    return replace(made, statement=statement_of(made, request, decision, rules, deployment))


def statement_of(held: Held, request: SignRequest, decision: Decision, rules: Rules, deployment: str) -> bytes:
    """The statement about `request` as this guard reads it now, in the place of `held`."""
    what = request.what
    document = what.as_json() if isinstance(what, Attestation) else typed_data(what, request.wallet, request.chain_id)
    statement = {
        "format": STATEMENT_FORMAT,
        "deployment": deployment,
        "id": held.id.hex(),
        "wallet": checksum(request.wallet),
        "chainId": str(request.chain_id),
        "askedBy": [cosigner_text(who) for who in request.cosigners],
        "digest": "0x" + request.digest.hex(),
        "request": canonical_json.canonicalize(_as_text(document)).decode(),
        "effects": [effect_to_json(effect) for effect in decision.effects],
        "words": tree_words(decision.effects, rules.naming),
        "heldBy": held.by,
        "rulesVersion": held.rules_version,
        "heldAtS": held.held_at_s,
        "expiresS": held.expires_s,
    }
    try:
        encoded = canonical_json.canonicalize(statement)
    except ProtocolError:
        raise Refusal(guard_errors.VALIDATION_FAILED, "guard:review-size") from None
    if len(encoded) > MAX_STATEMENT_BYTES:
        raise Refusal(guard_errors.VALIDATION_FAILED, "guard:review-size")
    return encoded


def _as_text(value: Any) -> Any:
    """Integers as decimal text: those of wallets are larger than JSON's canonical form can write."""
    if isinstance(value, dict):
        return {name: _as_text(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(member) for member in value]
    return str(value) if type(value) is int else value


def challenge_of(statement: bytes, verdict: Verdict) -> str:
    """What a reviewer's passkey signs, in base64url: the SHA-256 of the statement's, together with the verdict."""
    told = {"decision": verdict, "format": DECISION_FORMAT, "statement": hashlib.sha256(statement).hexdigest()}
    return encode_b64u(hashlib.sha256(canonical_json.canonicalize(told)).digest())


def decision_line(held: Held, verified: VerifiedAssertion, verdict: Verdict, time_s: int) -> str:
    """The decision with its evidence, as one line of canonical JSON: whoever has the passkey's key can verify it."""
    given = verified.given
    line = canonical_json.canonicalize(
        {
            "format": DECISION_FORMAT,
            "review": held.id.hex(),
            "statement": hashlib.sha256(held.statement).hexdigest(),
            "decision": verdict,
            "reviewer": verified.reviewer.name,
            "timeS": time_s,
            "credential": encode_b64u(given.credential_id),
            "clientData": encode_b64u(given.client_data),
            "authenticatorData": encode_b64u(given.authenticator_data),
            "signature": encode_b64u(given.signature),
        }
    )
    if len(line) > MAX_REVIEW_LINE_BYTES:
        raise Refusal(errors.PROOF_VERIFICATION_FAILED, "passkey answer is malformed")
    return line.decode()
