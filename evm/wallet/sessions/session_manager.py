"""Whether a session signature allows a payload: the contract's `SessionManager.sol`, check by check, in its order.

What holds here holds on the chain that `ChainState` describes. The other way round it is stricter where the contracts
read bytes that nobody gave (`permission_validator.py`) and for trees that no client writes (`configuration.py`).
"""

from dataclasses import dataclass
from typing import Final

from evm.address import Address
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import BehaviorOnError, Call, CallsPayload, Payload
from evm.wallet.sessions.chain_state import ChainState
from evm.wallet.sessions.explicit import validate_explicit_call, validate_limit_usage_increment
from evm.wallet.sessions.implicit import ImplicitRequest, validate_implicit_call
from evm.wallet.sessions.session_sig import (
    RecoveredCall,
    RecoveredSignature,
    SessionSignature,
    parse_session_signature,
    recover_session_signature,
)
from evm.wallet.sessions.usage_limits import UsageLimit, UsageTracker

MAX_SPACE: Final = 2**80 - 2
"""The contract's; the client library takes one more."""

_CODE: Final = "wallet-session"


@dataclass(frozen=True, slots=True)
class VerifiedSession:
    """A payload that its session signature allows. Only `verify_session` makes one.

    The wallet's configuration must hold `image_hash` at the session contract. `open_requests` are the targets whose
    answer was not at hand; the signature is good once each took its request. `totals` is what the payload writes down.
    """

    image_hash: bytes
    identity_signer: Address
    signers: tuple[Address, ...]
    open_requests: tuple[ImplicitRequest, ...]
    totals: tuple[UsageLimit, ...]


@dataclass(frozen=True, slots=True)
class SessionManager:
    """The session contract at one time, as the module behind a sapient leaf of wallets."""

    state: ChainState

    def recover(self, operation: Operation, data: bytes, /) -> bytes:
        """`recoverSapientSignature`: the image hash of the session tree. Refuses while a target's answer is unknown."""
        verified = verify_session(parse_session_signature(data), operation, self.state)
        require(not verified.open_requests, f"{_CODE}-implicit-result-unknown")
        return verified.image_hash


def verify_session(signature: SessionSignature, operation: Operation, state: ChainState) -> VerifiedSession:
    """The session that allows `operation`; `WalletError` with the contract's reason otherwise."""
    require(operation.chain_id == state.chain_id, f"{_CODE}-state")
    calls = validate_payload(operation.payload)
    found = recover_session_signature(signature, operation)
    tracker = UsageTracker(state.usage)
    open_requests = []
    for index, (call, by) in enumerate(zip(calls.calls, found.calls, strict=True)):
        _validate_call(call, operation.wallet)
        request = _validate_by_kind(call, index, by, operation.wallet, found, state, tracker)
        if request is not None:
            open_requests.append(request)
    validate_limit_usage_increment(calls.calls[0], state, tracker)
    signers = tuple([by.signer for by in found.calls])
    return VerifiedSession(found.image_hash, found.identity_signer, signers, tuple(open_requests), tracker.totals)


def validate_payload(payload: Payload) -> CallsPayload:
    """`payload` as calls that a session can make at all."""
    if not isinstance(payload, CallsPayload):
        raise WalletError(f"{_CODE}-payload-kind", "InvalidPayloadKind")
    require(payload.space <= MAX_SPACE, f"{_CODE}-space", "InvalidSpace")
    require(bool(payload.calls), f"{_CODE}-no-calls", "InvalidCallsLength")
    return payload


def _validate_call(call: Call, wallet: Address) -> None:
    """What no session may do, whatever its permissions say. An abort would leave out calls that limits count on."""
    require(not call.delegate_call, f"{_CODE}-delegate-call", "InvalidDelegateCall")
    require(call.to != wallet, f"{_CODE}-self-call", "InvalidSelfCall")
    require(call.behavior_on_error is not BehaviorOnError.ABORT, f"{_CODE}-behavior", "InvalidBehavior")


def _validate_by_kind(
    call: Call,
    index: int,
    by: RecoveredCall,
    wallet: Address,
    found: RecoveredSignature,
    state: ChainState,
    tracker: UsageTracker,
) -> ImplicitRequest | None:
    """The question to the target that is still open, if there is one."""
    if by.attestation is None:
        validate_explicit_call(call, index, by.signer, by.permission_index, found.sessions, state, tracker)
        return None
    request = ImplicitRequest(index, wallet, by.attestation, call)
    validate_implicit_call(request, by.signer, found.blacklist)
    if index not in state.implicit_results:
        return request
    request.validate_result(state.implicit_results[index])
    return None
