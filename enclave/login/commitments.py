"""Started logins, in the RAM of this boot only (RB-04): a restart voids them, and no store can bring one back.

A commitment belongs to the auth key that made it (OT-03): another key neither answers, voids nor overwrites it (OT-05).
A try is counted before the answer is looked at, and success consumes the commitment (OT-02).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from enclave.auth_key import Key
from enclave.errors import Refusal
from enclave.shared_counters import SharedCounters, Use
from protocol import errors, limits


@dataclass(frozen=True, slots=True)
class CommitmentKey:
    """What a commitment is filed under. `verifier` is the normalised mail address, signer text or token hash."""

    scope: str
    auth_mode: str
    identity_type: str
    verifier: str
    auth_key: Key


@dataclass(slots=True)
class Commitment:
    """A started login. `deadline_ms` is monotonic; `answers` are digests of right answers, never the answers."""

    key: CommitmentKey
    handle: str
    deadline_ms: int
    signer: Key | None = None
    also: CommitmentKey | None = None
    """A second name under which clients complete the same login."""
    challenge: str = ""
    answers: tuple[str, ...] = field(default=(), repr=False)
    code_verifier: str = field(default="", repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 0
    links_only: bool = False
    """Whether what it proves is new, and may be linked to an account but not log in."""
    pending: bool = False
    """Whether its code is still on the way to the mail server: until it is taken there, nobody can answer."""
    counted: Use | None = None
    """How all workers together count it among those of its verifier."""


class Commitments:
    """All live commitments of a worker, at most `MAX_COMMITMENTS` of each mode: one mode's flood fills no other's."""

    def __init__(self, counters: SharedCounters | None = None) -> None:
        """`counters`: where other workers count, too."""
        self._counters = counters
        self._live: dict[CommitmentKey, Commitment] = {}
        self._also: dict[CommitmentKey, CommitmentKey] = {}
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._live)

    def add(self, commitment: Commitment, now_ms: int) -> None:
        """File `commitment`, in place of those of the same auth key with one of its names. BUSY when full."""
        names = [commitment.key] if commitment.also is None else [commitment.key, commitment.also]
        replaced = {id(old): old for old in map(self._find, names) if old is not None}
        if not replaced and self._counts[commitment.key.auth_mode] >= limits.MAX_COMMITMENTS:
            self._purge(now_ms)
            if self._counts[commitment.key.auth_mode] >= limits.MAX_COMMITMENTS:
                raise Refusal(errors.BUSY)
        for old in replaced.values():
            self.withdraw(old)
        self._live[commitment.key] = commitment
        self._counts[commitment.key.auth_mode] += 1
        if commitment.also is not None:
            self._also[commitment.also] = commitment.key

    def withdraw(self, commitment: Commitment) -> None:
        """Forget a commitment: replaced, expired, or one that could not be completed (its mail was not sent)."""
        if self._live.get(commitment.key) is commitment:
            del self._live[commitment.key]
            self._counts[commitment.key.auth_mode] -= 1
            if commitment.also is not None:
                del self._also[commitment.also]
            self.give_back(commitment.counted)

    def live_for(self, key: CommitmentKey, now_ms: int) -> int:
        """How many auth keys have a live commitment for the same scope, mode, identity type and verifier."""
        what = (key.scope, key.auth_mode, key.identity_type, key.verifier)
        return sum(
            (k.scope, k.auth_mode, k.identity_type, k.verifier) == what and c.deadline_ms > now_ms
            for k, c in self._live.items()
        )

    def admit(self, key: CommitmentKey, now_ms: int, deadline_ms: int) -> Use | None:
        """Room for one more auth key that waits for an answer of the same verifier, or USAGE_LIMIT_EXCEEDED.

        Where other workers count, too: what to give back, which `withdraw` does once it is in a commitment.
        """
        if self._counters is None:
            if self.live_for(key, now_ms) < limits.MAX_COMMITMENTS_PER_IDENTITY:
                return None
            raise Refusal(errors.USAGE_LIMIT_EXCEEDED)
        what = (key.scope, key.auth_mode, key.identity_type, key.verifier)
        for place in range(limits.MAX_COMMITMENTS_PER_IDENTITY):
            use = Use(("login", *what, str(place)), 1, deadline_ms)
            if self._counters.take([use], now_ms):
                return use
        raise Refusal(errors.USAGE_LIMIT_EXCEEDED)

    def give_back(self, counted: Use | None) -> None:
        """Undo `admit`."""
        if counted is not None and self._counters is not None:
            self._counters.give_back(counted)

    def start_attempt(self, key: CommitmentKey, now_ms: int) -> Commitment:
        """Count a try and return the commitment. INVALID_REQUEST, TOO_MANY_ATTEMPTS or CHALLENGE_EXPIRED."""
        commitment = self._find(key)
        if commitment is None or commitment.pending:
            raise Refusal(errors.INVALID_REQUEST, "commitment not found")
        if commitment.attempts >= limits.MAX_OTP_ATTEMPTS:
            raise Refusal(errors.TOO_MANY_ATTEMPTS)
        if commitment.deadline_ms <= now_ms:
            raise Refusal(errors.CHALLENGE_EXPIRED)
        commitment.attempts += 1
        return commitment

    def consume(self, commitment: Commitment) -> None:
        """Take the commitment out for good: from here on its answer is worth nothing. INVALID_REQUEST if gone."""
        if self._live.get(commitment.key) is not commitment:
            raise Refusal(errors.INVALID_REQUEST, "commitment not found")
        self.withdraw(commitment)

    def _find(self, name: CommitmentKey) -> Commitment | None:
        return self._live.get(self._also.get(name, name))

    def _purge(self, now_ms: int) -> None:
        for commitment in [commitment for commitment in self._live.values() if commitment.deadline_ms <= now_ms]:
            self.withdraw(commitment)
