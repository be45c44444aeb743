"""How a client knows that an answer is the enclave's (SE-09): a document for each, or one document and then receipts.

Both cover this very request, a nonce of its own, and the answer. A document takes the security module milliseconds and
shows the image anew each time; a receipt is one signature of the identity key that a document vouched for.
"""

import base64
import binascii
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import httpx

from attestation.binding import EnclaveBinding, content_user_data
from attestation.errors import AttestationError
from attestation.policy import AllOf, Binding, Policy, UserData, online
from attestation.receipt import Receipt, request_of_receipt, verify_receipt
from attestation.roots import TrustRoot
from attestation.verify import VerifiedDocument, verify
from host_proxy.client.errors import ClientError
from protocol import canonical_json, limits
from protocol.base64url import encode_b64u
from protocol.errors import ProtocolError

_DOCUMENT_PATH: Final = "/rpc/Attestation/Document"
_PIN_S: Final = 900


@dataclass(frozen=True, slots=True)
class Exchange:
    """One POST and its answer. `path` is without query; `nonce` went out in the proof's header."""

    path: str
    nonce: str
    request: bytes
    response: httpx.Response


class Proofs(Protocol):
    """What every answer has to bring."""

    nonce_header: ClassVar[str]

    def prepare(self) -> None:
        """Whatever has to be known before a request goes out. `ClientError`."""
        ...

    def verify(self, exchange: Exchange) -> VerifiedDocument:
        """The document that vouches for the answer, or for the key that does. `ClientError`."""
        ...


class DocumentProofs:
    """A document with each answer."""

    nonce_header: ClassVar = "x-attestation-nonce"

    def __init__(self, roots: Sequence[TrustRoot], image: Policy) -> None:
        self._roots, self._image = tuple(roots), image

    def prepare(self) -> None:
        """Nothing."""

    def verify(self, exchange: Exchange) -> VerifiedDocument:
        raw = _decode(exchange.response.headers.get("x-attestation-document"), exchange, "attestation document")
        covered = content_user_data("POST", exchange.path, exchange.request, exchange.response.content)
        policy = AllOf((online(self._image, exchange.nonce.encode()), UserData(covered)))
        try:
            return verify(raw, policy, _now_ms(), self._roots)
        except AttestationError as error:
            raise _untrusted(error) from None


@dataclass(slots=True)
class _Pin:
    """A boot of the enclave, attested: its keys, and the last receipt seen of it."""

    document: VerifiedDocument
    binding: EnclaveBinding
    until_s: float
    last: int = 0


class ReceiptProofs:
    """One document that binds the identity key; then a receipt with each answer, numbered upwards."""

    nonce_header: ClassVar = "x-receipt-nonce"

    def __init__(self, http: httpx.Client, url: str, roots: Sequence[TrustRoot], image: Policy) -> None:
        self._http, self._url = http, url
        self._roots, self._image = tuple(roots), image
        self._pin: _Pin | None = None

    def prepare(self) -> None:
        """Attest the enclave, unless that was done within the last minutes."""
        if self._pin is None or time.monotonic() > self._pin.until_s:
            self._pin = self._attest()

    def verify(self, exchange: Exchange) -> VerifiedDocument:
        """Where another boot signed than the one attested, that one has to attest itself first."""
        data = _decode(exchange.response.headers.get("x-receipt"), exchange, "receipt")
        pin, self._pin = self._pin or self._attest(), None  # whatever fails, nothing stays pinned
        try:
            receipt = _verified(data, exchange, pin)
        except AttestationError:
            pin = self._attest()
            try:
                receipt = _verified(data, exchange, pin)
            except AttestationError as error:
                raise _untrusted(error) from None
        pin.last, self._pin = receipt.sequence, pin
        return pin.document

    def _attest(self) -> _Pin:
        nonce = secrets.token_bytes(32)
        try:
            response = self._http.post(self._url + _DOCUMENT_PATH, json={"nonce": encode_b64u(nonce)})
        except httpx.HTTPError as error:
            raise ClientError("unreachable", f"no answer from {self._url}: {type(error).__name__}") from None
        document, binding = (_member(response, name) for name in ("document", "binding"))
        policy = AllOf((online(self._image, nonce), UserData(binding), Binding()))
        try:
            verified = verify(document, policy, _now_ms(), self._roots)
            return _Pin(verified, verified.binding(), time.monotonic() + _PIN_S)
        except AttestationError as error:
            raise _untrusted(error) from None


def _verified(data: bytes, exchange: Exchange, pin: _Pin) -> Receipt:
    receipt = verify_receipt(
        data,
        pin.binding.identity_key,
        request=request_of_receipt(exchange.nonce, exchange.request),
        response=exchange.response.content,
        boot_epoch=pin.binding.boot_epoch,
    ).receipt
    expected = pin.binding.deployment, f"POST {exchange.path}", exchange.response.status_code
    if (receipt.issuer, receipt.method, receipt.status) != expected:
        raise AttestationError("receipt-mismatch", "deployment, method or status")
    if receipt.sequence <= pin.last:
        raise AttestationError("receipt-mismatch", "an earlier receipt of this boot")
    return receipt


def _decode(text: str | None, exchange: Exchange, what: str) -> bytes:
    if text is None:
        said = _claim(exchange.response)
        if said is not None:
            text = f"the service answered {said} without {what}: the host itself may have said so"
            raise ClientError("unattested", text)
        raise ClientError("unattested", f"the answer carries no {what}; it is not trusted")
    try:
        return base64.b64decode(
            text + "=" * (-len(text) % 4), altchars=b"-_" if what == "receipt" else None, validate=True
        )
    except binascii.Error:
        raise ClientError("unattested", f"the {what} is not base64") from None


def _claim(response: httpx.Response) -> Any:
    """What an error body says; None for an answer that is none."""
    body = _object(response)
    return body.get("msg") if response.status_code != 200 and "code" in body else None


def _member(response: httpx.Response, name: str) -> bytes:
    value = _object(response).get(name)
    if response.status_code != 200 or type(value) is not str:
        raise ClientError("unattested", f"the service attests nothing: status {response.status_code}")
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ClientError("unattested", f"the {name} is not base64") from None


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        value = canonical_json.parse(response.content, max_bytes=limits.MAX_FRAME_BYTES)
    except ProtocolError:
        return {}
    return value if isinstance(value, dict) else {}


def _untrusted(error: AttestationError) -> ClientError:
    return ClientError(f"attestation-{error.code}", f"the answer is not trusted: {error.text}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
