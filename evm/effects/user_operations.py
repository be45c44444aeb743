"""ERC-4337 user operations, packed (v0.7 and later) and unpacked (v0.6), in calls of an entry point or in documents.

An operation makes its sender's account run `callData`, may create that account, may hand it over (EIP-7702), and pays:
itself, or through a paymaster, of whose code nothing is known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from evm.address import ADDRESS_BYTES, Address
from evm.effects.call import Call, reads, require_at
from evm.effects.model import COIN, Effect, Kind, Reason
from evm.errors import EvmError

ENTRY_POINTS: Final = tuple(
    Address(bytes.fromhex(digits))
    for digits in (
        "5ff137d4b0fdcd49dca30c7cf57e578a026d2789",  # v0.6
        "0000000071727de22e5e9d8baf0edac6f37da032",  # v0.7
        "4337084d9e255ff0702461cf8895ce9e3b5ff108",  # v0.8
        "433709009b8330fda32311df1c2afa402ed8d009",  # v0.9
    )
)
_DELEGATION_MARKS: Final = (bytes.fromhex("7702"), bytes.fromhex("7702").ljust(ADDRESS_BYTES, b"\0"))


@dataclass(frozen=True, slots=True)
class Operation:
    """What rules need of an operation. `gas`: all gas that it may be charged for; `max_fee`: wei a unit."""

    sender: Address
    init_code: bytes
    call_data: bytes
    gas: int
    max_fee: int
    paymaster_and_data: bytes


def user_operation(call: Call, operation: Operation, *, entry_point: Address) -> Effect:
    """The operation as an effect; `call` says on which chain, and how it comes there."""
    at_entry = replace(call, to=entry_point, function="user operation")
    effects: list[Effect] = []
    if operation.init_code:
        effects.append(_initialization(at_entry, operation))
    if operation.call_data:
        effects += at_entry.inner(operation.sender, 0, operation.call_data, sender=entry_point)
    effects.append(_payment(at_entry, operation))
    return at_entry.nested(Kind.USER_OPERATION, effects, account=operation.sender)


def _initialization(call: Call, operation: Operation) -> Effect:
    """The account is created, or takes on code by an authorization that travels beside the operation (v0.8)."""
    factory = operation.init_code[:ADDRESS_BYTES]
    if factory in _DELEGATION_MARKS:
        return call.unknown(Reason.CODE, account=operation.sender, function="EIP-7702 initialization")
    if len(factory) < ADDRESS_BYTES:
        return call.unknown(Reason.ENCODING, account=operation.sender)
    return call.effect(
        Kind.CREATION,
        account=operation.sender,
        contract=Address(factory),
        selector=operation.init_code[ADDRESS_BYTES : ADDRESS_BYTES + 4],
    )


def _payment(call: Call, operation: Operation) -> Effect:
    paymaster = operation.paymaster_and_data[:ADDRESS_BYTES]
    if paymaster:
        return call.unknown(
            Reason.CODE,
            account=operation.sender,
            contract=Address(paymaster.ljust(ADDRESS_BYTES, b"\0")),
            function="paymaster",
        )
    fee = operation.gas * operation.max_fee
    return call.effect(Kind.FEE, account=operation.sender, asset=COIN, amount=fee)


def halves(word: bytes) -> tuple[int, int]:
    """The two 128-bit numbers that packed operations keep in one word."""
    return int.from_bytes(word[:16], "big"), int.from_bytes(word[16:32], "big")


def packed_gas(account_limits: bytes, pre_verification: int, paymaster_and_data: bytes) -> int:
    """All gas of a packed operation, a paymaster's share included."""
    paymaster = sum(halves(paymaster_and_data[ADDRESS_BYTES : ADDRESS_BYTES + 32])) if paymaster_and_data else 0
    return sum(halves(account_limits)) + pre_verification + paymaster


@reads("handleOps((address,uint256,bytes,bytes,uint256,uint256,uint256,uint256,uint256,bytes,bytes)[],address)")
def _handle_unpacked(call: Call, operations: Sequence[tuple[object, ...]], _beneficiary: Address) -> Iterable[Effect]:
    require_at(call, *ENTRY_POINTS)
    read = []
    for operation in operations:
        match operation:
            case (
                bytes(sender),
                _,
                bytes(init),
                bytes(data),
                int(gas),
                int(verify),
                int(pre),
                int(fee),
                _,
                bytes(by),
                _,
            ):
                total = gas + verify * 3 + pre  # v0.6 charges verification up to three times with a paymaster
                read.append(Operation(Address(sender), init, data, total, fee, by))
            case _:
                raise EvmError("abi")
    return [call.nested(Kind.NESTED, [user_operation(call, found, entry_point=call.to) for found in read])]


@reads("handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)")
def _handle_packed(call: Call, operations: Sequence[tuple[object, ...]], _beneficiary: Address) -> Iterable[Effect]:
    require_at(call, *ENTRY_POINTS)
    read = []
    for operation in operations:
        match operation:
            case (bytes(sender), _, bytes(init), bytes(data), bytes(limits), int(pre), bytes(fees), bytes(by), _):
                gas = packed_gas(limits, pre, by)
                read.append(Operation(Address(sender), init, data, gas, halves(fees)[1], by))
            case _:
                raise EvmError("abi")
    return [call.nested(Kind.NESTED, [user_operation(call, found, entry_point=call.to) for found in read])]
