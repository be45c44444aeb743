"""Routers of exchanges: those of Uniswap's second and third version, and their kin.

What is paid in leaves for the router, or, where somebody else gets what comes of it, for that somebody. Prices are not
known here. What a router passes on in the middle of a batch has been counted where it came from: it has no amount.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address
from evm.effects.call import Call, reads
from evm.effects.deposits import coins_for, paid_in
from evm.effects.model import COIN, Effect, Kind
from evm.errors import EvmError

SENDER: Final = Address((1).to_bytes(ADDRESS_BYTES, "big"))  # routers' names for the caller and for themselves
ROUTER: Final = Address((2).to_bytes(ADDRESS_BYTES, "big"))
_HOP_BYTES: Final = ADDRESS_BYTES + 3


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
    return [paid_in(call, first_token(path), amount, to)]


@reads(
    "swapTokensForExactTokens(uint256,uint256,address[],address,uint256)",
    "swapTokensForExactETH(uint256,uint256,address[],address,uint256)",
    "swapTokensForExactTokens(uint256,uint256,address[],address)",
)
def _tokens_for_exact(
    call: Call, _amount: int, most: int, path: Sequence[Address], to: Address, _deadline: int = 0
) -> Iterable[Effect]:
    return [paid_in(call, first_token(path), most, to)]


@reads(
    "swapExactETHForTokens(uint256,address[],address,uint256)",
    "swapExactETHForTokensSupportingFeeOnTransferTokens(uint256,address[],address,uint256)",
    "swapETHForExactTokens(uint256,address[],address,uint256)",
)
def _coins(call: Call, _least: int, _path: Sequence[Address], to: Address, _deadline: int) -> Iterable[Effect]:
    return [coins_for(call, to)]


def first_token(path: Sequence[Address]) -> Address:
    """What a path begins with; `EvmError("abi")` for an empty one."""
    if not path:
        raise EvmError("abi")
    return path[0]


@reads(
    "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
    "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))",
)
def _exact_input_single(call: Call, order: tuple[Any, ...]) -> Iterable[Effect]:
    token, to, amount = order[0], order[3], order[-3]
    return _paid(call, token, amount, to)


@reads(
    "exactOutputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
    "exactOutputSingle((address,address,uint24,address,uint256,uint256,uint160))",
)
def _exact_output_single(call: Call, order: tuple[Any, ...]) -> Iterable[Effect]:
    token, to, most = order[0], order[3], order[-2]
    return _paid(call, token, most, to)


@reads("exactInput((bytes,address,uint256,uint256,uint256))", "exactInput((bytes,address,uint256,uint256))")
def _exact_input(call: Call, order: tuple[Any, ...]) -> Iterable[Effect]:
    path, to, amount = order[0], order[1], order[-2]
    return _paid(call, end_of_path(path, first=True), amount, to)


@reads("exactOutput((bytes,address,uint256,uint256,uint256))", "exactOutput((bytes,address,uint256,uint256))")
def _exact_output(call: Call, order: tuple[Any, ...]) -> Iterable[Effect]:
    path, to, most = order[0], order[1], order[-1]
    return _paid(call, end_of_path(path, first=False), most, to)


def _paid(call: Call, token: Address, amount: int, to: Address) -> Iterable[Effect]:
    """Coins that are sent along pay only for a swap of wrapped coins, which nobody here knows; so both count.

    Zero, and the router's own names, stand for who is meant.
    """
    beneficiary = {ZERO_ADDRESS: call.to, ROUTER: call.to, SENDER: call.sender}.get(to, to)
    if call.value:
        yield coins_for(call, beneficiary)
    yield paid_in(call, token, amount, beneficiary)


def end_of_path(path: bytes, *, first: bool) -> Address:
    """The token at an end of a path: tokens of twenty bytes, and a fee of three between two."""
    if len(path) < _HOP_BYTES + ADDRESS_BYTES or (len(path) - ADDRESS_BYTES) % _HOP_BYTES:
        raise EvmError("abi")
    return Address(path[:ADDRESS_BYTES] if first else path[-ADDRESS_BYTES:])


@reads("addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)")
def _add_liquidity(
    call: Call,
    one: Address,
    other: Address,
    amount: int,
    other_amount: int,
    _least: int,
    _least_other: int,
    to: Address,
    _deadline: int,
) -> Iterable[Effect]:
    """Of the second version: `to` gets what the pool gives for it."""
    return [paid_in(call, one, amount, to), paid_in(call, other, other_amount, to)]


@reads("addLiquidityETH(address,uint256,uint256,uint256,address,uint256)")
def _add_liquidity_coins(
    call: Call, token: Address, amount: int, _least: int, _least_coins: int, to: Address, _deadline: int
) -> Iterable[Effect]:
    return [coins_for(call, to), paid_in(call, token, amount, to)]


@reads("unwrapWETH9(uint256,address)", "unwrapWETH9(uint256)", "refundETH()")
def _unwrap(call: Call, _least: int = 0, to: Address | None = None) -> Iterable[Effect]:
    return [call.effect(Kind.NATIVE, counterparty=to or call.sender, asset=COIN)]


@reads("sweepToken(address,uint256,address)", "sweepToken(address,uint256)")
def _sweep(call: Call, token: Address, _least: int, to: Address | None = None) -> Iterable[Effect]:
    return [passed_on(call, token, to or call.sender)]


@reads("pull(address,uint256)")
def _pull(call: Call, token: Address, amount: int) -> Iterable[Effect]:
    return [paid_in(call, token, amount, call.sender)]


def recipient(call: Call, to: Address) -> Address:
    """Who is meant by an address that a router is given."""
    return {SENDER: call.sender, ROUTER: call.to}.get(to, to)


def passed_on(call: Call, token: Address, to: Address) -> Effect:
    """What the router holds by now goes to somebody; how much that is, the chain will say."""
    if token == ZERO_ADDRESS:
        return call.effect(Kind.NATIVE, counterparty=recipient(call, to), asset=COIN)
    return call.effect(
        Kind.TRANSFER, counterparty=recipient(call, to), asset=call.asset("erc20", token=token), amount=None
    )
