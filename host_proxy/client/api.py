"""Calls to an appliance over HTTP. Every answer must carry an attestation document that covers it.

The document is checked against the trust roots and image policy that the caller passes in; its `user_data` must be
the hash of this request and this answer, its nonce the one just drawn (SE-09, CH-09). There is no way to switch that
off.
"""

import base64
import binascii
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from attestation.binding import content_user_data
from attestation.errors import AttestationError
from attestation.policy import AllOf, Policy, UserData, online
from attestation.roots import TrustRoot
from attestation.verify import VerifiedDocument, verify
from host_proxy.client.device_key import DeviceKey
from protocol import canonical_json, limits
from protocol.errors import ProtocolError

_DEADLINE_S: Final = limits.REQUEST_DEADLINE_S + 5
_REQUEST_LIFE_MS: Final = 60_000


class ClientError(Exception):
    """The call did not succeed. Stable codes: `unreachable`, `unattested`, `attestation-…`, `malformed`, `refused`."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class ServiceRefusal(ClientError):
    """The appliance refused: `error` is the body of the wire format, attested like any answer."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        cause = f" ({error['cause']})" if error.get("cause") else ""
        super().__init__("refused", f"{error.get('msg', 'refused')}{cause}")
        self.error = dict(error)


@dataclass(frozen=True, slots=True)
class Answer:
    """A verified answer."""

    body: dict[str, Any]
    document: VerifiedDocument


class Api:
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
    ) -> None:
        self._url = url.rstrip("/")
        self._device = device
        self._scope = scope
        self._origin = origin
        self._roots = tuple(roots)
        self._image = image
        self._http = httpx.Client(timeout=_DEADLINE_S, transport=transport, follow_redirects=False)

    def close(self) -> None:
        """Drop the connection."""
        self._http.close()

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

    def post(self, path: str, value: dict[str, Any]) -> Answer:
        """Send `value` and return the attested answer. `ClientError`, or `ServiceRefusal` with the error body."""
        body = json.dumps(value).encode()
        nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        headers = {"content-type": "application/json", "x-attestation-nonce": nonce}
        try:
            response = self._http.post(self._url + path, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise ClientError("unreachable", f"no answer from {self._url}: {type(error).__name__}") from None
        except AttestationError as error:  # of a transport that seals
            raise ClientError(f"attestation-{error.code}", f"the service is not trusted: {error.text}") from None
        answer = _parse(response.content)
        document = response.headers.get("x-attestation-document")
        if document is None:
            if response.status_code != 200 and "code" in answer:
                text = f"the service answered {answer.get('msg')} without attestation: the host itself may have said so"
                raise ClientError("unattested", text)
            raise ClientError("unattested", "the answer carries no attestation document; it is not trusted")
        verified = self._verify(document, nonce, urlsplit(self._url + path).path, body, response.content)
        if response.status_code != 200:
            raise ServiceRefusal(answer)
        return Answer(answer, verified)

    def _verify(self, document: str, nonce: str, path: str, request: bytes, answer: bytes) -> VerifiedDocument:
        covered = UserData(content_user_data("POST", path, request, answer))
        policy = AllOf((online(self._image, nonce.encode()), covered))
        try:
            raw = base64.b64decode(document, validate=True)
        except binascii.Error:
            raise ClientError("unattested", "the attestation document is not base64") from None
        try:
            return verify(raw, policy, time.time_ns() // 1_000_000, self._roots)
        except AttestationError as error:
            raise ClientError(f"attestation-{error.code}", f"the answer is not trusted: {error.text}") from None


def _parse(data: bytes) -> dict[str, Any]:
    try:
        value = canonical_json.parse(data, max_bytes=limits.MAX_FRAME_BYTES)
    except ProtocolError:
        raise ClientError("malformed", "the answer is not JSON") from None
    if not isinstance(value, dict):
        raise ClientError("malformed", "the answer is not a JSON object")
    return value
