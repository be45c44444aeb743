"""What a chain must have stored for a payload of sessions to be right about its totals; for those who ask no chain.

A payload's first call writes down new totals. Whoever cannot read the stored ones takes them from there, less what the
payload itself uses: a signature that holds on top of these holds on the chain, or the chain has others and refuses it.
"""

from collections.abc import Sequence
from dataclasses import replace

from evm.address import Address
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import CallsPayload
from evm.wallet.sessions.chain_state import ChainState
from evm.wallet.sessions.permission import Permission, SessionPermissions
from evm.wallet.sessions.permission_validator import masked_parameter
from evm.wallet.sessions.session_sig import SessionSignature, recover_session_signature
from evm.wallet.sessions.usage_limits import INCREMENT_SELECTOR, UsageTracker, parse_increment


def implied_state(signature: SessionSignature, operation: Operation, state: ChainState) -> ChainState:
    """`state` with the usage that the payload's own totals claim; with none where it writes none down."""
    payload = operation.payload
    if not isinstance(payload, CallsPayload) or not payload.calls:
        return state
    first = payload.calls[0]
    if first.to != state.session_manager or first.data[:4] != INCREMENT_SELECTOR:
        return state
    claimed = {limit.usage_hash: limit.amount for limit in parse_increment(first.data)}
    used = {limit.usage_hash: limit.amount for limit in _used(signature, operation, state).totals}
    return replace(state, usage={hash_: max(0, total - used.get(hash_, 0)) for hash_, total in claimed.items()})


def _used(signature: SessionSignature, operation: Operation, state: ChainState) -> UsageTracker:
    """What the payload uses by itself, whether it may or not."""
    found = recover_session_signature(signature, operation)
    tracker = UsageTracker({})
    payload = operation.payload
    if isinstance(payload, CallsPayload):
        for call, by in zip(payload.calls, found.calls, strict=True):
            usage = tracker.of(by.signer)
            usage.value += call.value
            session = _session_of(by.signer, found.sessions)
            if by.attestation is not None or call.to == state.session_manager or session is None:
                continue
            for index, rule in enumerate(_permission(session, by.permission_index).rules):
                if rule.cumulative:
                    hash_ = usage.hash_of(session, by.permission_index, index)
                    tracker.add(usage, hash_, masked_parameter(rule, call.data))
    return tracker


def _session_of(signer: Address, sessions: Sequence[SessionPermissions]) -> SessionPermissions | None:
    return next((session for session in sessions if session.signer == signer), None)


def _permission(session: SessionPermissions, index: int) -> Permission:
    if index >= len(session.permissions):
        raise WalletError("wallet-session-permission-missing", "MissingPermission")
    return session.permissions[index]
