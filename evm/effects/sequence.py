"""Calls of Sequence wallets and their modules: bundles inside bundles, recovery, usage limits of sessions."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from evm.address import Address
from evm.effects.call import Call, reads, require_at
from evm.effects.model import Effect, Kind, Reason
from evm.effects.nesting import delegate_call
from evm.effects.user_operations import ENTRY_POINTS
from evm.errors import EvmError
from evm.wallet.context import EXTENSIONS
from evm.wallet.packed_calls import parse_packed_calls
from evm.wallet.payload import BehaviorOnError, PayloadKind
from evm.wallet.payload import Call as WalletCall

LegacyCall: TypeAlias = tuple[bool, bool, int, Address, int, bytes]
"""Delegate call, revert on error, gas limit, target, value, data."""

_SESSION_MANAGERS = tuple({modules.sessions for modules in EXTENSIONS.values()})
_RECOVERY_MODULES = tuple({modules.recovery for modules in EXTENSIONS.values()})
_CALL = "(address,uint256,bytes,uint256,bool,bool,uint256)"
_DECODED_PAYLOAD = f"(uint8,bool,{_CALL}[],uint256,uint256,bytes,bytes32,bytes32,address[])"


def wallet_calls(call: Call, wallet: Address, calls: Iterable[WalletCall]) -> list[Effect]:
    """What the calls of a v3 payload do. One whose failure is passed over, or that waits for one, is conditional."""
    effects: list[Effect] = []
    for inner in calls:
        may_not = inner.only_fallback or inner.behavior_on_error is not BehaviorOnError.REVERT or inner.gas_limit != 0
        branch = replace(call, conditional=call.conditional or may_not)
        if inner.delegate_call:
            effects.append(delegate_call(branch, wallet, inner.to, inner.data))
        else:
            effects += branch.inner(inner.to, inner.value, inner.data, sender=wallet)
    return effects


@reads("execute(bytes,bytes)")
def _execute(call: Call, packed: bytes, _signature: bytes) -> Iterable[Effect]:
    return [call.nested(Kind.NESTED, wallet_calls(call, call.to, _unpack(call, packed)), account=call.to)]


@reads("selfExecute(bytes)")
def _self_execute(call: Call, packed: bytes) -> Iterable[Effect]:
    return [call.nested(Kind.NESTED, wallet_calls(call, call.to, _unpack(call, packed)), account=call.to)]


@reads("executeUserOp(bytes)")
def _execute_user_op(call: Call, packed: bytes) -> Iterable[Effect]:
    """Only an entry point may call this; from anybody else it is not what it seems."""
    if call.sender not in ENTRY_POINTS:
        raise EvmError("effects-impostor")
    return [call.nested(Kind.NESTED, wallet_calls(call, call.to, _unpack(call, packed)), account=call.to)]


def _unpack(call: Call, packed: bytes) -> tuple[WalletCall, ...]:
    return parse_packed_calls(packed, call.to).calls


def legacy_calls(call: Call, wallet: Address, calls: Sequence[LegacyCall]) -> list[Effect]:
    """What the calls of a bundle of the first two generations do."""
    effects: list[Effect] = []
    for delegate, required, gas_limit, target, value, data in calls:
        branch = replace(call, conditional=call.conditional or not required or gas_limit != 0)
        if delegate:
            effects.append(delegate_call(branch, wallet, target, data))
        else:
            effects += branch.inner(target, value, data, sender=wallet)
    return effects


@reads("execute((bool,bool,uint256,address,uint256,bytes)[],uint256,bytes)")
def _execute_legacy(call: Call, calls: Sequence[LegacyCall], _nonce: int, _signature: bytes) -> Iterable[Effect]:
    return [call.nested(Kind.NESTED, legacy_calls(call, call.to, calls), account=call.to)]


@reads("selfExecute((bool,bool,uint256,address,uint256,bytes)[])")
def _self_execute_legacy(call: Call, calls: Sequence[LegacyCall]) -> Iterable[Effect]:
    return [call.nested(Kind.NESTED, legacy_calls(call, call.to, calls), account=call.to)]


@reads("incrementUsageLimit((bytes32,uint256)[])")
def _increment(call: Call, _limits: Sequence[tuple[bytes, int]]) -> Iterable[Effect]:
    """The session manager writes down what sessions have used; nothing moves."""
    require_at(call, *_SESSION_MANAGERS)
    return [call.nested(Kind.NESTED, ())]


@reads(f"queuePayload(address,address,{_DECODED_PAYLOAD},bytes)")
def _queue(
    call: Call, wallet: Address, _signer: Address, payload: tuple[object, ...], _signature: bytes
) -> Iterable[Effect]:
    """Recovery: after its delay, anybody may let the wallet do this."""
    require_at(call, *_RECOVERY_MODULES)
    kind, calls = payload[0], payload[2]
    if kind == PayloadKind.CALLS and isinstance(calls, tuple):
        as_wallet = replace(call, signed=True, sender=wallet)
        inner = wallet_calls(as_wallet, wallet, [_call(values) for values in calls])
    else:
        inner = [call.unknown(Reason.PREIMAGE, account=wallet)]
    return [call.nested(Kind.RECOVERY, inner, account=wallet)]


def _call(values: object) -> WalletCall:
    match values:
        case (bytes(to), int(value), bytes(data), int(gas_limit), bool(delegate), bool(fallback), int(behavior)):
            if behavior > max(BehaviorOnError):
                raise EvmError("abi")
            return WalletCall(Address(to), value, data, gas_limit, delegate, fallback, BehaviorOnError(behavior))
    raise EvmError("abi")
