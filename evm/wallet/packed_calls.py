"""Packed calls: the `payload` argument of a wallet's `execute`, and the guest module's whole calldata.

The contract's `Payload.fromPackedCalls`. A flag byte says which of space, nonce and count follow; each call begins with
a flag byte of its own. What is left out is zero, and a call to "self" goes to the wallet that reads it.
"""

from typing import Final

from evm.address import Address
from evm.wallet.errors import require
from evm.wallet.payload import MAX_CALLS, MAX_PAYLOAD_BYTES, BehaviorOnError, Call, CallsPayload
from evm.wallet.reader import Reader

_CODE: Final = "wallet-packed-calls"
_MAX_DATA_BYTES: Final = 2**24 - 1

_SPACE_ZERO, _SINGLE, _COUNT_U16 = 0x01, 0x10, 0x20
_NONCE_SHIFT, _NONCE_MASK = 1, 0x07
_TO_SELF, _VALUE, _DATA, _GAS_LIMIT, _DELEGATE_CALL, _ONLY_FALLBACK = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_BEHAVIOR_SHIFT: Final = 6


def pack_calls(payload: CallsPayload, self_address: Address | None = None, *, minimal: bool = False) -> bytes:
    """The calls for a contract that does not know who its parents are; `self_address` shortens calls to it.

    As the client library writes it: at least one byte of nonce, and the length of the data even where there is none.
    The `minimal` form leaves both out. Both have one meaning and one hash.
    """
    require(not payload.parent_wallets, "wallet-packed-calls-parents")
    count, nonce_size = len(payload.calls), _size(payload.nonce)
    if not minimal:
        nonce_size = max(nonce_size, 1)
    flag = nonce_size << _NONCE_SHIFT
    head = payload.nonce.to_bytes(nonce_size, "big")
    if payload.space == 0:
        flag |= _SPACE_ZERO
    else:
        head = payload.space.to_bytes(20, "big") + head
    if count == 1:
        flag |= _SINGLE
    elif count > 0xFF:
        flag |= _COUNT_U16
        head += count.to_bytes(2, "big")
    else:
        head += count.to_bytes(1, "big")
    calls = [_pack_call(call, self_address, minimal) for call in payload.calls]
    return b"".join([bytes([flag]), head, *calls])


def parse_packed_calls(data: bytes, self_address: Address) -> CallsPayload:
    """The payload that the wallet `self_address` decodes; refuses short input, trailing bytes, unused flags.

    `InvalidPackedLength` is the contract's answer to bytes that are left over.
    """
    require(len(data) <= MAX_PAYLOAD_BYTES, "wallet-packed-calls-bytes")
    reader = Reader(data, _CODE)
    flag = reader.uint(1)
    require(flag < 0x40, "wallet-packed-calls-flag")
    space = 0 if flag & _SPACE_ZERO else reader.uint(20)
    nonce = reader.uint(flag >> _NONCE_SHIFT & _NONCE_MASK)
    count = 1 if flag & _SINGLE else reader.uint(2 if flag & _COUNT_U16 else 1)
    require(count <= MAX_CALLS, "wallet-calls-count")
    calls = tuple([_parse_call(reader, self_address) for _ in range(count)])
    require(reader.ended, "wallet-packed-calls-length", "InvalidPackedLength")
    return CallsPayload(calls, space, nonce)


def _pack_call(call: Call, self_address: Address | None, minimal: bool) -> bytes:
    flag = call.behavior_on_error << _BEHAVIOR_SHIFT
    parts: list[bytes] = []
    if call.to == self_address:
        flag |= _TO_SELF
    else:
        parts.append(call.to)
    if call.value:
        flag |= _VALUE
        parts.append(call.value.to_bytes(32, "big"))
    if call.data or not minimal:
        require(len(call.data) <= _MAX_DATA_BYTES, "wallet-call-data")
        flag |= _DATA
        parts += [len(call.data).to_bytes(3, "big"), call.data]
    if call.gas_limit:
        flag |= _GAS_LIMIT
        parts.append(call.gas_limit.to_bytes(32, "big"))
    flag |= _DELEGATE_CALL * call.delegate_call | _ONLY_FALLBACK * call.only_fallback
    return b"".join([bytes([flag]), *parts])


def _parse_call(reader: Reader, self_address: Address) -> Call:
    flag = reader.uint(1)
    behavior = flag >> _BEHAVIOR_SHIFT
    require(behavior in tuple(BehaviorOnError), "wallet-call-behavior")
    return Call(
        to=self_address if flag & _TO_SELF else reader.address(),
        value=reader.uint(32) if flag & _VALUE else 0,
        data=reader.take(reader.uint(3)) if flag & _DATA else b"",
        gas_limit=reader.uint(32) if flag & _GAS_LIMIT else 0,
        delegate_call=bool(flag & _DELEGATE_CALL),
        only_fallback=bool(flag & _ONLY_FALLBACK),
        behavior_on_error=BehaviorOnError(behavior),
    )


def _size(number: int) -> int:
    """The fewest bytes that hold `number`; none for 0."""
    return (number.bit_length() + 7) // 8
