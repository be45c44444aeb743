"""Challenges that are about one thing, told apart from forgeries by a key of this deployment, and good for once.

What a challenge is about (a wallet and the digest that it signs, or an address that is enrolled) is not in it: it holds
for exactly that, so what was shown for one request is worth nothing for another. Any worker can verify what another has
issued; used ones are written down, durably, before their effect, and none from before this boot counts (RB-03).
"""

import hmac
from collections.abc import Callable
from typing import Final

from enclave import sealing
from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.guard.limits import MAX_FACTOR_CHALLENGE_CHARS
from enclave.login.otp import generate_long_code
from enclave.records import Conflict, Records
from enclave.secret import Secret
from protocol import guard_errors
from protocol.base64url import decode_b64u, encode_b64u
from protocol.services import SPENT_TABLE

CHALLENGE_S: Final = 300
_MAC_BYTES: Final = 32
_TIME_BYTES: Final = 8
_NONCE_BYTES: Final = 16


class Challenges:
    """Issues them, derives codes from them, and uses them up."""

    def __init__(
        self, root: Secret, deployment: str, records: Records, clock: TrustedClock, random: Callable[[int], bytes]
    ) -> None:
        """`root` is the deployment's record secret."""
        self._key = sealing.derive(root, "chancery/guard-challenge/1", deployment)
        self._records = records
        self._clock = clock
        self._random = random
        self._boot_ms = clock.now_ms()

    def issue(self, kind: str, *about: bytes) -> str:
        """A challenge in base64url, for five minutes."""
        told = self._clock.now_ms().to_bytes(_TIME_BYTES, "big") + self._random(_NONCE_BYTES)
        return encode_b64u(self._mac(kind, told, *about) + told)

    def code(self, challenge: str) -> str:
        """The code that goes with a challenge: ten letters and digits, which nobody guesses or derives elsewhere."""
        drawn = sealing.keyed_hash(self._key, "code", challenge)
        return generate_long_code(lambda size: drawn[:size])

    async def use_up(self, challenge: str, kind: str, *about: bytes) -> None:
        """Return once `challenge` was issued for this, is alive, and is used from now on. `Refusal` UNAUTHORIZED."""
        issued = decode_b64u(challenge) if len(challenge) <= MAX_FACTOR_CHALLENGE_CHARS else None
        told = b"" if issued is None else issued[_MAC_BYTES:]
        if issued is None or not hmac.compare_digest(issued[:_MAC_BYTES], self._mac(kind, told, *about)):
            raise _refusal("")
        issued_ms = int.from_bytes(told[:_TIME_BYTES], "big")
        if issued_ms < self._boot_ms or self._clock.now_ms() - issued_ms > CHALLENGE_S * 1000:
            raise _refusal("-time")
        try:
            key = self._records.key(SPENT_TABLE, "guard-challenge", challenge)
            await self._records.save(self._records.change(key, 0, self._clock.now_s()))
        except Conflict:
            raise _refusal("-used") from None

    def _mac(self, kind: str, told: bytes, *about: bytes) -> bytes:
        return sealing.keyed_hash(self._key, "challenge", kind, told, *about)


def _refusal(what: str) -> Refusal:
    return Refusal(guard_errors.UNAUTHORIZED, f"guard:challenge{what}")
