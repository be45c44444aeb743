"""Recovery codes: ten for a wallet, each good for once, of 50 bits, which nobody guesses.

Neither codes nor hashes are stored. The codes of a set are derived from the deployment's record secret and a random
name of the set; what is kept is that name and which of them were used. So the published `RecoveryCodes` can show them
again to whoever proves to be the user, and a record alone says nothing about them (ADR 0063).
"""

import hmac
from collections.abc import Callable
from typing import Final

import msgspec

from enclave import sealing
from enclave.login.otp import generate_long_code
from enclave.secret import Secret
from evm.address import Address

COUNT: Final = 10
_NAME_BYTES: Final = 16


class CodeSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The random name of a set, and which of its codes were used: bit i for code i."""

    name: bytes
    used: int = 0

    def is_used(self, index: int) -> bool:
        """Whether this code was used."""
        return bool(self.used >> index & 1)

    def with_used(self, index: int) -> "CodeSet":
        """With one more code used."""
        return CodeSet(self.name, self.used | 1 << index)


class RecoveryCodes:
    """Makes sets and finds their codes."""

    def __init__(self, root: Secret, deployment: str, random: Callable[[int], bytes]) -> None:
        """`root` is the deployment's record secret."""
        self._key = sealing.derive(root, "chancery/guard-recovery-codes/1", deployment)
        self._random = random

    def new_set(self) -> CodeSet:
        """A set of which nothing is used."""
        return CodeSet(self._random(_NAME_BYTES))

    def codes(self, wallet: Address, kept: CodeSet) -> list[str]:
        """All codes of a set, used ones included."""
        return [self._code(wallet, kept, index) for index in range(COUNT)]

    def find(self, wallet: Address, kept: CodeSet, code: str) -> int | None:
        """Which unused code of the set this is, or None. All are compared, in constant time."""
        found = None
        for index, known in enumerate(self.codes(wallet, kept)):
            if is_same_code(known, code) and not kept.is_used(index):
                found = index
        return found

    def _code(self, wallet: Address, kept: CodeSet, index: int) -> str:
        drawn = sealing.keyed_hash(self._key, wallet, kept.name, index)
        return generate_long_code(lambda size: drawn[:size])


def is_same_code(known: str, typed: str) -> bool:
    """Whether somebody has typed a code of letters and digits, however they did; compared in constant time."""
    plain = (text.strip().replace("-", "").upper().encode("utf-8", "surrogatepass") for text in (known, typed))
    return hmac.compare_digest(*plain)
