"""Whether a call meets a permission: the contract's `PermissionValidator.sol`.

A rule sees 32 bytes of call data at its offset, under its mask. Beyond the end of the data the contract reads whatever
the transaction holds there, and client libraries read zeros; a rule whose mask reaches there is not met here.
"""

from typing import Final

from evm.wallet.errors import WalletError, require
from evm.wallet.payload import Call
from evm.wallet.sessions.permission import ParameterRule, SessionPermissions
from evm.wallet.sessions.usage_limits import SessionUsage, UsageTracker

_CODE: Final = "wallet-session-permission"
_REASON: Final = "InvalidPermission"
_WORD: Final = 32


def validate_permission(
    session: SessionPermissions, permission_index: int, call: Call, usage: SessionUsage, tracker: UsageTracker
) -> None:
    """`WalletError` unless the call goes to the target and meets every rule; counts what cumulative rules use up."""
    permission = session.permissions[permission_index]
    require(call.to == permission.target, f"{_CODE}-target", _REASON)
    for index, rule in enumerate(permission.rules):
        found = masked_parameter(rule, call.data)
        if rule.cumulative:
            found = tracker.add(usage, usage.hash_of(session, permission_index, index), found)
        require(rule.operation.holds(found, rule.value), f"{_CODE}-rule", _REASON)


def masked_parameter(rule: ParameterRule, data: bytes) -> int:
    """The parameter that the rule looks at; `WalletError` when its mask reaches past the end of `data`."""
    needed = _WORD - _trailing_zero_bytes(rule.mask)
    if not needed:
        return 0
    if rule.offset + needed > len(data):
        raise WalletError(f"{_CODE}-past-data", _REASON)
    found = data[rule.offset : rule.offset + _WORD].ljust(_WORD, b"\0")
    return int.from_bytes(found, "big") & rule.mask


def _trailing_zero_bytes(mask: int) -> int:
    """How many bytes at the end of the mask let nothing through."""
    return ((mask & -mask).bit_length() - 1) // 8 if mask else _WORD
