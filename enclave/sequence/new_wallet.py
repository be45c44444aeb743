"""The plan of a new wallet: the scope's measured template, filled with the keys of one login."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from enclave.config import WalletTemplate
from enclave.sequence.plan import WalletPlan
from enclave.sequence.rules import validate_plan
from evm.address import Address, parse_address
from evm.wallet.context import parse_context
from evm.wallet.default_wallet import Guard
from evm.wallet.errors import WalletError, require
from evm.wallet.passkeys.public_key import PasskeyPublicKey, parse_public_key
from evm.wallet.recovery.tree import RecoveryLeaf, flat
from evm.wallet.sessions.configuration import new_tree

T = TypeVar("T")
_CODE: Final = "wallet-create"


@dataclass(frozen=True, slots=True)
class NewSigners:
    """What a user brings along: the device's key (if it has one of this curve), a passkey, a recovery key."""

    device: Address | None
    passkey: PasskeyPublicKey | None
    own_recovery: Address | None


def parse_new_signers(params: dict[str, Any], auth_address: str | None) -> NewSigners:
    """From the members `device`, `passkey` and `recovery`; the device's key is the auth key where that is one.

    `auth_address` is the auth key's address if its curve is that of accounts.
    """
    device, passkey, own = (params.get(name) for name in ("device", "passkey", "recovery"))
    return NewSigners(
        device=_optional(parse_address, auth_address if device is None else device),
        passkey=_optional(parse_public_key, passkey),
        own_recovery=_optional(parse_address, own),
    )


def new_plan(template: WalletTemplate, identity: Address, signers: NewSigners) -> WalletPlan:
    """The first configuration. `WalletError` where the template asks for a key that nobody brought."""
    devices = () if signers.device is None else (signers.device,)
    plan = WalletPlan(
        context=parse_context(template.context),
        identity=identity,
        devices=devices,
        passkeys=() if signers.passkey is None else (signers.passkey,),
        guard=guard_of(template),
        sessions=new_tree([identity, *devices]),
        recovery=flat(_recovery_leaves(template, identity, signers)),
    )
    validate_plan(plan)
    return plan


def guard_of(template: WalletTemplate) -> Guard | None:
    """The guard's addresses in the template."""
    if template.guard is None:
        return None
    keys = template.guard
    return Guard(*map(parse_address, (keys.wallet, keys.sessions, keys.fallback)))


def device_delay_s(template: WalletTemplate) -> int | None:
    """How long a device has to wait to recover a wallet; None where devices may not."""
    return next((entry.delay_s for entry in template.recovery if entry.key == "device"), None)


def _recovery_leaves(template: WalletTemplate, identity: Address, signers: NewSigners) -> list[RecoveryLeaf]:
    known = {"device": signers.device, "identity": identity, "own": signers.own_recovery}
    found = []
    for entry in template.recovery:
        address = known[entry.key] if entry.key in known else parse_address(entry.key)
        if address is None:
            raise WalletError(f"{_CODE}-recovery-{entry.key}")
        found.append(RecoveryLeaf(address, entry.delay_s))
    require(signers.own_recovery is None or "own" in {entry.key for entry in template.recovery}, f"{_CODE}-recovery")
    return found


def _optional(parse: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else parse(value)
