"""Receipts: the enclave's word on one answer, signed by the identity key, where the caller asks for it (SE-09).

A document vouches for the identity key once; after that a receipt costs one signature and no call to the security
module, which makes documents one after the other.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from attestation.receipt import Receipt, receipt_to_be_signed, request_of_receipt
from enclave import curve
from enclave.clock import TrustedClock
from enclave.deployment import DeploymentSecrets
from enclave.rpc.envelope import Call
from protocol.base64url import encode_b64u

NONCE_HEADER: Final = "x-receipt-nonce"
HEADER: Final = "x-receipt"


class Receipts:
    """Counts and signs the receipts of one boot."""

    def __init__(
        self,
        deployment: str,
        secrets: DeploymentSecrets,
        epoch: bytes,
        clock: TrustedClock,
        next_number: Callable[[], int] | None = None,
    ) -> None:
        """`next_number` counts the receipts of all workers, where there are others."""
        self._deployment = deployment
        self._secrets = secrets
        self._epoch = epoch
        self._clock = clock
        self._next_number = next_number or count(1).__next__

    def begin(self, call: Call, nonce: str) -> "StartedReceipt":
        """Before the work: `Refusal` CLOCK_UNTRUSTED while it can still be refused without an effect."""
        return StartedReceipt(self, call, nonce, self._clock.now_ms())

    def sign(self, call: Call, nonce: str, time_ms: int, status: int, body: bytes) -> str:
        """The receipt of an answer, in base64url."""
        receipt = Receipt(
            issuer=self._deployment,
            method=f"{call.http_method} {call.path}",
            request_hash=hashlib.sha256(request_of_receipt(nonce, call.body)).digest(),
            response_hash=hashlib.sha256(body).digest(),
            status=status,
            boot_epoch=self._epoch,
            sequence=self._next_number(),
            time_ms=time_ms,
        )
        public_key = self._secrets.identity_public_key
        unsigned = receipt_to_be_signed(receipt, public_key)
        signature, _ = curve.sign(self._secrets.identity_key, unsigned.digest, public_key)
        return encode_b64u(unsigned.attach(signature))


@dataclass(frozen=True, slots=True)
class StartedReceipt:
    """A receipt whose answer is not there yet. It bears the time at which the request was taken up."""

    _receipts: Receipts
    _call: Call
    _nonce: str
    _time_ms: int

    def finish(self, status: int, body: bytes) -> str:
        """See `Receipts.sign`."""
        return self._receipts.sign(self._call, self._nonce, self._time_ms, status, body)
