"""Targets for what the enclave reads from outside, part by part; `appliance_targets` has the whole of it."""

import asyncio
import base64
import socket
import ssl
from collections.abc import Sequence
from functools import cache
from typing import Any
from unittest.mock import patch

import cbor2

from enclave.config import parse_config
from enclave.errors import BootError, EgressError, KmsError, NsmError, Refusal
from enclave.identity import email_identity, read_identity
from enclave.kms.client import _binary, parse_reply
from enclave.kms.cms import parse_enveloped_data
from enclave.kms.recipient import RecipientKey
from enclave.net import egress, http
from enclave.nsm import messages
from enclave.records import Records
from enclave.secret import Secret
from enclave.shards import SealedShare, ShardSet, read_shard_set
from protocol import cbor, limits
from protocol.errors import ProtocolError
from protocol.services import RecordKey, StoredRecord, Write
from tests.appliance import ClosedEgress, config_json
from tests.enclave_kms import envelopes
from tests.fuzz.loop import run
from tests.fuzz.target import Target
from tests.fuzz.wire_targets import encoded

KEY_ARN = "arn:aws:kms:eu-west-1:111111111111:key/alpha"


# --- connections ---


def _connect_reply(data: bytes) -> object:
    """The parent's answer to CONNECT, and then its end."""
    ours, theirs = socket.socketpair()

    async def dial(_: int) -> socket.socket:
        ours.setblocking(False)
        return ours

    with ours, theirs:
        theirs.setblocking(False)
        theirs.send(data[: 2 * limits.MAX_CONNECT_REPLY_BYTES])
        theirs.shutdown(socket.SHUT_WR)
        way = egress.ConnectEgress(dial, frozenset({("a.test", 443)}))
        run(way.connect("a.test", 443))
    return None


class _Discard:
    """Where a request goes whose answer is known."""

    transport: Any = property(lambda self: self)

    def write(self, _: bytes) -> None: ...

    async def drain(self) -> None: ...

    def abort(self) -> None: ...


def _http_answer(data: bytes) -> object:
    async def open_stream(*_: object) -> tuple[asyncio.StreamReader, _Discard]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return reader, _Discard()

    async def exchange() -> http.HttpResponse:
        return await http.request(
            ClosedEgress(),
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            method="GET",
            host="a.test",
            port=443,
            target="/",
            headers={},
            max_body_bytes=1000,
            deadline_s=5,
        )

    with patch.object(http, "open_stream", open_stream):
        return run(exchange())


# --- KMS and the module ---


@cache
def _recipient() -> RecipientKey:
    return RecipientKey()


def _kms_reply(data: bytes) -> object:
    status = 400 if data[:1] == b"\x01" else 200
    reply = parse_reply(http.HttpResponse(status, {"content-type": "application/x-amz-json-1.1"}, data[1:]), KEY_ARN)
    envelope = _binary(reply, "CiphertextForRecipient", limits.MAX_KMS_ENVELOPE_BYTES)
    return _binary(reply, "CiphertextBlob", limits.MAX_KMS_CIPHERTEXT_BYTES), parse_enveloped_data(envelope)


def _kms_replies() -> list[bytes]:
    envelope = base64.b64encode(envelopes.Parts().encode()).decode()
    return [b"\x00" + encoded({"KeyId": KEY_ARN, "CiphertextBlob": "AAAA", "CiphertextForRecipient": envelope})]


DESCRIPTION = {
    "version_major": 1,
    "version_minor": 0,
    "version_patch": 0,
    "module_id": "i-0-enc0",
    "max_pcrs": 32,
    "locked_pcrs": [0, 1],
    "digest": "SHA384",
}
NSM_PARSERS = (
    (messages.parse_describe, {"DescribeNSM": DESCRIPTION}),
    (messages.parse_describe_pcr, {"DescribePCR": {"lock": True, "data": bytes(48)}}),
    (messages.parse_extend_pcr, {"ExtendPCR": {"data": bytes(48)}}),
    (messages.parse_attestation, {"Attestation": {"document": b"document"}}),
    (messages.parse_random, {"GetRandom": {"random": bytes(256)}}),
    (lambda reply: messages.check_done(reply, "LockPCR"), "LockPCR"),
)


def _nsm_reply(data: bytes) -> object:
    parse, _ = NSM_PARSERS[(data[0] if data else 0) % len(NSM_PARSERS)]
    return parse(data[1:])


# --- records ---


RECORD = RecordKey("account", bytes(32))


class _HostileStore:
    """Answers with what it was given, and keeps what is written."""

    def __init__(self) -> None:
        self.answer = b""

    async def get(self, keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        return [StoredRecord(1, self.answer)]

    async def put(self, writes: Sequence[Write]) -> None:
        self.answer = writes[0].value


@cache
def _records() -> tuple[Records, _HostileStore]:
    store = _HostileStore()
    return Records(store, Secret.take(bytearray(32)), "test", lambda: 1, bytes), store


def _stored_record(data: bytes) -> object:
    records, store = _records()
    store.answer = data
    return run(records.load(RECORD))


def _sealed_record() -> bytes:
    records, store = _records()
    run(records.save(records.change(RECORD, 0, ["body"])))
    return store.answer


def _record_body(data: bytes) -> object:
    """What only a record of our own can hold; still read strictly."""
    body = cbor.loads(data)
    is_identity = isinstance(body, list) and len(body) == 4
    return read_identity(body) if is_identity else read_shard_set(body, threshold=2, count=3)


SHARDS = ShardSet(1, (b"\x02" * 33, b"\x03" * 33), (SealedShare(1, b"sealed"), None, SealedShare(2, b"")))

TARGETS = {
    "config": Target(lambda data: parse_config(data).destinations(), (BootError,), lambda: [encoded(config_json())]),
    "connect_reply": Target(
        _connect_reply, (EgressError,), lambda: [b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n", b"HTTP/1.0 200\r\n\r\n"]
    ),
    "http_answer": Target(
        _http_answer,
        (EgressError,),
        lambda: [
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\nA: b\r\nA: c\r\n\r\nbody",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nbody\r\n0\r\nT: t\r\n\r\n",
        ],
    ),
    "kms_envelope": Target(parse_enveloped_data, (KmsError,), lambda: [envelopes.Parts().encode()]),
    "kms_recipient": Target(
        lambda data: _recipient().unwrap(data).wipe(),
        (KmsError,),
        lambda: [envelopes.seal_to(_recipient().public_key, bytes(32)).encode()],
    ),
    "kms_reply": Target(_kms_reply, (KmsError,), _kms_replies),
    "nsm_reply": Target(
        _nsm_reply,
        (NsmError,),
        lambda: [bytes([place]) + cbor2.dumps(reply) for place, (_, reply) in enumerate(NSM_PARSERS)],
    ),
    "stored_record": Target(_stored_record, (Refusal,), lambda: [_sealed_record()]),
    "record_body": Target(
        _record_body,
        (Refusal, ProtocolError),
        lambda: [cbor.dumps(email_identity("a@b.example").body()), cbor.dumps(SHARDS.body())],
    ),
}
