"""Steps from one plan to the next: add, remove or rotate a signer, change recovery, follow the scope's guard.

One step, one checkpoint. A key that leaves takes with it whatever it could do: sign, attest sessions, recover.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from enclave.config import WalletTemplate
from enclave.sequence.new_wallet import device_delay_s, guard_of
from enclave.sequence.plan import WalletPlan
from evm.address import Address, parse_address
from evm.fields import UINT64_MAX, hex_word, items, members
from evm.wallet.errors import WalletError, require
from evm.wallet.passkeys.public_key import parse_public_key
from evm.wallet.recovery.tree import MAX_DELTA_TIME_S, RecoveryLeaf, flat
from evm.wallet.sessions.configuration import (
    Blacklist,
    IdentitySigner,
    add,
    explicit_signers,
    identity_signers,
    leaves,
    remove_identity_signer,
    remove_session,
    with_blacklist,
)
from evm.wallet.sessions.permission import SessionPermissions
from evm.wallet.values import parse_decimal
from protocol import limits

_CODE: Final = "wallet-change"


@dataclass(frozen=True, slots=True)
class Around:
    """What a step may depend on beside the plan: the scope's measured template, and the time (Unix, seconds)."""

    template: WalletTemplate
    now_s: int


Step = Callable[[WalletPlan, dict[str, Any], Around], WalletPlan]


def changed(plan: WalletPlan, change: object, around: Around) -> WalletPlan:
    """The plan after the step that `change` names; its checkpoint is still the old one. `EvmError` otherwise."""
    kind = change.get("type") if isinstance(change, dict) else None
    if not isinstance(kind, str) or kind not in _STEPS:
        raise WalletError(f"{_CODE}-type")
    fields, step = _STEPS[kind]
    return step(plan, members(change, required=("type", *fields), code=_CODE), around)


def with_session(plan: WalletPlan, session: SessionPermissions, *, wallet: Address, now_s: int) -> WalletPlan:
    """The plan with one explicit session more. Refuses what the session contract never allows, and what has no end."""
    targets = {permission.target for permission in session.permissions}
    require(bool(targets), "wallet-session-permission-missing", "MissingPermission")
    require(wallet not in targets, "wallet-session-self-call", "InvalidSelfCall")
    # Who calls the session module writes down what was used, and that needs no permission.
    require(plan.extensions.sessions not in targets, "wallet-session-module-call", "InvalidLimitUsageIncrement")
    require(session.deadline > now_s, "wallet-session-expired", "SessionExpired")
    require(session.signer not in (plan.identity, *plan.devices), "wallet-session-signer")
    return replace(plan, sessions=add(plan.sessions, session))


def without_session(plan: WalletPlan, signer: Address) -> WalletPlan:
    """The plan without the explicit session of `signer`; if it has none, `signer` is barred from implicit ones."""
    if signer in explicit_signers(plan.sessions):
        return replace(plan, sessions=remove_session(plan.sessions, signer))
    barred = barred_signers(plan)
    require(signer not in barred, "wallet-session-signer-blacklisted", "BlacklistedAddress")
    return replace(plan, sessions=with_blacklist(plan.sessions, {*barred, signer}))


def barred_signers(plan: WalletPlan) -> tuple[Address, ...]:
    """Whom no implicit session may be or call."""
    return next((leaf.addresses for leaf in leaves(plan.sessions) if isinstance(leaf, Blacklist)), ())


def _add_device(plan: WalletPlan, found: dict[str, Any], around: Around) -> WalletPlan:
    device = parse_address(found["address"])
    require(device not in (plan.identity, *plan.devices), f"{_CODE}-signer-twice")
    delay_s = device_delay_s(around.template)
    keys = [*plan.recovery_keys, *([] if delay_s is None else [RecoveryLeaf(device, delay_s)])]
    sessions = add(plan.sessions, IdentitySigner(device))
    return replace(plan, devices=(*plan.devices, device), sessions=sessions, recovery=flat(keys))


