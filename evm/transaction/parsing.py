"""The two forms in which a transaction to be signed arrives, both read to the same `Transaction`.

JSON object: the member names of Ethereum JSON-RPC. `type`, `chainId` and `to` are always explicit, `to` null where a
contract is created; each type has its own set of fee members. Only `value`, `data` and `accessList` may be left out (0
and empty), and `from` may be added: it is what the caller believes the signer to be.

JSON string: the unsigned serialized transaction as 0x text; for the legacy type with the three EIP-155 members.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from evm import rlp
from evm.address import Address, address_from_bytes, parse_address
from evm.authorization import authorization_from_json, authorization_from_rlp
from evm.errors import EvmError
from evm.fields import hex_bytes, hex_word, items, members, quantity
from evm.transaction.model import AccessEntry, Transaction, TransactionType
from protocol import limits

# The members of each type in the order of its payload.
_CALL: Final = ("gas", "to", "value", "data")
_FEES: Final = ("maxPriorityFeePerGas", "maxFeePerGas")
_PAYLOADS: Final[Mapping[TransactionType, tuple[str, ...]]] = {
    TransactionType.LEGACY: ("nonce", "gasPrice", *_CALL),
    TransactionType.ACCESS_LIST: ("chainId", "nonce", "gasPrice", *_CALL, "accessList"),
    TransactionType.DYNAMIC_FEE: ("chainId", "nonce", *_FEES, *_CALL, "accessList"),
    TransactionType.SET_CODE: ("chainId", "nonce", *_FEES, *_CALL, "accessList", "authorizationList"),
}
_OPTIONAL: Final = frozenset({"value", "data", "accessList"})
_RLP_DEPTH: Final = 4  # payload, access list, entry, keys
_LEGACY_FIRST_BYTE: Final = 0xC0

_CODES: Final[Mapping[str, str]] = {
    "chainId": "tx-chain-id",
    "nonce": "tx-nonce",
    "gasPrice": "tx-gas-price",
    "maxPriorityFeePerGas": "tx-max-priority-fee-per-gas",
    "maxFeePerGas": "tx-max-fee-per-gas",
    "gas": "tx-gas",
    "to": "tx-to",
    "value": "tx-value",
    "data": "tx-data",
    "accessList": "tx-access-list",
    "authorizationList": "tx-authorization-list",
}


def parse_transaction(value: object) -> Transaction:
    """The transaction in a JSON value, all rules checked; `EvmError` otherwise.

    The signatures of authorizations are verified on the way. The signer still calls `validate_sender`.
    """
    if isinstance(value, str):
        return _from_bytes(hex_bytes(value, "tx-serialized", most=limits.MAX_TRANSACTION_BYTES))
    return _from_object(value)


def _from_object(value: object) -> Transaction:
    if not isinstance(value, dict):
        raise EvmError("tx-fields")
    type_ = _type(quantity(value.get("type"), "tx-type"))
    names = {*_PAYLOADS[type_], "type", "chainId"}
    found = members(value, required=names - _OPTIONAL, optional=[*_OPTIONAL & names, "from"], code="tx-fields")
    fields = {name: _FROM_JSON[name](found[name], code) for name, code in _CODES.items() if name in found}
    sender = parse_address(found["from"], "tx-from") if "from" in found else None
    return _build(type_, fields, sender)


def _from_bytes(data: bytes) -> Transaction:
    if not data or data[0] == TransactionType.LEGACY:  # a legacy transaction has no type byte
        raise EvmError("tx-serialized")
    legacy = data[0] >= _LEGACY_FIRST_BYTE
    type_ = TransactionType.LEGACY if legacy else _type(data[0])
    payload = rlp.decode(data if legacy else data[1:], max_depth=_RLP_DEPTH)
    names = _PAYLOADS[type_] + (("chainId", "", "") if legacy else ())
    if not isinstance(payload, list) or len(payload) != len(names) or (legacy and payload[-2:] != [b"", b""]):
        raise EvmError("tx-serialized")
    fields = {name: _FROM_RLP[name](item, _CODES[name]) for name, item in zip(names, payload, strict=True) if name}
    tx = _build(type_, fields, None)
    if tx.unsigned != data:  # integers with leading zeros
        raise EvmError("tx-not-canonical")
    return tx


def _type(number: int) -> TransactionType:
    try:
        return TransactionType(number)
    except ValueError:
        raise EvmError("tx-type") from None


def _build(type_: TransactionType, fields: Mapping[str, Any], sender: Address | None) -> Transaction:
    gas_price = fields.get("gasPrice")
    return Transaction(
        type=type_,
        chain_id=fields["chainId"],
        nonce=fields["nonce"],
        max_priority_fee_per_gas=fields["maxPriorityFeePerGas"] if gas_price is None else gas_price,
        max_fee_per_gas=fields["maxFeePerGas"] if gas_price is None else gas_price,
        gas=fields["gas"],
        to=fields["to"],
        value=fields.get("value", 0),
        data=fields.get("data", b""),
        access_list=fields.get("accessList", ()),
        authorizations=fields.get("authorizationList", ()),
        sender=sender,
    )


def _to_from_json(value: object, code: str) -> Address | None:
    return None if value is None else parse_address(value, code)


def _data_from_json(value: object, code: str) -> bytes:
    return hex_bytes(value, code, most=limits.MAX_CALLDATA_BYTES)


def _access_list_from_json(value: object, code: str) -> tuple[AccessEntry, ...]:
    entries = []
    for entry in items(value, most=limits.MAX_ACCESS_LIST_ENTRIES, code=code):
        found = members(entry, required=("address", "storageKeys"), code=code)
        keys = items(found["storageKeys"], most=limits.MAX_STORAGE_KEYS, code=code)
        entries.append(AccessEntry(parse_address(found["address"], code), tuple(hex_word(key, code) for key in keys)))
    return tuple(entries)


def _authorizations_from_json(value: object, code: str) -> tuple[Any, ...]:
    return tuple(map(authorization_from_json, items(value, most=limits.MAX_AUTHORIZATIONS, code=code)))


def _int_from_rlp(item: rlp.Item, code: str) -> int:
    return int.from_bytes(_data_from_rlp(item, code), "big")


def _to_from_rlp(item: rlp.Item, code: str) -> Address | None:
    data = _data_from_rlp(item, code)
    return address_from_bytes(data, code) if data else None


def _data_from_rlp(item: rlp.Item, code: str) -> bytes:
    if not isinstance(item, bytes):
        raise EvmError(code)
    return item


def _access_list_from_rlp(item: rlp.Item, code: str) -> tuple[AccessEntry, ...]:
    entries = []
    for entry in items(item, most=limits.MAX_ACCESS_LIST_ENTRIES, code=code):
        match entry:
            case [bytes(address), list(keys)] if all(isinstance(key, bytes) for key in keys):
                entries.append(AccessEntry(address_from_bytes(address, code), tuple(keys)))
            case _:
                raise EvmError(code)
    return tuple(entries)


def _authorizations_from_rlp(item: rlp.Item, code: str) -> tuple[Any, ...]:
    return tuple(map(authorization_from_rlp, items(item, most=limits.MAX_AUTHORIZATIONS, code=code)))


_INTS: Final = ("chainId", "nonce", "gasPrice", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "value")
_FROM_JSON: Final[Mapping[str, Callable[[object, str], Any]]] = {
    **dict.fromkeys(_INTS, quantity),
    "to": _to_from_json,
    "data": _data_from_json,
    "accessList": _access_list_from_json,
    "authorizationList": _authorizations_from_json,
}
_FROM_RLP: Final[Mapping[str, Callable[[rlp.Item, str], Any]]] = {
    **dict.fromkeys(_INTS, _int_from_rlp),
    "to": _to_from_rlp,
    "data": _data_from_rlp,
    "accessList": _access_list_from_rlp,
    "authorizationList": _authorizations_from_rlp,
}
