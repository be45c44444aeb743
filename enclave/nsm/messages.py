"""Requests and replies of the security module (nitro-platform.md 4.2), as values. No I/O.

Trust side: enclave. The module writes CBOR as serde does: a call without arguments is its name, one with arguments a
map of one entry. A reply is accepted only when it is exactly one item, for the call that was made, with exactly the
fields of that call. Maps of indefinite length are taken: current firmware writes them in its documents.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cbor2

from attestation.cose import loads_strict
from attestation.pcr import PCR_BYTES, PCR_COUNT
from enclave.errors import NsmError
from protocol import limits

_MODULE_ERRORS: Final = {
    "InvalidArgument": "nsm-invalid-argument",
    "InvalidIndex": "nsm-invalid-index",
    "InvalidResponse": "nsm-invalid-response",
    "ReadOnlyIndex": "nsm-read-only-index",
    "InvalidOperation": "nsm-invalid-operation",
    "BufferTooSmall": "nsm-buffer-too-small",
    "InputTooLarge": "nsm-input-too-large",
    "InternalError": "nsm-internal-error",
}
_SIGN1_PARTS: Final = 4
_MODULE_ID: Final = re.compile(rf"[\x21-\x7e]{{1,{limits.MAX_MODULE_ID_CHARS}}}\Z")


@dataclass(frozen=True, slots=True)
class Description:
    """What a module with 32 registers of SHA-384 says of itself; the locked ones appear in attestation documents."""

    version: tuple[int, int, int]
    module_id: str
    locked_pcrs: frozenset[int]


@dataclass(frozen=True, slots=True)
class Pcr:
    """A platform configuration register: 48 bytes, and whether it can still be extended."""

    locked: bool
    value: bytes


def encode_describe() -> bytes:
    """`DescribeNSM`."""
    return cbor2.dumps("DescribeNSM")


def encode_describe_pcr(index: int) -> bytes:
    """`DescribePCR`."""
    return _encode("DescribePCR", {"index": _index(index)})


def encode_extend_pcr(index: int, data: bytes) -> bytes:
    """`ExtendPCR`: the module computes SHA384(old value || data), without hashing `data` first."""
    if not 0 < len(data) <= limits.MAX_ATTESTATION_FIELD_BYTES:
        raise NsmError("nsm-invalid-argument" if not data else "nsm-input-too-large")
    return _encode("ExtendPCR", {"index": _index(index), "data": data})


def encode_lock_pcr(index: int) -> bytes:
    """`LockPCR`."""
    return _encode("LockPCR", {"index": _index(index)})


def encode_lock_pcrs(count: int) -> bytes:
    """`LockPCRs`: registers 0 to `count` - 1."""
    if not 0 < count <= PCR_COUNT:
        raise NsmError("nsm-invalid-index")
    return _encode("LockPCRs", {"range": count})


def encode_attestation(user_data: bytes | None, nonce: bytes | None, public_key: bytes | None) -> bytes:
    """`Attestation`; each field is absent (None) or at most 1,024 bytes."""
    fields = {"user_data": user_data, "nonce": nonce, "public_key": public_key}
    if any(value is not None and len(value) > limits.MAX_ATTESTATION_FIELD_BYTES for value in fields.values()):
        raise NsmError("nsm-input-too-large")
    return _encode("Attestation", fields)


def encode_random() -> bytes:
    """`GetRandom`."""
    return cbor2.dumps("GetRandom")


def parse_describe(reply: bytes) -> Description:
    """The description in a reply to `DescribeNSM`."""
    fields = _fields(
        reply,
        "DescribeNSM",
        {
            "version_major": int,
            "version_minor": int,
            "version_patch": int,
            "module_id": str,
            "max_pcrs": int,
            "locked_pcrs": list,
            "digest": str,
        },
    )
    locked = fields["locked_pcrs"]
    if any(type(index) is not int or not 0 <= index < PCR_COUNT for index in locked) or len(set(locked)) != len(locked):
        raise _malformed()
    if fields["digest"] != "SHA384" or fields["max_pcrs"] != PCR_COUNT or not _MODULE_ID.match(fields["module_id"]):
        raise NsmError("nsm-unexpected-module")
    version = fields["version_major"], fields["version_minor"], fields["version_patch"]
    return Description(version, fields["module_id"], frozenset(locked))


def parse_describe_pcr(reply: bytes) -> Pcr:
    """The register in a reply to `DescribePCR`."""
    fields = _fields(reply, "DescribePCR", {"lock": bool, "data": bytes})
    return Pcr(fields["lock"], _sized(fields["data"], PCR_BYTES, PCR_BYTES))


def parse_extend_pcr(reply: bytes) -> bytes:
    """The new value (48 bytes) in a reply to `ExtendPCR`."""
    return _sized(_fields(reply, "ExtendPCR", {"data": bytes})["data"], PCR_BYTES, PCR_BYTES)


def parse_attestation(reply: bytes) -> bytes:
    """The attestation document in a reply to `Attestation`: not verified, not even parsed."""
    document = _fields(reply, "Attestation", {"document": bytes})["document"]
    return _sized(document, 1, limits.MAX_ATTESTATION_DOCUMENT_BYTES)


def parse_document_timestamp(document: bytes) -> int:
    """Milliseconds since the Unix epoch by the module's clock, from a document that this enclave's own module made.

    The signature is for others: the device is trusted here, and a document from anywhere else never gets here.
    `NsmError("nsm-document")`.
    """
    outer = loads_strict(document, max_depth=1)
    payload = outer[2] if type(outer) is list and len(outer) == _SIGN1_PARTS else None
    fields = loads_strict(payload, max_depth=2, allow_indefinite=True) if type(payload) is bytes else None
    timestamp = fields.get("timestamp") if type(fields) is dict else None
    if type(timestamp) is not int or timestamp <= 0:
        raise NsmError("nsm-document")
    return timestamp


def parse_random(reply: bytes) -> bytes:
    """The random bytes (1 to 256) in a reply to `GetRandom`."""
    return _sized(_fields(reply, "GetRandom", {"random": bytes})["random"], 1, limits.MAX_NSM_RANDOM_BYTES)


def check_done(reply: bytes, call: str) -> None:
    """Accept the reply of a call that answers with its own name (`LockPCR`, `LockPCRs`)."""
    if _item(reply) != call:
        raise _malformed()


def _encode(call: str, arguments: Mapping[str, int | bytes | None]) -> bytes:
    return cbor2.dumps({call: arguments})


def _index(index: int) -> int:
    if not 0 <= index < PCR_COUNT:
        raise NsmError("nsm-invalid-index")
    return index


def _fields(reply: bytes, call: str, types: Mapping[str, type]) -> dict[str, Any]:
    """The fields of a reply to `call`, of exactly these names and types."""
    item = _item(reply)
    fields = item.get(call) if type(item) is dict and len(item) == 1 else None
    if type(fields) is not dict or fields.keys() != types.keys():
        raise _malformed()
    if any(type(fields[name]) is not kind for name, kind in types.items()):
        raise _malformed()
    return fields


def _item(reply: bytes) -> Any:
    """The one CBOR item of a reply; a reply that names an error raises it."""
    if len(reply) > limits.MAX_NSM_RESPONSE_BYTES:
        raise NsmError("nsm-response-too-large")
    depth = limits.MAX_NSM_RESPONSE_DEPTH
    item = loads_strict(reply, max_depth=depth, allow_indefinite=True)
    # No item is the beginning of another: what can lose its last byte had bytes after its end.
    if item is None or loads_strict(reply[:-1], max_depth=depth, allow_indefinite=True) is not None:
        raise _malformed()
    if type(item) is dict and item.keys() == {"Error"}:
        name = item["Error"]
        raise NsmError(_MODULE_ERRORS.get(name, "nsm-malformed") if type(name) is str else "nsm-malformed")
    return item


def _sized(value: bytes, lowest: int, highest: int) -> bytes:
    if not lowest <= len(value) <= highest:
        raise _malformed()
    return value


def _malformed() -> NsmError:
    return NsmError("nsm-malformed")
