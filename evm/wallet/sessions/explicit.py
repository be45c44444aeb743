"""Calls of explicit sessions: the contract's `ExplicitSessionManager.sol`, check by check and in its order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evm.address import Address
from evm.fields import UINT256_MAX
from evm.wallet.errors import WalletError, require
from evm.wallet.payload import BehaviorOnError, Call
from evm.wallet.sessions.chain_state import ChainState
from evm.wallet.sessions.permission import SessionPermissions
from evm.wallet.sessions.permission_validator import validate_permission
from evm.wallet.sessions.usage_limits import UsageTracker, encode_increment

_CODE: Final = "wallet-session"
_INCREMENT: Final = "InvalidLimitUsageIncrement"


def validate_explicit_call(
    call: Call,
    index: int,
    signer: Address,
    permission_index: int,
    sessions: Sequence[SessionPermissions],
    state: ChainState,
    tracker: UsageTracker,
) -> None:
    """`WalletError` unless the key `signer` may make this call, number `index` of its payload; counts what it uses."""
    session = _session_of(signer, sessions)
    require(session.chain_id in (0, state.chain_id), f"{_CODE}-chain-id", "InvalidChainId")
    require(session.deadline == 0 or state.timestamp_s <= session.deadline, f"{_CODE}-expired", "SessionExpired")
    usage = tracker.of(signer)
    require(not call.delegate_call, f"{_CODE}-delegate-call", "InvalidDelegateCall")
    if call.to == state.session_manager:  # the increment call, for which no permission is needed
        require(index == 0, f"{_CODE}-increment-not-first", _INCREMENT)
        require(call.value == 0, f"{_CODE}-value", "InvalidValue")
        return
    require(permission_index < len(session.permissions), f"{_CODE}-permission-missing", "MissingPermission")
    validate_permission(session, permission_index, call, usage, tracker)
    usage.value += call.value
    require(usage.value <= UINT256_MAX, f"{_CODE}-usage-overflow", "Panic")
    require(usage.value <= session.value_limit, f"{_CODE}-value-limit", "InvalidValue")


def validate_limit_usage_increment(first: Call, state: ChainState, tracker: UsageTracker) -> None:
    """`WalletError` unless the payload's first call writes down exactly what was used, and cannot be skipped.

    Where no limit applies, no call may go to the session contract.
    """
    totals = tracker.totals
    if not totals:
        require(first.to != state.session_manager, f"{_CODE}-increment-unneeded", _INCREMENT)
        return
    certain = first.behavior_on_error is BehaviorOnError.REVERT and not first.only_fallback
    require(first.to == state.session_manager and certain, f"{_CODE}-increment-missing", _INCREMENT)
    require(first.data == encode_increment(totals), f"{_CODE}-increment-totals", _INCREMENT)


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that the key of `session` is to sign under one of its permissions."""

    call: Call
    session: SessionPermissions
    permission_index: int


def increment_call(planned: Sequence[PlannedCall], signer: Address, state: ChainState) -> Call | None:
    """The call with which a payload of these calls has to begin, signed by `signer`; None where no limit applies.

    Raises what the session contract would raise for the calls. `signer` is one of the keys.
    """
    sessions = {each.session.signer: each.session for each in planned}
    require(signer in sessions, f"{_CODE}-increment-signer")
    require(all(sessions[each.session.signer] == each.session for each in planned), f"{_CODE}-signer-twice")
    tracker = UsageTracker(state.usage)
    tracker.of(signer)
    for index, each in enumerate(planned, start=1):
        key = each.session.signer
        validate_explicit_call(each.call, index, key, each.permission_index, [sessions[key]], state, tracker)
    totals = tracker.totals
    return Call(state.session_manager, data=encode_increment(totals)) if totals else None


def _session_of(signer: Address, sessions: Sequence[SessionPermissions]) -> SessionPermissions:
    """The first session of the key: the contract looks no further."""
    for session in sessions:
        if session.signer == signer:
            return session
    raise WalletError(f"{_CODE}-signer", "InvalidSessionSigner")