def _remove_device(plan: WalletPlan, found: dict[str, Any], _around: Around) -> WalletPlan:
    device = _device(plan, found["address"])
    keys = [key for key in plan.recovery_keys if key.signer != device]
    require(bool(keys), "wallet-plan-unrecoverable")
    sessions = plan.sessions
    if device in identity_signers(sessions):
        sessions = remove_identity_signer(sessions, device)
    devices = tuple(known for known in plan.devices if known != device)
    return replace(plan, devices=devices, sessions=sessions, recovery=flat(keys))


def _rotate_device(plan: WalletPlan, found: dict[str, Any], _around: Around) -> WalletPlan:
    old, new = _device(plan, found["from"]), parse_address(found["to"])
    require(new not in (plan.identity, *plan.devices), f"{_CODE}-signer-twice")
    keys = [RecoveryLeaf(new, key.required_delta_s) if key.signer == old else key for key in plan.recovery_keys]
    sessions = plan.sessions
    if old in identity_signers(sessions):
        sessions = add(remove_identity_signer(sessions, old), IdentitySigner(new))
    devices = tuple(new if known == old else known for known in plan.devices)
    return replace(plan, devices=devices, sessions=sessions, recovery=flat(keys))


def _add_passkey(plan: WalletPlan, found: dict[str, Any], _around: Around) -> WalletPlan:
    return replace(plan, passkeys=(*plan.passkeys, parse_public_key(found["passkey"])))


def _remove_passkey(plan: WalletPlan, found: dict[str, Any], _around: Around) -> WalletPlan:
    root = hex_word(found["root"], _CODE)
    kept = tuple(passkey for passkey in plan.passkeys if passkey.root != root)
    require(len(kept) < len(plan.passkeys), f"{_CODE}-signer-unknown")
    return replace(plan, passkeys=kept)


def _set_recovery(plan: WalletPlan, found: dict[str, Any], _around: Around) -> WalletPlan:
    listed = items(found["keys"], most=limits.MAX_WALLET_RECOVERY_KEYS, code=_CODE)
    require(bool(listed), "wallet-plan-unrecoverable")
    return replace(plan, recovery=flat(list(map(_recovery_leaf, listed))))


def _void_queued(plan: WalletPlan, _found: dict[str, Any], around: Around) -> WalletPlan:
    """What was queued until now never counts; keys and delays stay."""
    keys = [replace(key, min_timestamp_s=max(key.min_timestamp_s, around.now_s)) for key in plan.recovery_keys]
    return replace(plan, recovery=flat(keys))


def _adopt_guard(plan: WalletPlan, _found: dict[str, Any], around: Around) -> WalletPlan:
    """The guard that the scope's measured template names now."""
    return replace(plan, guard=guard_of(around.template))


def _recovery_leaf(value: object) -> RecoveryLeaf:
    found = members(value, required=("address", "delay"), optional=("notBefore",), code=_CODE)
    return RecoveryLeaf(
        parse_address(found["address"]),
        parse_decimal(found["delay"], _CODE, most=MAX_DELTA_TIME_S),
        parse_decimal(found.get("notBefore", 0), _CODE, most=UINT64_MAX),
    )


def _device(plan: WalletPlan, value: object) -> Address:
    address = parse_address(value)
    require(address != plan.identity, "wallet-plan-identity")
    require(address in plan.devices, f"{_CODE}-signer-unknown")
    return address


_STEPS: Final[Mapping[str, tuple[tuple[str, ...], Step]]] = {
    "add-device": (("address",), _add_device),
    "remove-device": (("address",), _remove_device),
    "rotate-device": (("from", "to"), _rotate_device),
    "add-passkey": (("passkey",), _add_passkey),
    "remove-passkey": (("root",), _remove_passkey),
    "set-recovery": (("keys",), _set_recovery),
    "void-queued": ((), _void_queued),
    "adopt-guard": ((), _adopt_guard),
}
