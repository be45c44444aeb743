"""Receipts: the enclave's signed word on one request (SE-09).

A receipt binds request, response, decision, boot and place in the boot's sequence. One attestation document vouches for
the identity key, and with it for any number of receipts. A client that keeps the last one can prove a rollback (RB-06).
"""

import hashlib
from dataclasses import InitVar, dataclass, field
from hmac import compare_digest
from typing import Any, Final

from attestation.binding import BOOT_EPOCH_BYTES, is_deployment
from attestation.errors import AttestationError
from attestation.minted import Minted, require_mint
from attestation.signed import RECEIPT_KIND, ToBeSigned, to_be_signed, verify_signed
from protocol import cbor, limits
from protocol.errors import ProtocolError

HASH_BYTES: Final = 32

_MINT: Final = object()
_MAX_SEQUENCE: Final = 2**63 - 1
_TIMES_MS: Final = range(1, 253_402_300_800_000)  # to the year 9999
_STATUSES: Final = range(100, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt says. A value out of range cannot be built (`claims-malformed`)."""

    issuer: str
    """The deployment id."""
    method: str
    request_hash: bytes
    """SHA-256 of what `request_of_receipt` makes of the caller's nonce and the raw request body."""
    response_hash: bytes
    """SHA-256 of the raw response body."""
    status: int
    """The decision, as an HTTP status."""
    boot_epoch: bytes
    sequence: int
    """Counts the receipts of one boot."""
    time_ms: int

    def __post_init__(self) -> None:
        rules = {
            "issuer": is_deployment(self.issuer),
            "method": 0 < len(self.method) <= limits.MAX_RECEIPT_METHOD_CHARS and self.method.isascii(),
            "request_hash": len(self.request_hash) == HASH_BYTES,
            "response_hash": len(self.response_hash) == HASH_BYTES,
            "status": self.status in _STATUSES,
            "boot_epoch": len(self.boot_epoch) == BOOT_EPOCH_BYTES,
            "sequence": 0 <= self.sequence <= _MAX_SEQUENCE,
            "time_ms": self.time_ms in _TIMES_MS,
        }
        for name, holds in rules.items():
            if not holds:
                raise AttestationError("claims-malformed", name)

    def encode(self) -> bytes:
        """Deterministic CBOR: the members in the order of this class."""
        return cbor.dumps([getattr(self, name) for name in self.__slots__])


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt(Minted):
    """A receipt whose signature and expectations held. Only `verify_receipt` makes one."""

    receipt: Receipt
    data: bytes = field(repr=False)
    mint: InitVar[object]

    def __post_init__(self, mint: object) -> None:
        require_mint(mint, _MINT)


def request_of_receipt(nonce: str, body: bytes) -> bytes:
    """What a receipt covers of a request: the caller's nonce (ASCII, without line breaks), then the raw body."""
    return nonce.encode("ascii") + b"\n" + body


def receipt_to_be_signed(receipt: Receipt, identity_key: bytes) -> ToBeSigned:
    """`receipt`, to be signed by the identity key (compressed point, 33 bytes)."""
    return to_be_signed(RECEIPT_KIND, receipt.encode(), identity_key)


def verify_receipt(
    data: bytes,
    identity_key: bytes,
    *,
    request: bytes | None = None,
    response: bytes | None = None,
    boot_epoch: bytes | None = None,
) -> VerifiedReceipt:
    """The receipt in `data`, signed by `identity_key`, about these bytes and this boot; `AttestationError`.

    `request` is what `request_of_receipt` gives, `response` the raw body.
    """
    sign1 = verify_signed(data, RECEIPT_KIND, identity_key, max_bytes=limits.MAX_RECEIPT_BYTES)
    receipt = parse_receipt(sign1.payload)
    for name, actual, expected in (
        ("request", receipt.request_hash, None if request is None else hashlib.sha256(request).digest()),
        ("response", receipt.response_hash, None if response is None else hashlib.sha256(response).digest()),
        ("boot_epoch", receipt.boot_epoch, boot_epoch),
    ):
        if expected is not None and not compare_digest(actual, expected):
            raise AttestationError("receipt-mismatch", name)
    return VerifiedReceipt(receipt=receipt, data=data, mint=_MINT)


def parse_receipt(payload: bytes) -> Receipt:
    """The receipt in `payload`, unverified; `AttestationError("claims-malformed")` for any other encoding."""
    try:
        value: Any = cbor.loads(payload, max_bytes=limits.MAX_RECEIPT_BYTES)
    except ProtocolError:
        raise AttestationError("claims-malformed") from None
    kinds = [str, str, bytes, bytes, int, bytes, int, int]
    if type(value) is not list or list(map(type, value)) != kinds:
        raise AttestationError("claims-malformed")
    return Receipt(**dict(zip(Receipt.__slots__, value, strict=True)))
