"""PINs: kept as a memory-hard hash, so that whoever learns the hash still has to guess at a price (RFC 7914).

They can be guessed all the same; what stands in the way is the count of attempts.
"""

import asyncio
import hmac
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from enclave.errors import Refusal
from enclave.guard.limits import MAX_PIN_CHARS
from protocol import guard_errors

MIN_PIN_CHARS: Final = 6  # NIST SP 800-63B section 5.1.1.1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_COST, _BLOCK, _PARALLEL = 2**15, 8, 1  # 32 MiB, one to three tenths of a second


class HashedPin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Salt and hash."""

    salt: bytes
    hash: bytes

    def __repr__(self) -> str:
        return "HashedPin(<redacted>)"


class Pins:
    """Hashes and compares PINs, beside the event loop and never two at once: memory is bounded."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._one_at_a_time = asyncio.Semaphore(1)

    async def hash(self, pin: str) -> HashedPin:
        """What is kept of a PIN. `Refusal` INVALID_ARGUMENT for one that is too short, too long or not printable."""
        if not (MIN_PIN_CHARS <= len(pin) <= MAX_PIN_CHARS and pin.isprintable()):
            raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:pin")
        salt = self._random(_SALT_BYTES)
        return HashedPin(salt, await self._derive(salt, pin))

    async def is_right(self, kept: HashedPin, pin: str) -> bool:
        """Whether this is the PIN. The attempt has been counted."""
        return len(pin) <= MAX_PIN_CHARS and hmac.compare_digest(kept.hash, await self._derive(kept.salt, pin))

    async def _derive(self, salt: bytes, pin: str) -> bytes:
        scrypt = Scrypt(salt, _HASH_BYTES, _COST, _BLOCK, _PARALLEL)
        async with self._one_at_a_time:
            return await asyncio.to_thread(scrypt.derive, pin.encode("utf-8", "surrogatepass"))
