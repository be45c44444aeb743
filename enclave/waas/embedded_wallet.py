"""A user's wallet of either generation, as signing needs it."""

from dataclasses import dataclass
from typing import Protocol

from evm.address import Address
from evm.intents.shown_wallet import ShownWallet
from evm.intents.signable import Signable
from evm.intents.user_wallet import UserWallet
from protocol.relaying import Relayed


@dataclass(frozen=True, slots=True)
class Whole:
    """A complete signature, by the contracts' own rules, in the forms in which it is used.

    `message` is for those who verify messages, also before the wallet is deployed (ERC-6492); `relayed` are calls.
    """

    message: bytes
    relayed: Relayed | None = None


class EmbeddedWallet(Protocol):
    """Whose key signs for it beside the guard is known to those who sign (`signs`)."""

    @property
    def address(self) -> Address:
        """Where it is, or will be, on every chain."""
        ...

    @property
    def meant(self) -> UserWallet:
        """The wallet for which intents are understood."""
        ...

    @property
    def guard(self) -> Address | None:
        """Who has to sign second; None where nobody has to."""
        ...

    @property
    def shown(self) -> ShownWallet:
        """What a guard is shown of it."""
        ...

    def prepare(self, found: Signable) -> None:
        """Refuse what the contracts would refuse, before anything is signed; `EvmError`."""
        ...

    def unsigned(self, found: Signable) -> Relayed:
        """Calls without a signature, for those who say what carrying them out costs."""
        ...

    def complete(self, found: Signable, own: bytes, guards: bytes | None) -> Whole:
        """The wallet's signature, of the enclave's and the guard's (65 bytes each); `EvmError` unless it is whole."""
        ...
