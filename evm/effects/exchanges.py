"""Routers of exchanges: Uniswap's Universal Router, and the routers of its second and third version and their kin.

What is paid in leaves for the router, or, where somebody else gets what comes of it, for that somebody. Prices are not
known here. What a router passes on in the middle of a batch has been counted where it came from: it has no amount.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from evm import abi
from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address
from evm.effects.call import Call, reads
from evm.effects.deposits import coins_for, paid_in
from evm.effects.model import COIN, Effect, Kind, Reason
from evm.effects.permits import Details, permit2_approval
from evm.effects.tokens import transfer
from evm.errors import EvmError

_SENDER: Final = Address((1).to_bytes(ADDRESS_BYTES, "big"))  # the Universal Router's names for the caller and itself
_ROUTER: Final = Address((2).to_bytes(ADDRESS_BYTES, "big"))
_MAY_FAIL: Final = 0x80
_COMMAND: Final = 0x3F
_HOP_BYTES: Final = ADDRESS_BYTES + 3
_SUB_PLAN: Final = bytes.fromhex("24856bc3")  # execute(bytes,bytes[])


@reads(
    "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
    "swapExactTokensForTokensSupportingFeeOnTransferTokens(uint256,uint256,address[],address,uint256)",
    "swapExactTokensForETH(uint256,uint256,address[],address,uint256)",
    "swapExactTokensForETHSupportingFeeOnTransferTokens(uint256,uint256,address[],address,uint256)",
    "swapExactTokensForTokens(uint256,uint256,address[],address)",
)
def _exact_tokens(
    call: Call, amount: int, _least: int, path: Sequence[Address], to: Address, _deadline: int = 0
) -> Iterable[Effect]:
    return [paid_in(call, _first(path), amount, to)]


@reads(
    "swapTokensForExactTokens(uint256,uint256,address[],address,uint256)",
    "swapTokensForExactETH(uint256,uint256,address[],address,uint256)",
    "swapTokensForExactTokens(uint256,uint256,address[],address)",
)
def _tokens_for_exact(
    call: Call, _amount: int, most: int, path: Sequence[Address], to: Address, _deadline: int = 0
) -> Iterable[Effect]:
    return [paid_in(call, _first(path), most, to)]


@reads(
    "swapExactETHForTokens(uint256,address[],address,uint256)",
    "swapExactETHForTokensSupportingFeeOnTransferTokens(uint256,address[],address,uint256)",
    "swapETHForExactTokens(uint256,address[],address,uint256)",
)
def _coins(call: Call, _least: int, _path: Sequence[Address], to: Address, _deadline: int) -> Iterable[Effect]:
    return [coins_for(call, to)]


def _first(path: Sequence[Address]) -> Address:
    if not path:
        raise EvmError("abi")
    return path[0]


@reads(
    "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
    "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))",
)
def _exact_input_single(call: Call, order: tuple[Any, ...]) -> Iterable[Effect]:
    token, to, amount = order[0], order[3], order[-3]
    return [_paid_in_or_coins(call, token, amount, to)]


@reads(
    "exactOutputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
    "exactOutputSingle((address,address,uint24,address,uint256,uint256,uint160))",
)
def _exact_output_single(call: Call, order: tuple[Any, ...]) -> Iterable[Effect]:
    token, to, most = order[0], order[3], order[-2]
    return [_paid_in_or_coins(call, token, most, to)]


@reads("exactInput((bytes,address,uint256,uint256,uint256))", "exactInput((bytes,address,uint256,uint256))")
def _exact_input(call: Call, order: tuple[Any, ...]) -> Iterable[Effect]:
    path, to, amount = order[0], order[1], order[-2]
    return [_paid_in_or_coins(call, _hop(path, first=True), amount, to)]


@reads("exactOutput((bytes,address,uint256,uint256,uint256))", "exactOutput((bytes,address,uint256,uint256))")
def _exact_output(call: Call, order: tuple[Any, ...]) -> Iterable[Effect]:
    path, to, most = order[0], order[1], order[-1]
    return [_paid_in_or_coins(call, _hop(path, first=False), most, to)]


def _paid_in_or_coins(call: Call, token: Address, amount: int, to: Address) -> Effect:
    """Coins that are sent along pay for the swap; zero, and the router's own names, stand for who is meant."""
    beneficiary = {ZERO_ADDRESS: call.to, _ROUTER: call.to, _SENDER: call.sender}.get(to, to)
    if call.value:
        return coins_for(call, beneficiary)
    return paid_in(call, token, amount, beneficiary)


