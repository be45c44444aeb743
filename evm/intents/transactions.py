"""The transactions that an intent lists, each of a sub-type, and the one call that each means.

Everything is encoded when it is read, so an intent that has been parsed has no transaction without a meaning. Only
transfers of ERC-721 and ERC-1155 depend on the wallet: they say whom the token leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

from evm.address import Address
from evm.intents.contract_call import encode_contract_call, encode_delayed
from evm.intents.errors import IntentError, require
from evm.intents.fields import (
    Member,
    Reader,
    boolean,
    contract_address,
    hex_data,
    listed,
    number,
    parse_members,
)
from evm.wallet.abi import array, dynamic, encode, selector, word
from evm.wallet.payload import Call
from protocol import limits

MAX_TRANSACTIONS: Final = 64  # own choice, of one intent
MAX_TOKEN_IDS: Final = 256  # own choice, of one ERC-1155 transfer

_TRANSFER: Final = selector("transfer(address,uint256)")
_TRANSFER_FROM: Final = selector("transferFrom(address,address,uint256)")
_SAFE_TRANSFER_FROM: Final = selector("safeTransferFrom(address,address,uint256,bytes)")
_SAFE_BATCH_TRANSFER_FROM: Final = selector("safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)")

_data: Final[Reader] = hex_data(limits.MAX_CALLDATA_BYTES)


def _token(value: object, _: str) -> "TokenAmount":
    return parse_members(TokenAmount, value, "intent-transaction")


@dataclass(frozen=True, slots=True)
class Raw:
    """`transaction`: a call as it is."""

    to: Annotated[Address, Member("to", contract_address)]
    data: Annotated[bytes, Member("data", _data)]
    value: Annotated[int | None, Member("value", number)] = None

    def call(self, _: Address) -> Call:
        """The call that is meant."""
        return Call(self.to, self.value or 0, self.data)


@dataclass(frozen=True, slots=True)
class SendErc20:
    """`erc20send`."""

    token: Annotated[Address, Member("tokenAddress", contract_address)]
    to: Annotated[Address, Member("to", contract_address)]
    value: Annotated[int, Member("value", number)]

    def call(self, _: Address) -> Call:
        """`transfer` of the token."""
        return Call(self.token, 0, _TRANSFER + encode(word(self.to), word(self.value)))


@dataclass(frozen=True, slots=True)
class SendErc721:
    """`erc721send`. Data reaches the recipient only with `safe`; the original drops it where `safe` is missing."""

    token: Annotated[Address, Member("tokenAddress", contract_address)]
    to: Annotated[Address, Member("to", contract_address)]
    id: Annotated[int, Member("id", number)]
    safe: Annotated[bool | None, Member("safe", boolean)] = None
    data: Annotated[bytes | None, Member("data", _data)] = None

    def __post_init__(self) -> None:
        require(bool(self.safe) or not self.data, "intent-transaction-data")

    def call(self, wallet: Address) -> Call:
        """`safeTransferFrom`, or `transferFrom`, from the wallet."""
        words = (word(wallet), word(self.to), word(self.id))
        if self.safe:
            return Call(self.token, 0, _SAFE_TRANSFER_FROM + encode(*words, dynamic(self.data or b"")))
        return Call(self.token, 0, _TRANSFER_FROM + encode(*words))


@dataclass(frozen=True, slots=True)
class TokenAmount:
    """An amount of one id."""

    id: Annotated[int, Member("id", number)]
    amount: Annotated[int, Member("amount", number)]


@dataclass(frozen=True, slots=True)
class SendErc1155:
    """`erc1155send`."""

    token: Annotated[Address, Member("tokenAddress", contract_address)]
    to: Annotated[Address, Member("to", contract_address)]
    amounts: Annotated[tuple[TokenAmount, ...], Member("vals", listed(_token, MAX_TOKEN_IDS))]
    data: Annotated[bytes | None, Member("data", _data)] = None

    def call(self, wallet: Address) -> Call:
        """`safeBatchTransferFrom` from the wallet, for one id, too."""
        ids = array(*(word(each.id) for each in self.amounts))
        amounts = array(*(word(each.amount) for each in self.amounts))
        arguments = encode(word(wallet), word(self.to), ids, amounts, dynamic(self.data or b""))
        return Call(self.token, 0, _SAFE_BATCH_TRANSFER_FROM + arguments)


@dataclass(frozen=True, slots=True)
class CallContract:
    """`contractCall`: a function and its arguments, encoded here."""

    to: Annotated[Address, Member("to", contract_address)]
    data: Annotated[bytes, Member("data", encode_contract_call)]
    value: Annotated[int | None, Member("value", number)] = None

    def call(self, _: Address) -> Call:
        """The encoded call."""
        return Call(self.to, self.value or 0, self.data)


@dataclass(frozen=True, slots=True)
class CallDelayed:
    """`delayedEncode`: what `contractCall` replaced; arguments may go by name."""

    to: Annotated[Address, Member("to", contract_address)]
    value: Annotated[int, Member("value", number)]
    data: Annotated[bytes, Member("data", encode_delayed)]

    def call(self, _: Address) -> Call:
        """The encoded call."""
        return Call(self.to, self.value, self.data)


IntentCall: TypeAlias = Raw | SendErc20 | SendErc721 | SendErc1155 | CallContract | CallDelayed

_KINDS: Final[Mapping[str, type[Any]]] = {
    "transaction": Raw,
    "erc20send": SendErc20,
    "erc721send": SendErc721,
    "erc1155send": SendErc1155,
    "contractCall": CallContract,
    "delayedEncode": CallDelayed,
}


def parse_transaction(value: object) -> IntentCall:
    """One entry of `transactions`; `intent-transaction-type` for a sub-type that does not exist."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(kind, str) or kind not in _KINDS:
        raise IntentError("intent-transaction-type")
    others = {name: item for name, item in value.items() if name != "type"}
    found: IntentCall = parse_members(_KINDS[kind], others, "intent-transaction")
    return found
