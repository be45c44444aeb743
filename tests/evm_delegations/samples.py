"""Delegations for the tests of this package."""

import dataclasses
from typing import Any

from evm.address import Address
from evm.delegations.deployment import METAMASK
from evm.delegations.model import ROOT_AUTHORITY, Caveat, Delegation
from evm.delegations.rules import GrantRules
from evm.delegations.terms import (
    CalldataSlice,
    ExactCalldata,
    PerPeriod,
    Revocable,
    Targets,
    Terms,
    Times,
    ValueAtMost,
)
from evm.errors import EvmError
from evm.wallet.abi import word

NOW_S = 1_800_000_000
DAY_S = 86_400
CHAIN = 137
WALLET, EXECUTOR, PAYEE, STRANGER = (Address(bytes([number]) * 20) for number in (0x22, 0x11, 0x33, 0x44))
USDC = Address(bytes.fromhex("a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"))
END_S = NOW_S + 30 * DAY_S

RULES = GrantRules(
    chains=frozenset({CHAIN}),
    delegates=frozenset({EXECUTOR}),
    max_lifetime_s=366 * DAY_S,
    max_exposure={USDC: 10_000, None: 10**18},
)

TOKEN_TERMS: tuple[Terms, ...] = (
    PerPeriod(USDC, 100, DAY_S, NOW_S),
    ValueAtMost(0),
    CalldataSlice(4, word(PAYEE)),
    Times(0, END_S),
    Revocable(0),
)
COIN_TERMS: tuple[Terms, ...] = (
    PerPeriod(None, 100, DAY_S, NOW_S),
    ExactCalldata(b""),
    Targets((PAYEE,)),
    Times(0, END_S),
    Revocable(0),
)


def delegation(*terms: Terms | Caveat, **changes: Any) -> Delegation:
    caveats = tuple(each if isinstance(each, Caveat) else METAMASK.caveat(each) for each in terms or TOKEN_TERMS)
    made = Delegation(EXECUTOR, WALLET, ROOT_AUTHORITY, caveats, int.from_bytes(b"\x77" * 32, "big"))
    return dataclasses.replace(made, **changes)


def swapped(terms: tuple[Terms, ...], *others: Terms | Caveat, without: tuple[type, ...] = ()) -> list[Terms | Caveat]:
    """The terms, with those of `others` in place of theirs of the same kind, and without some kinds."""
    kinds = {*map(type, others), *without}
    return [*(each for each in terms if type(each) not in kinds), *others]


def code_of(function: Any, *arguments: Any, **named: Any) -> str:
    """The code with which a call is refused."""
    try:
        function(*arguments, **named)
    except EvmError as error:
        return error.code
    return "accepted"
