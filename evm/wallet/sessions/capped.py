"""Capped sends: an explicit session that may transfer so much of a token to one recipient, in each call and in all.

What a person means by it fits the session contract in one way, which is written here: a permission for each token and
recipient, with the function, the recipient, and two bounds of the amount, one of which the contract adds up. Two
recipients have two totals, for the contract counts by permission. Coins are not sent this way: no rule of a session can
hold a call to no call data, and with call data a send of coins is a call of anything (ADR 0076).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evm.address import ZERO_ADDRESS, Address, parse_address
from evm.fields import UINT64_MAX, UINT256_MAX, items, members
from evm.wallet.abi import encode, selector, word
from evm.wallet.errors import WalletError, require
from evm.wallet.payload import Call
from evm.wallet.sessions.chain_state import SESSION_MANAGER, ChainState
from evm.wallet.sessions.explicit import PlannedCall, increment_call
from evm.wallet.sessions.permission import ParameterOperation, ParameterRule, Permission, SessionPermissions
from evm.wallet.values import parse_decimal

MAX_SENDS: Final = 16  # own choice: what a person can look through

_CODE: Final = "wallet-capped"
_TRANSFER: Final = selector("transfer(address,uint256)")
_SELECTOR: Final = ParameterRule(
    ParameterOperation.EQUAL, int.from_bytes(_TRANSFER.ljust(32, b"\0"), "big"), 0, 0xFFFFFFFF << 224
)
_TO, _AMOUNT = 4, 36
"""Where the recipient and the amount stand in the call data."""


@dataclass(frozen=True, slots=True)
class CappedSend:
    """At most `per_transaction` of a token to `to` in a call, and `total` in all; base units."""

    token: Address
    to: Address
    per_transaction: int
    total: int

    def __post_init__(self) -> None:
        require(0 < self.per_transaction <= self.total <= UINT256_MAX, f"{_CODE}-amount")
        require(self.to not in (ZERO_ADDRESS, self.token), f"{_CODE}-recipient")
        require(self.token not in (ZERO_ADDRESS, SESSION_MANAGER), f"{_CODE}-token")

    @property
    def permission(self) -> Permission:
        """The rules that say exactly this; each looks at a whole word, so that no bit of it is free."""
        equal, at_most = ParameterOperation.EQUAL, ParameterOperation.LESS_THAN_OR_EQUAL
        return Permission(
            self.token,
            (
                _SELECTOR,
                ParameterRule(equal, int.from_bytes(self.to, "big"), _TO),
                ParameterRule(at_most, self.per_transaction, _AMOUNT),
                ParameterRule(at_most, self.total, _AMOUNT, cumulative=True),
            ),
        )


def capped_session(signer: Address, chain_id: int, until_s: int, sends: Sequence[CappedSend]) -> SessionPermissions:
    """The session of these sends: on one chain, with an end, and without coins."""
    require(chain_id > 0, f"{_CODE}-chain-id")
    require(0 < until_s <= UINT64_MAX, f"{_CODE}-until")
    require(0 < len(sends) <= MAX_SENDS, f"{_CODE}-sends")
    pairs = {(send.token, send.to) for send in sends}
    require(len(pairs) == len(sends), f"{_CODE}-twice")  # each would have a total of its own
    return SessionPermissions(signer, chain_id, 0, until_s, tuple(send.permission for send in sends))


def parse_capped(value: object) -> SessionPermissions:
    """The session in `{"signer", "chainId", "until", "sends": [{"token", "to", "perTransaction", "total"}]}`.

    Integers are JSON numbers or decimal text. `EvmError` for anything else.
    """
    found = members(value, required=("signer", "chainId", "until", "sends"), code=_CODE)
    return capped_session(
        parse_address(found["signer"], f"{_CODE}-signer"),
        parse_decimal(found["chainId"], f"{_CODE}-chain-id"),
        parse_decimal(found["until"], f"{_CODE}-until", most=UINT64_MAX),
        [_parse_send(send) for send in items(found["sends"], most=MAX_SENDS, code=f"{_CODE}-sends")],
    )


def plan_sends(
    session: SessionPermissions, sends: Sequence[tuple[Address, Address, int]], state: ChainState
) -> tuple[Call, ...]:
    """The calls, with the one that writes down what they use, for transfers of (token, recipient, amount).

    Before anything is signed they are held to what the session contract would say of them at `state`: `WalletError`
    with its reason for what is beyond a cap, to somebody else, or too late.
    """
    require(len(sends) > 0, f"{_CODE}-sends")
    planned = []
    for token, to, amount in sends:
        call = Call(token, data=_TRANSFER + encode(word(to), word(amount)))
        planned.append(PlannedCall(call, session, _permission_index(session, token, to)))
    first = increment_call(planned, session.signer, state)
    calls = [each.call for each in planned]
    return tuple(calls if first is None else [first, *calls])


def _permission_index(session: SessionPermissions, token: Address, to: Address) -> int:
    wanted = int.from_bytes(to, "big")
    for index, permission in enumerate(session.permissions):
        recipients = [rule.value for rule in permission.rules if rule.offset == _TO]
        if permission.target == token and recipients == [wanted]:
            return index
    raise WalletError(f"{_CODE}-permission", "MissingPermission")


def _parse_send(value: object) -> CappedSend:
    found = members(value, required=("token", "to", "perTransaction", "total"), code=_CODE)
    require(found["token"] is not None, f"{_CODE}-coins")
    return CappedSend(
        token=parse_address(found["token"], f"{_CODE}-token"),
        to=parse_address(found["to"], f"{_CODE}-recipient"),
        per_transaction=parse_decimal(found["perTransaction"], f"{_CODE}-amount"),
        total=parse_decimal(found["total"], f"{_CODE}-amount"),
    )
