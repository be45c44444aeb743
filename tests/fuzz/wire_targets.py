"""Targets for what crosses a boundary (`protocol`) and for what is signed (`evm`)."""

import json
from collections.abc import Callable
from typing import Any

from evm import rlp
from evm.address import Address
from evm.authorization import authorization_from_json, parse_authorization
from evm.calldata import understand
from evm.errors import EvmError
from evm.message import parse_message
from evm.signature import parse_recoverable, parse_signature
from evm.transaction import parse_transaction
from evm.typed_data import parse_typed_data
from protocol import canonical_json, cbor, frames, services
from protocol.addresses import parse_address
from protocol.errors import ProtocolError
from protocol.frames import FrameConnection, Request, Response
from protocol.services import Credentials, RecordKey, StoredRecord, Write
from tests.evm import samples
from tests.fuzz.target import Target

KEY = RecordKey("wallets", bytes(range(32)))
CONTRACT = Address(b"\x22" * 20)


def text(data: bytes) -> str:
    """Any bytes as a text, lone surrogates and all."""
    return data.decode("utf-8", "surrogateescape")


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def _same(before: object, after: object) -> None:
    if before != after:
        raise AssertionError("one value has two encodings")


def _frames(data: bytes) -> object:
    connection = FrameConnection()
    half = len(data) // 2
    messages = connection.receive(data[:half]) + connection.receive(data[half:])
    again = b"".join(map(frames.encode, messages))
    _same(data[: len(again)], again)
    return messages


def _json(data: bytes) -> object:
    value = canonical_json.parse(data)
    canonical = canonical_json.canonicalize(value)
    again = canonical_json.parse(canonical, max_bytes=len(canonical))
    _same(canonical, canonical_json.canonicalize(again))
    return value


def _two_ways(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        value = decode(data)
        _same(data, encode(value))
        return value

    return run


def _addresses(data: bytes) -> object:
    address = parse_address(text(data))
    _same(text(data), str(address))
    return address


def _signable(parse: Callable[[Any], Any]) -> Callable[[bytes], object]:
    """A payload as the signer takes it: parsed, hashed, and put into words that JSON and UTF-8 can carry."""

    def run(data: bytes) -> object:
        payload = parse(canonical_json.parse(data))
        understood = json.dumps(payload.understood(), ensure_ascii=False).encode()
        return payload.digest, understood

    return run


def _serialized_transaction(data: bytes) -> object:
    transaction = parse_transaction("0x" + data.hex())
    return transaction.digest, transaction.understood()


def _calldata(data: bytes) -> object:
    return encoded(understand(CONTRACT, 1, data).as_json()), understand(None, 0, data)


def _signature(data: bytes) -> object:
    parse = parse_recoverable if data[-1:] < b"\x02" else parse_signature
    return parse(data).recover(bytes(32))


def _authorization(data: bytes) -> object:
    value = canonical_json.parse(data)
    if isinstance(value, dict) and "r" in value:
        return authorization_from_json(value).authorization.digest
    return parse_authorization(value).digest


def _calls() -> list[bytes]:
    to, amount = b"\x11" * 20, 10**18
    transfer = bytes.fromhex("a9059cbb") + bytes(12) + to + amount.to_bytes(32, "big")
    batch = bytes.fromhex("2eb2c2d6") + b"".join(
        part.to_bytes(32, "big") for part in (1, 2, 160, 224, 288, 1, 7, 1, 9, 0)
    )
    return [transfer, batch, b"", bytes.fromhex("c0ffee00")]


PROTOCOL = (ProtocolError,)
EVM = (EvmError, ProtocolError)

TARGETS = {
    "cbor": Target(
        _two_ways(cbor.loads, cbor.dumps),
        PROTOCOL,
        lambda: [
            cbor.dumps(value) for value in ({1: b"x", -2: [None, True, 2**64 - 1]}, ["text", {"a": {}}], -(2**40))
        ],
    ),
    "frames": Target(
        _frames,
        PROTOCOL,
        lambda: [
            frames.encode(Request(1, "POST /rpc/Session/List", {"content-type": "application/json"}, b"{}")),
            frames.encode(Response(2**64 - 1, 200, {}, b"body")) + frames.encode(Request(0, "store.get", {}, b"")),
        ],
    ),
    "canonical_json": Target(
        _json,
        PROTOCOL,
        lambda: [
            '{"€":[1,-0.0,1e21,123456789012345678,"\\u20ac\\n"],"a":{"b":null,"c":true}}'.encode(),
            b'[5e-324, ""]',
        ],
    ),
    "services_keys": Target(
        _two_ways(services.decode_keys, services.encode_keys),
        PROTOCOL,
        lambda: [services.encode_keys([KEY, RecordKey("t", bytes(32))])],
    ),
    "services_puts": Target(
        _two_ways(services.decode_puts, services.encode_puts),
        PROTOCOL,
        lambda: [services.encode_puts([[Write(KEY, 0, 1, b"value"), Write(KEY, 7, 9, b"")], [Write(KEY, 1, 2, b"")]])],
    ),
    "services_outcomes": Target(
        _two_ways(lambda data: services.decode_outcomes(data, count=2), services.encode_outcomes),
        PROTOCOL,
        lambda: [services.encode_outcomes([services.DURABLE, services.CONFLICT])],
    ),
    "services_records": Target(
        _two_ways(lambda data: services.decode_records(data, count=2), services.encode_records),
        PROTOCOL,
        lambda: [services.encode_records([StoredRecord(3, b"value"), None])],
    ),
    "services_page": Target(
        _two_ways(services.decode_page, services.encode_page),
        PROTOCOL,
        lambda: [services.encode_page(services.Page("account", after, 64)) for after in (b"", bytes(32))],
    ),
    "services_credentials": Target(
        _two_ways(services.decode_credentials, services.encode_credentials),
        PROTOCOL,
        lambda: [services.encode_credentials(Credentials("AKIA", "secret", token)) for token in (None, "token")],
    ),
    "address": Target(_addresses, PROTOCOL, lambda: [b"vsock://16:5000", b"unix:/run/vm.sock:5000"]),
    "rlp": Target(
        _two_ways(lambda data: rlp.decode(data, max_depth=4), rlp.encode),
        EVM,
        lambda: [rlp.encode([1, b"x" * 60, [b"", [2**256 - 1]]]), b"\x7f"],
    ),
    "transaction": Target(
        _signable(parse_transaction),
        EVM,
        lambda: [encoded(samples.transaction(type_)) for type_ in samples.TYPES],
    ),
    "transaction_serialized": Target(
        _serialized_transaction,
        EVM,
        lambda: [parse_transaction(samples.transaction(type_)).unsigned for type_ in samples.TYPES],
    ),
    "typed_data": Target(_signable(parse_typed_data), EVM, lambda: [encoded(samples.mail())]),
    "message": Target(
        _signable(parse_message), EVM, lambda: [encoded({"text": "héllo\u202e"}), encoded({"bytes": "0xc0ffee"})]
    ),
    "authorization": Target(
        _authorization,
        EVM,
        lambda: [
            encoded(samples.authorization(1)),
            encoded({"chainId": "0x1", "address": "0x" + "dd" * 20, "nonce": "0x0"}),
        ],
    ),
    "calldata": Target(_calldata, (), _calls),
    "signature": Target(_signature, EVM, lambda: [bytes(samples.sign(bytes(32)))]),
}
