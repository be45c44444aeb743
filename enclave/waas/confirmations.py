"""Intents that the guard has asked a confirmation for: kept until it comes, or the intent ends.

In RAM of the worker that took the intent: after a restart, and once its time is over, the client signs a new one. What
was signed stays what is confirmed, and only the session that signed it confirms.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Literal

from enclave.errors import Refusal
from enclave.waas.caller import Caller
from evm.intents.signable import Signing
from protocol import errors

MAX_WAITING: Final = 1000
MAX_WAITING_OF_ONE: Final = 4
ChallengeType = Literal["TOTP", "PIN", "Review"]


class ConfirmationRequired(Exception):
    """The guard wants something first: a code of the user (`TOTP`, `PIN`), or its reviewers' approval (`Review`).

    `wrong`: a code was given, and it was another one. `review` is the id under which reviewers know it.
    """

    def __init__(self, kind: ChallengeType, *, wrong: bool = False, review: str = "") -> None:
        super().__init__(kind)
        self.kind: ChallengeType = kind
        self.wrong = wrong
        self.review = review


@dataclass(frozen=True, slots=True)
class Waiting:
    """An intent that was verified and waits."""

    caller: Caller
    data: Signing
    kind: ChallengeType


class Confirmations:
    """By id. Ids are drawn here, and for reviews are the reviewers'."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Waiting] = OrderedDict()

    def keep(self, id_: str, waiting: Waiting, now_s: int) -> None:
        """Keep an intent until it ends; the oldest of too many is forgotten, of one session's first."""
        for old in [old for old, each in self._waiting.items() if each.caller.intent.forget_at_s < now_s]:
            del self._waiting[old]
        own = [old for old, each in self._waiting.items() if each.caller.key == waiting.caller.key]
        for old in own[: max(0, len(own) + 1 - MAX_WAITING_OF_ONE)]:
            del self._waiting[old]
        self._waiting[id_] = waiting
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    def find(self, caller: Caller, id_: str, now_s: int) -> Waiting | None:
        """What waits under an id for this caller's session; None for anything else."""
        waiting = self._waiting.get(id_)
        if waiting is None or waiting.caller.intent.forget_at_s < now_s:
            return None
        asked = waiting.caller
        return waiting if (asked.key, asked.scope.scope) == (caller.key, caller.scope.scope) else None

    def require(self, caller: Caller, id_: str, now_s: int) -> Waiting:
        """The same; CHALLENGE_EXPIRED where nothing waits."""
        waiting = self.find(caller, id_, now_s)
        if waiting is None:
            raise Refusal(errors.CHALLENGE_EXPIRED)
        return waiting

    def forget(self, id_: str) -> None:
        """It is done."""
        self._waiting.pop(id_, None)
