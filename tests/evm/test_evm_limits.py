"""Each limit on what is signed, at the cap and one beyond."""

import dataclasses
import itertools
from typing import Any

import pytest

from evm.errors import EvmError
from evm.message import parse_message
from evm.transaction import parse_transaction
from evm.typed_data import parse_typed_data
from protocol import limits

from .samples import authorization, document, transaction


def refused(parse: Any, value: object) -> str:
    with pytest.raises(EvmError) as caught:
        parse(value)
    return caught.value.code


def test_message_bytes() -> None:
    cap = limits.MAX_MESSAGE_BYTES
    assert parse_message({"text": "a" * cap})
    assert refused(parse_message, {"text": "a" * (cap + 1)}) == "message-text"
    assert parse_message({"text": "\u00e9" * (cap // 2)})
    assert refused(parse_message, {"text": "\u00e9" * (cap // 2) + "a"}) == "message-text"
    assert parse_message({"bytes": "0x" + "00" * cap})
    assert refused(parse_message, {"bytes": "0x" + "00" * (cap + 1)}) == "message-bytes"


def test_calldata_bytes() -> None:
    cap = limits.MAX_CALLDATA_BYTES
    assert parse_transaction(transaction(2, data="0x" + "01" * cap))
    assert refused(parse_transaction, transaction(2, data="0x" + "01" * (cap + 1))) == "tx-data"


def _serialized(size: int) -> str:
    """A serialized transaction of exactly `size` bytes, well-formed but for the length of its data."""
    tx = parse_transaction(transaction(2, data="0x" + "01" * 1000, accessList=[]))
    short = tx.unsigned
    object.__setattr__(tx, "data", b"\x01" * (size - len(short) + 1000))
    assert len(tx.unsigned) == size
    return "0x" + tx.unsigned.hex()


def test_transaction_bytes() -> None:
    cap = limits.MAX_TRANSACTION_BYTES
    assert refused(parse_transaction, _serialized(cap)) == "tx-data"
    assert refused(parse_transaction, _serialized(cap + 1)) == "tx-serialized"


def test_transaction_with_everything_at_its_cap_fits_the_serialized_cap() -> None:
    keys = limits.MAX_STORAGE_KEYS // limits.MAX_ACCESS_LIST_ENTRIES
    entry = {"address": "0x" + "ff" * 20, "storageKeys": ["0x" + "ff" * 32] * keys}
    tx = parse_transaction(
        transaction(
            4,
            data="0x" + "ff" * limits.MAX_CALLDATA_BYTES,
            accessList=[entry] * limits.MAX_ACCESS_LIST_ENTRIES,
            authorizationList=[authorization(1)] * limits.MAX_AUTHORIZATIONS,
        )
    )
    assert parse_transaction("0x" + tx.unsigned.hex()) == tx


def test_access_list_entries() -> None:
    cap = limits.MAX_ACCESS_LIST_ENTRIES
    entry = {"address": "0x" + "ff" * 20, "storageKeys": []}
    tx = parse_transaction(transaction(1, accessList=[entry] * cap))
    assert parse_transaction("0x" + tx.unsigned.hex()) == tx
    assert refused(parse_transaction, transaction(1, accessList=[entry] * (cap + 1))) == "tx-access-list"
    with pytest.raises(EvmError, match="tx-access-list"):
        dataclasses.replace(tx, access_list=(*tx.access_list, tx.access_list[0]))
    object.__setattr__(tx, "access_list", (*tx.access_list, tx.access_list[0]))
    assert refused(parse_transaction, "0x" + tx.unsigned.hex()) == "tx-access-list"


@pytest.mark.parametrize("entries", [1, 2])
def test_storage_keys(entries: int) -> None:
    cap = limits.MAX_STORAGE_KEYS
    key = "0x" + "ff" * 32

    def lists(count: int) -> list[Any]:
        counts = [count] if entries == 1 else [1, count - 1]
        return [{"address": "0x" + "ff" * 20, "storageKeys": [key] * n} for n in counts]

    assert parse_transaction(transaction(1, accessList=lists(cap)))
    assert refused(parse_transaction, transaction(1, accessList=lists(cap + 1))) == "tx-access-list"


def test_authorizations() -> None:
    cap = limits.MAX_AUTHORIZATIONS
    entry = authorization(1)
    tx = parse_transaction(transaction(4, authorizationList=[entry] * cap))
    assert refused(parse_transaction, transaction(4, authorizationList=[entry] * (cap + 1))) == "tx-authorization-list"
    with pytest.raises(EvmError, match="tx-authorization-list"):
        dataclasses.replace(tx, authorizations=(*tx.authorizations, tx.authorizations[0]))
    object.__setattr__(tx, "authorizations", (*tx.authorizations, tx.authorizations[0]))
    assert refused(parse_transaction, "0x" + tx.unsigned.hex()) == "tx-authorization-list"


def _nested(depth: int) -> dict[str, Any]:
    """A document whose deepest value lies `depth` levels under the message; array and struct each are one."""
    value: Any = []
    for _ in range(depth // 2):
        value = [{"n": value}]
    return document([("n", "P[]")], {"n": value})


def test_typed_data_depth() -> None:
    cap = limits.MAX_TYPED_DATA_DEPTH
    assert cap % 2 == 0
    assert parse_typed_data(_nested(cap - 2))  # the innermost empty array is level cap - 1
    deepest = document([("a", "uint8" + "[]" * (cap - 1))], {"a": _array(cap - 1)})
    assert parse_typed_data(deepest)
    too_deep = document([("a", "uint8" + "[]" * cap)], {"a": _array(cap)})
    assert refused(parse_typed_data, too_deep) == "typed-too-deep"
    assert refused(parse_typed_data, _nested(cap)) == "typed-too-deep"


def _array(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _chain(count: int) -> dict[str, Any]:
    """A document with `count` types in all: the domain, and a chain from P."""
    names = ["P", *(f"T{i}" for i in range(count - 2))]
    types = {name: [("n", inner + "[]")] for name, inner in itertools.pairwise(names)}
    types[names[-1]] = [("n", "bool")]
    return document(types.pop("P"), {"n": []}, **types)


def test_typed_data_types() -> None:
    cap = limits.MAX_TYPED_DATA_TYPES
    assert len(_chain(cap)["types"]) == cap
    assert parse_typed_data(_chain(cap))
    assert refused(parse_typed_data, _chain(cap + 1)) == "typed-types"


def test_typed_data_fields() -> None:
    def wide(count: int) -> dict[str, Any]:  # one field more is the domain's name
        return document([(f"m{i}", "bool") for i in range(count)], {f"m{i}": True for i in range(count)})

    cap = limits.MAX_TYPED_DATA_FIELDS
    assert parse_typed_data(wide(cap - 1))
    assert refused(parse_typed_data, wide(cap)) == "typed-too-many-fields"


def test_typed_data_values() -> None:
    cap = limits.MAX_TYPED_DATA_VALUES - 2  # the domain's name and the array itself are values

    def long(count: int) -> dict[str, Any]:
        return document([("a", "uint8[]")], {"a": [1] * count})

    assert parse_typed_data(long(cap))
    assert refused(parse_typed_data, long(cap + 1)) == "typed-too-many-values"


def test_typed_data_names() -> None:
    cap = limits.MAX_TYPED_DATA_NAME_CHARS
    for name, code in (("a" * cap, None), ("a" * (cap + 1), "typed-types")):
        member = document([(name, "bool")], {name: True})
        struct = document([("a", "P[]"), ("b", name + "[]")], {"a": [], "b": []}, **{name: [("c", "bool")]})
        if code is None:
            assert parse_typed_data(member)
        else:
            assert refused(parse_typed_data, member) == code
            assert refused(parse_typed_data, struct) == code
    brackets = document([("a", "bool" + "[]" * ((cap - 4) // 2 + 1))], {"a": []})
    assert refused(parse_typed_data, brackets) == "typed-types"


@pytest.mark.parametrize(("type_", "unit"), [("string", "a"), ("bytes", "00")])
def test_typed_data_long_values(type_: str, unit: str) -> None:
    cap = limits.MAX_MESSAGE_BYTES
    prefix = "0x" if type_ == "bytes" else ""
    assert parse_typed_data(document([("a", type_)], {"a": prefix + unit * cap}))
    assert refused(parse_typed_data, document([("a", type_)], {"a": prefix + unit * (cap + 1)})) == f"typed-{type_}"
