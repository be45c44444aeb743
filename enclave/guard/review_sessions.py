"""Challenges and short sessions of reviewers: told apart from forgeries by a key of this deployment, kept nowhere.

A session lets its holder read what is held, nothing else: every decision needs an assertion of its own.
"""

import hmac
from collections.abc import Callable
from typing import Final

from enclave import sealing
from enclave.errors import Refusal
from enclave.guard.limits import MAX_REVIEW_CHALLENGE_S, MAX_REVIEW_SESSION_CHARS, MAX_REVIEW_SESSION_S
from enclave.guard.reviewers import Panel, Reviewer
from enclave.secret import Secret
from protocol import guard_errors
from protocol.base64url import decode_b64u, encode_b64u

_MAC_BYTES: Final = 32
_TIME_BYTES: Final = 8
_NONCE_BYTES: Final = 16


class ReviewSessions:
    """Issues and verifies them; any worker can verify what another has issued."""

    def __init__(self, root: Secret, deployment: str, now_s: Callable[[], int], random: Callable[[int], bytes]) -> None:
        """`root` is the deployment's record secret; `now_s` is trusted time in seconds."""
        self._key = sealing.derive(root, "chancery/guard-review-session/1", deployment)
        self._now_s = now_s
        self._random = random

    def challenge(self) -> str:
        """What a reviewer's passkey signs to open a session, in base64url."""
        return self._issue("challenge", self._random(_NONCE_BYTES), self._now_s() + MAX_REVIEW_CHALLENGE_S)

    def verify_challenge(self, challenge: str) -> None:
        """Return if `challenge` was issued here and lives. `Refusal` UNAUTHORIZED."""
        self._verify("challenge", challenge)

    def open(self, reviewer: Reviewer) -> tuple[str, int]:
        """A session of a verified reviewer, and when it ends in Unix seconds."""
        expires_s = self._now_s() + MAX_REVIEW_SESSION_S
        return self._issue("session", reviewer.credential, expires_s), expires_s

    def verify(self, session: str, panel: Panel) -> Reviewer:
        """Whose session it is. `Refusal` UNAUTHORIZED unless it lives and they are on the panel now."""
        reviewer = panel.reviewers.get(self._verify("session", session))
        if reviewer is None:
            raise Refusal(guard_errors.UNAUTHORIZED, "guard:review-session")
        return reviewer

    def _issue(self, purpose: str, subject: bytes, expires_s: int) -> str:
        told = expires_s.to_bytes(_TIME_BYTES, "big") + subject
        return encode_b64u(sealing.keyed_hash(self._key, purpose, told) + told)

    def _verify(self, purpose: str, text: str) -> bytes:
        wrong = Refusal(guard_errors.UNAUTHORIZED, f"guard:review-{purpose}")
        issued = decode_b64u(text) if len(text) <= MAX_REVIEW_SESSION_CHARS else None
        if issued is None:
            raise wrong
        mac, told = issued[:_MAC_BYTES], issued[_MAC_BYTES:]
        if not hmac.compare_digest(mac, sealing.keyed_hash(self._key, purpose, told)):
            raise wrong
        if self._now_s() >= int.from_bytes(told[:_TIME_BYTES], "big"):
            raise Refusal(guard_errors.SESSION_EXPIRED, f"guard:review-{purpose}")
        return told[_TIME_BYTES:]