def _hop(path: bytes, *, first: bool) -> Address:
    """The token at an end of a path: tokens of twenty bytes, and a fee of three between two."""
    if len(path) < _HOP_BYTES + ADDRESS_BYTES or (len(path) - ADDRESS_BYTES) % _HOP_BYTES:
        raise EvmError("abi")
    return Address(path[:ADDRESS_BYTES] if first else path[-ADDRESS_BYTES:])


@reads("unwrapWETH9(uint256,address)", "unwrapWETH9(uint256)", "refundETH()")
def _unwrap(call: Call, _least: int = 0, to: Address | None = None) -> Iterable[Effect]:
    return [call.effect(Kind.NATIVE, counterparty=to or call.sender, asset=COIN)]


@reads("sweepToken(address,uint256,address)", "sweepToken(address,uint256)")
def _sweep(call: Call, token: Address, _least: int, to: Address | None = None) -> Iterable[Effect]:
    return [_passed_on(call, token, to or call.sender)]


@reads("pull(address,uint256)")
def _pull(call: Call, token: Address, amount: int) -> Iterable[Effect]:
    return [paid_in(call, token, amount, call.sender)]


@reads("execute(bytes,bytes[],uint256)", "execute(bytes,bytes[])")
def _universal(call: Call, commands: bytes, inputs: Sequence[bytes], _deadline: int = 0) -> Iterable[Effect]:
    """The Universal Router: a byte says what to do with each input."""
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


def _recipient(call: Call, to: Address) -> Address:
    return {_SENDER: call.sender, _ROUTER: call.to}.get(to, to)


def _passed_on(call: Call, token: Address, to: Address) -> Effect:
    """What the router holds by now goes to somebody; how much that is, the chain will say."""
    if token == ZERO_ADDRESS:
        return call.effect(Kind.NATIVE, counterparty=_recipient(call, to), asset=COIN)
    return call.effect(
        Kind.TRANSFER, counterparty=_recipient(call, to), asset=call.asset("erc20", token=token), amount=None
    )


def _swapped(call: Call, token: Address, amount: int, to: Address, from_sender: object) -> Iterable[Effect]:
    if from_sender:
        return [paid_in(call, token, amount, _back(call, to))]
    return [_passed_on(call, token, to)]


def _back(call: Call, to: Address) -> Address:
    """What stays with the router is still on its way; where it goes, a later command says."""
    return call.sender if to in (_SENDER, _ROUTER, call.to) else to


def _v3_in(call: Call, to: Address, amount: int, _least: int, path: bytes, from_sender: bool) -> Iterable[Effect]:
    return _swapped(call, _hop(path, first=True), amount, to, from_sender)


def _v3_out(call: Call, to: Address, _amount: int, most: int, path: bytes, from_sender: bool) -> Iterable[Effect]:
    return _swapped(call, _hop(path, first=False), most, to, from_sender)


def _v2_in(
    call: Call, to: Address, amount: int, _least: int, path: Sequence[Address], from_sender: bool
) -> Iterable[Effect]:
    return _swapped(call, _first(path), amount, to, from_sender)


def _v2_out(
    call: Call, to: Address, _amount: int, most: int, path: Sequence[Address], from_sender: bool
) -> Iterable[Effect]:
    return _swapped(call, _first(path), most, to, from_sender)


def _take(call: Call, token: Address, to: Address, amount: int) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20", token=token), call.sender, _recipient(call, to), amount)]


def _take_all(call: Call, transfers: Sequence[tuple[Address, Address, int, Address]]) -> Iterable[Effect]:
    return [
        transfer(call, call.asset("erc20", token=token), account, _recipient(call, to), amount)
        for account, to, amount, token in transfers
    ]


def _permit(call: Call, permit: tuple[Details, Address, int], _signature: bytes) -> Iterable[Effect]:
    return [permit2_approval(call, call.sender, permit[1], permit[0])]


def _permit_batch(call: Call, permit: tuple[Sequence[Details], Address, int], _signature: bytes) -> Iterable[Effect]:
    return [permit2_approval(call, call.sender, permit[1], details) for details in permit[0]]


def _pass_on(call: Call, token: Address, to: Address, _amount: int) -> Iterable[Effect]:
    return [_passed_on(call, token, to)]


def _pass_coins(call: Call, to: Address, _least: int) -> Iterable[Effect]:
    return [_passed_on(call, ZERO_ADDRESS, to)]


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
}
