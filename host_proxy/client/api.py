"""Calls to an appliance over HTTP. Every answer must bring a proof that covers it and this request (SE-09, CH-09).

Proofs are checked against the trust roots and image policy that the caller passes in. There is no way to switch that
off; `receipts` asks for the cheaper kind.
"""

import base64
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from attestation.errors import AttestationError
from attestation.policy import Policy
from attestation.roots import TrustRoot
from attestation.verify import VerifiedDocument
from host_proxy.client.device_key import DeviceKey
from host_proxy.client.errors import ClientError, ServiceRefusal
from host_proxy.client.proofs import DocumentProofs, Exchange, Proofs, ReceiptProofs
from protocol import canonical_json, limits
from protocol.errors import ProtocolError

_DEADLINE_S: Final = limits.REQUEST_DEADLINE_S + 5
_REQUEST_LIFE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A verified answer."""

    body: dict[str, Any]
    document: VerifiedDocument
    """It covers the answer, or the key that signed the answer's receipt."""


class Caller:
    """One appliance, asked by nobody in particular. `post` is all that there is to it."""

    def __init__(
        self,
        url: str,
        *,
        roots: Sequence[TrustRoot],
        image: Policy,
        transport: httpx.BaseTransport | None = None,
        receipts: bool = False,
    ) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(timeout=_DEADLINE_S, transport=transport, follow_redirects=False)
        self._proofs: Proofs = DocumentProofs(roots, image)
        if receipts:
            self._proofs = ReceiptProofs(self._http, self._url, roots, image)

    def close(self) -> None:
        """Drop the connection."""
        self._http.close()

    def post(self, path: str, value: dict[str, Any]) -> Answer:
        """Send `value` and return the attested answer. `ClientError`, or `ServiceRefusal` with the error body."""
        self._proofs.prepare()
        body = json.dumps(value).encode()
        nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        headers = {"content-type": "application/json", self._proofs.nonce_header: nonce}
        try:
            response = self._http.post(self._url + path, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise ClientError("unreachable", f"no answer from {self._url}: {type(error).__name__}") from None
        except AttestationError as error:  # of a transport that seals
            raise ClientError(f"attestation-{error.code}", f"the service is not trusted: {error.text}") from None
        document = self._proofs.verify(Exchange(urlsplit(self._url + path).path, nonce, body, response))
        answer = _parse(response.content)
        if response.status_code != 200:
            raise ServiceRefusal(answer)
        return Answer(answer, document)


class Api(Caller):
    """One appliance, one device key, one scope."""

    def __init__(
        self,
        url: str,
        device: DeviceKey,
        *,
        scope: str,
        origin: str,
        roots: Sequence[TrustRoot],
        image: Policy,
        transport: httpx.BaseTransport | None = None,
        receipts: bool = False,
    ) -> None:
        super().__init__(url, roots=roots, image=image, transport=transport, receipts=receipts)
        self._device = device
        self._scope = scope
        self._origin = origin

    def signed(self, path: str, params: dict[str, Any]) -> Answer:
        """A call of the published wire format: `params` signed by the device key."""
        canonical = canonical_json.canonicalize(params)
        envelope = {"params": params, "authKey": self._device.wire(), "signature": self._device.sign(canonical)}
        return self.post(path, envelope)

    def own(self, path: str, params: dict[str, Any]) -> Answer:
        """A call of our own methods, which also sign method, origin, nonce and expiry."""
        now_ms = time.time_ns() // 1_000_000
        common = {
            "method": path,
            "scope": self._scope,
            "origin": self._origin,
            "nonce": hex(now_ms),
            "expires": now_ms + _REQUEST_LIFE_MS,
        }
        return self.signed(path, common | params)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        value = canonical_json.parse(data, max_bytes=limits.MAX_FRAME_BYTES)
    except ProtocolError:
        raise ClientError("malformed", "the answer is not JSON") from None
    if not isinstance(value, dict):
        raise ClientError("malformed", "the answer is not a JSON object")
    return value
