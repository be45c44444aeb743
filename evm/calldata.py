"""What a call does, in words: the token calls that most transactions make, and through `evm.effects` all others.

The table below has the sentences of the most common functions, with their arguments by name; nothing has to load for
them. Of the rest, a caller that says who calls is told what a guard is told (`evm.effects.call_words`). No interface is
ever taken from a request (SE-17). A call that is in no table, or is not encoded exactly as the ABI says, stays an
`unknown-call`, which a guard must treat as such (SE-18).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from evm import abi
from evm.address import Address, checksum
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.words import coins, token_amount

SELECTOR_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Argument:
    """A decoded argument: `value` is an int, a bool, bytes (20 of them for an address) or a tuple of ints."""

    name: str
    type: str
    value: abi.Value


@dataclass(frozen=True, slots=True)
class Effects:
    """What one call does.

    `name` is `native-transfer`, `create`, `unknown-call`, a row of the table below, or `call.` and the name of another
    function that `evm.effects` knows. `decoded`: whether everything that the call itself says has been understood.
    """

    name: str
    arguments: tuple[Argument, ...]
    words: str
    selector: bytes = b""
    decoded: bool = True

    def as_json(self) -> dict[str, Any]:
        """The effects for JSON; integers as decimal text."""
        result: dict[str, Any] = {"name": self.name, "decoded": self.decoded, "words": self.words}
        if self.selector:
            result["selector"] = "0x" + self.selector.hex()
        if self.arguments:
            result["arguments"] = [
                {"name": a.name, "type": a.type, "value": abi.to_json(a.type, a.value)} for a in self.arguments
            ]
        return result


@dataclass(frozen=True, slots=True)
class _Interface:
    """One function: its name in `Effects`, its arguments, and the sentence that they fill."""

    name: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    sentence: Callable[[Mapping[str, Any]], str]


def understand(
    to: Address | None, value: int, data: bytes, *, sender: Address | None = None, chain_id: int = 0
) -> Effects:
    """What a call of `value` wei and calldata `data` to `to` does; `to` None creates a contract from `data`.

    Without a `sender`, functions that are not in the table below stay unknown.
    """
    if to is None:
        words = f"Create a contract from {len(data)} bytes of code{_with_coins(value)}"
        return Effects("create", (), words, decoded=False)
    if not data:
        return Effects("native-transfer", (), f"Transfer {coins(value)} to {checksum(to)}")
    selector = data[:SELECTOR_BYTES]
    interface = _INTERFACES.get(selector)
    if interface is not None:
        try:
            values = abi.decode(interface.types, data[SELECTOR_BYTES:])
        except EvmError:
            return _unknown(to, value, data, f", which looks like {interface.name} but is not encoded as one")
        arguments = tuple(map(Argument, interface.names, interface.types, values))
        shown = {a.name: _shown(a) for a in arguments}
        words = interface.sentence({**shown, "token": checksum(to)}) + _with_coins(value)
        return Effects(interface.name, arguments, words, selector)
    return _unknown(to, value, data, "") if sender is None else _by_effects(to, value, data, sender, chain_id)


def has_sentence(data: bytes) -> bool:
    """Whether the table below knows the function, or there is none."""
    return not data or data[:SELECTOR_BYTES] in _INTERFACES


def _by_effects(to: Address, value: int, data: bytes, sender: Address, chain_id: int) -> Effects:
    from evm.effects.call_words import call_words  # large, and most transactions need none of it

    found = call_words(to, data, sender, chain_id)
    if found is None:
        return _unknown(to, value, data, "")
    if not found.sentences:
        return _unknown(to, value, data, f", which looks like {found.function} but is not encoded as one")
    words = f"Call {found.function} of {checksum(to)}{_with_coins(value)}: {'; '.join(found.sentences)}"
    return Effects(f"call.{found.function}", (), words, data[:SELECTOR_BYTES], found.understood)


def _unknown(to: Address, value: int, data: bytes, remark: str) -> Effects:
    what = f"selector 0x{data[:SELECTOR_BYTES].hex()}, {len(data)} bytes{remark}"
    words = f"Call {checksum(to)} in an unknown way ({what}){_with_coins(value)}"
    return Effects("unknown-call", (), words, data[:SELECTOR_BYTES], decoded=False)


def _with_coins(value: int) -> str:
    return f", sending {coins(value)} along" if value else ""


def _shown(argument: Argument) -> Any:
    if argument.name == "amount" and isinstance(argument.value, int):
        return token_amount(argument.value)
    return abi.to_json(argument.type, argument.value)


def _fill(template: str) -> Callable[[Mapping[str, Any]], str]:
    return template.format_map


def _either(flag: str, yes: str, no: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda shown: (yes if shown[flag] else no).format_map(shown)


def _batch(shown: Mapping[str, Any]) -> str:
    pairs = ", ".join(f"{amount} of id {id_}" for id_, amount in zip(shown["ids"], shown["amounts"], strict=False))
    odd = "" if len(shown["ids"]) == len(shown["amounts"]) else " (the lists differ in length)"
    return f"Transfer of token {shown['token']} from {shown['from']} to {shown['to']}: {pairs or 'nothing'}{odd}"


# A name, the signature with argument names, and the sentence.
_TABLE: Final[tuple[tuple[str, str, Callable[[Mapping[str, Any]], str]], ...]] = (
    ("erc20.transfer", "transfer(address to,uint256 amount)", _fill("Transfer {amount} of token {token} to {to}")),
    (  # one selector, two standards: an ERC-721 token reads the number as a token id
        "token.transferFrom",
        "transferFrom(address from,address to,uint256 amountOrId)",
        _fill("Transfer {amountOrId} (ERC-20 base units, or an ERC-721 id) of token {token} from {from} to {to}"),
    ),
    (
        "token.approve",
        "approve(address spender,uint256 amount)",
        _fill("Let {spender} take {amount} of token {token} (or, of an ERC-721 token, the item with that id)"),
    ),
    (
        "erc20.increaseAllowance",
        "increaseAllowance(address spender,uint256 amount)",
        _fill("Let {spender} take {amount} more of token {token}"),
    ),
    (
        "erc20.permit",
        "permit(address owner,address spender,uint256 amount,uint256 deadline,uint8 v,bytes32 r,bytes32 s)",
        _fill("Let {spender} take {amount} of token {token} from {owner}, by a signature valid until {deadline}"),
    ),
    (
        "dai.permit",
        "permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed,uint8 v,bytes32 r,bytes32 s)",
        _either(
            "allowed",
            "Let {spender} take an unlimited amount of token {token} from {holder}, by a signature",
            "No longer let {spender} take token {token} from {holder}, by a signature",
        ),
    ),
    (
        "erc721.safeTransferFrom",
        "safeTransferFrom(address from,address to,uint256 id)",
        _fill("Transfer item {id} of token {token} from {from} to {to}"),
    ),
    (
        "erc721.safeTransferFromWithData",
        "safeTransferFrom(address from,address to,uint256 id,bytes data)",
        _fill("Transfer item {id} of token {token} from {from} to {to}, handing it the data {data}"),
    ),
    (
        "erc1155.safeTransferFrom",
        "safeTransferFrom(address from,address to,uint256 id,uint256 count,bytes data)",
        _fill("Transfer {count} of id {id} of token {token} from {from} to {to}, handing it the data {data}"),
    ),
    (
        "erc1155.safeBatchTransferFrom",
        "safeBatchTransferFrom(address from,address to,uint256[] ids,uint256[] amounts,bytes data)",
        _batch,
    ),
    (
        "token.setApprovalForAll",
        "setApprovalForAll(address operator,bool approved)",
        _either(
            "approved",
            "Let {operator} take every item of token {token}",
            "No longer let {operator} take items of token {token}",
        ),
    ),
)


def _interfaces() -> dict[bytes, _Interface]:
    found: dict[bytes, _Interface] = {}
    for name, signature, sentence in _TABLE:
        function, parameters = signature[:-1].split("(")
        pairs = [parameter.split(" ") for parameter in parameters.split(",")]
        types = tuple(type_ for type_, _ in pairs)
        selector = keccak256(f"{function}({','.join(types)})".encode())[:SELECTOR_BYTES]
        if selector in found:
            raise ImportError(f"two interfaces share a selector: {name}")
        found[selector] = _Interface(name, tuple(name_ for _, name_ in pairs), types, sentence)
    return found


_INTERFACES: Final = _interfaces()
