"""Uniswap's Universal Router: a byte of a batch says what to do with each input."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from evm import abi
from evm.address import ZERO_ADDRESS, Address
from evm.effects.call import Call, reads
from evm.effects.deposits import paid_in
from evm.effects.exchanges import ROUTER, SENDER, end_of_path, first_token, passed_on, recipient
from evm.effects.model import Effect, Kind, Reason
from evm.effects.permits import Details, permit2_approval
from evm.effects.tokens import transfer
from evm.errors import EvmError

_MAY_FAIL: Final = 0x80
_COMMAND: Final = 0x3F
_SUB_PLAN: Final = bytes.fromhex("24856bc3")  # execute(bytes,bytes[])


@reads("execute(bytes,bytes[],uint256)", "execute(bytes,bytes[])")
def _universal(call: Call, commands: bytes, inputs: Sequence[bytes], _deadline: int = 0) -> Iterable[Effect]:
    if len(commands) != len(inputs):
        raise EvmError("abi")
    effects: list[Effect] = []
    for command, data in zip(commands, inputs, strict=True):
        branch = replace(call, conditional=call.conditional or bool(command & _MAY_FAIL))
        effects += _carry_out(branch, command & _COMMAND, data)
    return [call.nested(Kind.NESTED, effects)]


def _carry_out(call: Call, number: int, data: bytes) -> Iterable[Effect]:
    if number == _EXECUTE_SUB_PLAN:
        return call.inner(call.to, 0, _SUB_PLAN + data, sender=call.sender)
    if number not in _COMMANDS:
        return [call.unknown(Reason.SELECTOR, function=f"command 0x{number:02x}")]
    types, reader = _COMMANDS[number]
    try:
        return list(reader(call, *abi.decode(types, data)))
    except EvmError as error:
        if error.code == "effects-too-many":
            raise
        return [call.unknown(Reason.ENCODING, function=f"command 0x{number:02x}")]


def _swapped(call: Call, token: Address, amount: int, to: Address, from_sender: object) -> Iterable[Effect]:
    if from_sender:
        return [paid_in(call, token, amount, _back(call, to))]
    return [passed_on(call, token, to)]


def _back(call: Call, to: Address) -> Address:
    """What stays with the router is still on its way; where it goes, a later command says."""
    return call.sender if to in (SENDER, ROUTER, call.to) else to


def _v3_in(call: Call, to: Address, amount: int, _least: int, path: bytes, from_sender: bool) -> Iterable[Effect]:
    return _swapped(call, end_of_path(path, first=True), amount, to, from_sender)


def _v3_out(call: Call, to: Address, _amount: int, most: int, path: bytes, from_sender: bool) -> Iterable[Effect]:
    return _swapped(call, end_of_path(path, first=False), most, to, from_sender)


def _v2_in(
    call: Call, to: Address, amount: int, _least: int, path: Sequence[Address], from_sender: bool
) -> Iterable[Effect]:
    return _swapped(call, first_token(path), amount, to, from_sender)


def _v2_out(
    call: Call, to: Address, _amount: int, most: int, path: Sequence[Address], from_sender: bool
) -> Iterable[Effect]:
    return _swapped(call, first_token(path), most, to, from_sender)


def _take(call: Call, token: Address, to: Address, amount: int) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20", token=token), call.sender, recipient(call, to), amount)]


def _take_all(call: Call, transfers: Sequence[tuple[Address, Address, int, Address]]) -> Iterable[Effect]:
    return [
        transfer(call, call.asset("erc20", token=token), account, recipient(call, to), amount)
        for account, to, amount, token in transfers
    ]


def _permit(call: Call, permit: tuple[Details, Address, int], _signature: bytes) -> Iterable[Effect]:
    return [permit2_approval(call, call.sender, permit[1], permit[0])]


def _permit_batch(call: Call, permit: tuple[Sequence[Details], Address, int], _signature: bytes) -> Iterable[Effect]:
    return [permit2_approval(call, call.sender, permit[1], details) for details in permit[0]]


def _pass_on(call: Call, token: Address, to: Address, _amount: int) -> Iterable[Effect]:
    return [passed_on(call, token, to)]


def _check(_call: Call, _owner: Address, _token: Address, _least: int) -> Iterable[Effect]:
    """Looks at a balance, and does nothing."""
    return []


def _pass_coins(call: Call, to: Address, _least: int) -> Iterable[Effect]:
    return [passed_on(call, ZERO_ADDRESS, to)]


_Command: TypeAlias = tuple[tuple[str, ...], Callable[..., Iterable[Effect]]]
_DETAILS: Final = "(address,uint160,uint48,uint48)"
_V3: Final = ("address", "uint256", "uint256", "bytes", "bool")
_V2: Final = ("address", "uint256", "uint256", "address[]", "bool")
_PASSED: Final = ("address", "address", "uint256")
_EXECUTE_SUB_PLAN: Final = 0x21
_COMMANDS: Final[dict[int, _Command]] = {
    0x00: (_V3, _v3_in),
    0x01: (_V3, _v3_out),
    0x02: (("address", "address", "uint160"), _take),
    0x03: ((f"({_DETAILS}[],address,uint256)", "bytes"), _permit_batch),
    0x04: (_PASSED, _pass_on),  # sweep
    0x05: (_PASSED, _pass_on),  # transfer
    0x06: (_PASSED, _pass_on),  # a portion
    0x08: (_V2, _v2_in),
    0x09: (_V2, _v2_out),
    0x0A: ((f"({_DETAILS},address,uint256)", "bytes"), _permit),
    0x0B: (("address", "uint256"), _pass_coins),  # wrap
    0x0C: (("address", "uint256"), _pass_coins),  # unwrap
    0x0D: (("(address,address,uint160,address)[]",), _take_all),
    0x0E: (_PASSED, _check),
}
