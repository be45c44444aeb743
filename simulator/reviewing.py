"""A reviewer at a terminal: what the reviewers' page does in a browser, with a passkey in software.

What the passkey signs is computed from the statement that was shown (docs/guard.md).
"""

import hashlib
from typing import Any, Final

from host_proxy.client.api import Caller
from protocol import canonical_json
from protocol.base64url import encode_b64u
from simulator.authenticator import SoftwarePasskey

_SERVICE: Final = "/rpc/GuardReview/"
_DECISION_FORMAT: Final = "chancery/guard-review-decision/1"


class ReviewDesk:
    """One reviewer's session. `caller` has to seal; `origin` is that of the page in the rules."""

    def __init__(self, caller: Caller, passkey: SoftwarePasskey, origin: str) -> None:
        self._caller = caller
        self._passkey = passkey
        self._origin = origin
        challenge = self._ask("Challenge")["challenge"]
        opened = self._ask("OpenSession", challenge=challenge, assertion=passkey.assertion(challenge, origin))
        self._session: str = opened["session"]

    def queue(self) -> list[dict[str, Any]]:
        """What waits, and what has ended; the newest first."""
        reviews: list[dict[str, Any]] = self._ask("Queue", session=self._session)["reviews"]
        return reviews

    def read(self, id_: str) -> dict[str, Any]:
        """One held request."""
        return self._ask("Get", session=self._session, id=id_)

    def decide(self, id_: str, decision: str) -> str:
        """`approve` or `refuse` it as it is read now; the state after that."""
        told = {
            "decision": decision,
            "format": _DECISION_FORMAT,
            "statement": hashlib.sha256(self.read(id_)["statement"].encode()).hexdigest(),
        }
        digest = hashlib.sha256(canonical_json.canonicalize(told)).digest()
        challenge = encode_b64u(digest)
        assertion = self._passkey.assertion(challenge, self._origin)
        state: str = self._ask("Decide", id=id_, decision=decision, assertion=assertion)["state"]
        return state

    def _ask(self, method: str, **members: str) -> dict[str, Any]:
        return self._caller.post(_SERVICE + method, members).body
