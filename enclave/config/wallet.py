"""The wallet template of a scope: what every Sequence v3 wallet that is made there begins with.

It is measured, so whoever verifies an image knows who may guard and who may recover the wallets made by it.
"""

import re
from typing import Annotated, Final, Literal

import msgspec

from enclave.config.fields import Measured
from enclave.errors import BootError
from protocol import limits

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_MAX_DELAY_S: Final = 2**24 - 1  # what a recovery leaf holds
_PARTIES: Final = ("device", "identity", "own")


class GuardKeys(Measured, frozen=True, kw_only=True):
    """The guard's addresses: for the wallet's operations, for its sessions, and one that may stand in for either.

    Whoever guards weighs 1 of the 2 that are needed, as in every wallet of the wallet kit.
    """

    wallet: str
    sessions: str
    fallback: str


class RecoveryKey(Measured, frozen=True, kw_only=True):
    """Who may recover a wallet alone, and how long after saying so in public.

    `key` is "device" (the device's key), "identity" (the enclave's key for this login, without the guard), "own" (an
    address that the user names) or an address.
    """

    key: str
    delay_s: Annotated[int, msgspec.Meta(ge=limits.MIN_RECOVERY_DELAY_S, le=_MAX_DELAY_S)]


class WalletTemplate(Measured, frozen=True, kw_only=True):
    """Contracts, guard and recovery of new wallets. Without a guard a login alone is enough for everything."""

    context: Literal["Rc5", "Rc5_4337", "Rc4", "Rc4_4337"] = "Rc5"
    guard: GuardKeys | None = None
    recovery: Annotated[tuple[RecoveryKey, ...], msgspec.Meta(min_length=1, max_length=limits.MAX_WALLET_RECOVERY_KEYS)]


def validate_wallet_template(template: WalletTemplate, scope: str) -> None:
    """`BootError("config-wallet")` where a rule is broken that the types do not carry."""
    guard = template.guard
    addresses = [] if guard is None else [guard.wallet, guard.sessions, guard.fallback]
    keys = [entry.key for entry in template.recovery]
    addresses += [key for key in keys if key not in _PARTIES]
    named = all(_ADDRESS.match(address) and int(address, 16) for address in addresses)
    if not named or len({key.lower() for key in keys}) != len(keys):
        raise BootError("config-wallet", scope)
