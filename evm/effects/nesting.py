"""Calls that lead to further calls: multicalls, Safe, forwarders, smart accounts.

The container is an effect of its own, for any contract can have these functions: what is inside is only what *this*
function of a trustworthy contract would do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from evm import abi
from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address
from evm.effects.call import Call, reads
from evm.effects.model import COIN, MAX_DEPTH, Effect, Kind, Reason
from evm.errors import EvmError

_CALL, _DELEGATE_CALL = 0, 1
_WORD: Final = 32
_MULTI_SEND: Final = bytes.fromhex("8d80ff0a")
_MULTI_SEND_HEAD: Final = 1 + ADDRESS_BYTES + 2 * _WORD


@reads("multicall(bytes[])", "multicall(uint256,bytes[])", "multicall(bytes32,bytes[])")
def _multicall(call: Call, *arguments: object) -> Iterable[Effect]:
    """The contract delegate-calls itself, so the sender stays; the value is there once."""
    return [call.nested(Kind.NESTED, _own_functions(call, arguments[-1]))]


@reads("batch(bytes[],bool)")
def _batch(call: Call, calls: Sequence[bytes], revert_on_fail: bool) -> Iterable[Effect]:
    branch = replace(call, conditional=call.conditional or not revert_on_fail)
    return [call.nested(Kind.NESTED, _own_functions(branch, calls))]


def _own_functions(call: Call, calls: object) -> Iterable[Effect]:
    if isinstance(calls, tuple):
        for data in calls:
            yield from call.inner(call.to, 0, data, sender=call.sender)


@reads("aggregate((address,bytes)[])", "blockAndAggregate((address,bytes)[])")
def _aggregate(call: Call, calls: Sequence[tuple[Address, bytes]]) -> Iterable[Effect]:
    """Multicall, Multicall2 and Multicall3: the inner calls come from the multicall contract."""
    return [call.nested(Kind.NESTED, [effect for to, data in calls for effect in call.inner(to, 0, data)])]


@reads("multicall(address[],bytes[])")
def _multicall_elsewhere(call: Call, targets: Sequence[Address], data: Sequence[bytes]) -> Iterable[Effect]:
    if len(targets) != len(data):
        raise EvmError("abi")
    return _aggregate(call, list(zip(targets, data, strict=True)))


@reads("tryAggregate(bool,(address,bytes)[])", "tryBlockAndAggregate(bool,(address,bytes)[])")
def _try_aggregate(call: Call, required: bool, calls: Sequence[tuple[Address, bytes]]) -> Iterable[Effect]:
    branch = replace(call, conditional=call.conditional or not required)
    return [call.nested(Kind.NESTED, [effect for to, data in calls for effect in branch.inner(to, 0, data)])]


@reads("aggregate3((address,bool,bytes)[])")
def _aggregate3(call: Call, calls: Sequence[tuple[Address, bool, bytes]]) -> Iterable[Effect]:
    return _aggregate3_value(call, [(to, may_fail, 0, data) for to, may_fail, data in calls])


@reads("aggregate3Value((address,bool,uint256,bytes)[])")
def _aggregate3_value(call: Call, calls: Sequence[tuple[Address, bool, int, bytes]]) -> Iterable[Effect]:
    effects: list[Effect] = []
    for to, may_fail, value, data in calls:
        branch = replace(call, conditional=call.conditional or may_fail)
        effects += branch.inner(to, value, data)
    return [call.nested(Kind.NESTED, effects)]


@reads("execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)")
def _safe_execute(
    call: Call,
    to: Address,
    value: int,
    data: bytes,
    operation: int,
    _gas: int,
    _base_gas: int,
    gas_price: int,
    gas_token: Address,
    receiver: Address,
    _signatures: bytes,
) -> Iterable[Effect]:
    effects = list(safe_operation(call, call.to, to, value, data, operation))
    if gas_price:
        effects.append(safe_refund(call, gas_token, receiver))
    return [call.nested(Kind.NESTED, effects)]


def safe_refund(call: Call, token: Address, receiver: Address) -> Effect:
    """The Safe pays whoever executes; how much gas that takes is not said beforehand, so it has no bound."""
    asset = COIN if token == ZERO_ADDRESS else call.asset("erc20", token=token)
    return call.unknown(Reason.CODE, account=call.to, asset=asset, counterparty=receiver, function="gas refund")


@reads(
    "execTransactionFromModule(address,uint256,bytes,uint8)",
    "execTransactionFromModuleReturnData(address,uint256,bytes,uint8)",
)
def _safe_module_execute(call: Call, to: Address, value: int, data: bytes, operation: int) -> Iterable[Effect]:
    return [call.nested(Kind.NESTED, safe_operation(call, call.to, to, value, data, operation))]


def safe_operation(call: Call, safe: Address, to: Address, value: int, data: bytes, operation: int) -> Iterable[Effect]:
    """What a Safe does: a call, or a delegate call, in which the usual batch contract is looked into."""
    if operation == _CALL:
        return call.inner(to, value, data, sender=safe)
    if operation == _DELEGATE_CALL:
        return [delegate_call(call, safe, to, data)]
    raise EvmError("abi")


def delegate_call(call: Call, account: Address, target: Address, data: bytes) -> Effect:
    """Code of `target` as `account` itself. What else it may do nobody knows; a batch is shown."""
    inner = replace(call, sender=account, to=target, value=0, data=data, depth=call.depth + 1, function="")
    batch = _batch_of(inner) if inner.selector == _MULTI_SEND else ()
    return inner.effect(Kind.DELEGATE_CALL, account=account, effects=batch)


@reads("multiSend(bytes)")
def _multi_send(call: Call, packed: bytes) -> Iterable[Effect]:
    """Called and not delegate-called, the calls come from the batch contract, where its version allows that."""
    return [call.nested(Kind.NESTED, _unpack(call, call.to, packed))]


def _batch_of(call: Call) -> tuple[Effect, ...]:
    if call.depth > MAX_DEPTH:
        return (call.unknown(Reason.TOO_DEEP),)
    try:
        [packed] = abi.decode(("bytes",), call.data[4:])
        return tuple(_unpack(call, call.sender, packed)) if isinstance(packed, bytes) else ()
    except EvmError as error:
        if error.code == "effects-too-many":
            raise
        return (call.unknown(Reason.ENCODING),)


def _unpack(call: Call, sender: Address, packed: bytes) -> Iterable[Effect]:
    """Operation (1 byte), target (20), value (32), length (32), data; one after the other, and nothing after them."""
    at = 0
    while at < len(packed):
        head = packed[at : at + _MULTI_SEND_HEAD]
        if len(head) < _MULTI_SEND_HEAD:
            raise EvmError("abi")
        target = Address(head[1 : 1 + ADDRESS_BYTES])
        value = int.from_bytes(head[1 + ADDRESS_BYTES : -_WORD], "big")
        start = at + _MULTI_SEND_HEAD
        at = start + int.from_bytes(head[-_WORD:], "big")
        if at > len(packed):
            raise EvmError("abi")
        yield from safe_operation(call, sender, target, value, packed[start:at], head[0])


@reads("execute((address,address,uint256,uint256,uint256,bytes),bytes)")
def _forward(call: Call, request: tuple[Address, Address, int, int, int, bytes], _signature: bytes) -> Iterable[Effect]:
    """ERC-2771: the target takes `from` of the request for the sender."""
    account, to, value, _, _, data = request
    return [call.nested(Kind.NESTED, call.inner(to, value, data, sender=account), account=account)]


@reads("execute((address,address,uint256,uint256,uint48,bytes,bytes))")
def _forward_v5(call: Call, request: tuple[Address, Address, int, int, int, bytes, bytes]) -> Iterable[Effect]:
    account, to, value, _, _, data, _ = request
    return [call.nested(Kind.NESTED, call.inner(to, value, data, sender=account), account=account)]


@reads("executeMetaTransaction(address,bytes,bytes32,bytes32,uint8)")
def _meta_transaction(call: Call, account: Address, data: bytes, *_signature: object) -> Iterable[Effect]:
    return [call.nested(Kind.NESTED, call.inner(call.to, 0, data, sender=account), account=account)]


@reads("executeUserOp(address,uint256,bytes,uint8)", "executeUserOpWithErrorString(address,uint256,bytes,uint8)")
def _safe_user_operation(call: Call, to: Address, value: int, data: bytes, operation: int) -> Iterable[Effect]:
    """Safe's module for ERC-4337, which is the account's fallback handler."""
    return [call.nested(Kind.NESTED, safe_operation(call, call.to, to, value, data, operation), account=call.to)]


@reads("execute(address,uint256,bytes)")
def _account_execute(call: Call, to: Address, value: int, data: bytes) -> Iterable[Effect]:
    """A smart account that belongs to the sender, or is told by an entry point."""
    return account_batch(call, [(to, value, data)])


@reads("executeBatch((address,uint256,bytes)[])")
def account_batch(call: Call, calls: Sequence[tuple[Address, int, bytes]]) -> Iterable[Effect]:
    """Calls of target, value and data that the called contract makes as itself."""
    effects = [effect for to, value, data in calls for effect in call.inner(to, value, data)]
    return [call.nested(Kind.NESTED, effects, account=call.to)]


@reads("executeBatch(address[],bytes[])")
def _account_batch_of_two(call: Call, targets: Sequence[Address], data: Sequence[bytes]) -> Iterable[Effect]:
    return _account_batch_of_three(call, targets, [0] * len(targets), data)


@reads("executeBatch(address[],uint256[],bytes[])")
def _account_batch_of_three(
    call: Call, targets: Sequence[Address], values: Sequence[int], data: Sequence[bytes]
) -> Iterable[Effect]:
    if not len(targets) == len(values) == len(data):
        raise EvmError("abi")
    return account_batch(call, list(zip(targets, values, data, strict=True)))


@reads("execute(bytes32,bytes)", "executeFromExecutor(bytes32,bytes)")
def _account_execute_7579(call: Call, mode: bytes, data: bytes) -> Iterable[Effect]:
    """ERC-7579: the first byte of the mode is the kind of call, the second says whether a failure is passed over."""
    branch = replace(call, conditional=call.conditional or mode[1] != 0)
    if any(mode[2:]) or mode[1] > 1:
        raise EvmError("abi")
    match mode[0]:
        case 0x00:
            return account_batch(branch, [_single_7579(data)])
        case 0x01:
            [calls] = abi.decode(("(address,uint256,bytes)[]",), data)
            return account_batch(branch, calls)
        case 0xFF if len(data) >= ADDRESS_BYTES:
            target = Address(data[:ADDRESS_BYTES])
            return [call.nested(Kind.NESTED, [delegate_call(branch, call.to, target, data[ADDRESS_BYTES:])])]
    raise EvmError("abi")


def _single_7579(data: bytes) -> tuple[Address, int, bytes]:
    if len(data) < ADDRESS_BYTES + _WORD:
        raise EvmError("abi")
    value = int.from_bytes(data[ADDRESS_BYTES : ADDRESS_BYTES + _WORD], "big")
    return Address(data[:ADDRESS_BYTES]), value, data[ADDRESS_BYTES + _WORD :]
