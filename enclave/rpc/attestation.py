"""Attestation documents: one for each answer that asks for it, and one that binds the enclave's keys (CH-14, DO-05).

The NSM is serial, so documents are made one at a time and a bounded number of requests may wait.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from attestation.binding import EnclaveBinding, content_user_data
from attestation.lru import Lru
from enclave.errors import NsmError, Refusal
from enclave.nsm.client import NsmClient
from enclave.rpc.envelope import Call, parse_object, require_json_post
from protocol import errors, limits
from protocol.base64url import decode_b64u, encode_b64u

_SHARED_MS: Final = 1000
_SHARED: Final = 64


@dataclass(frozen=True, slots=True)
class _Shared:
    """A document that several may wait for, and when it was asked for."""

    asked_ms: int
    document: asyncio.Task[bytes]


class Attestor:
    """Makes documents. `recipient_public_key` is the SPKI that published clients find in every document.

    `binding` gives what holds at the time it is called, since channel keys change; `monotonic_ms` is for intervals.
    """

    def __init__(
        self,
        nsm: NsmClient,
        binding: Callable[[], EnclaveBinding],
        recipient_public_key: bytes,
        monotonic_ms: Callable[[], int],
    ) -> None:
        self._nsm = nsm
        self._monotonic_ms = monotonic_ms
        self._shared: Lru[tuple[bytes, bytes], _Shared] = Lru(_SHARED)
        self._binding = binding
        self._recipient_public_key = recipient_public_key
        self._waiting = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A place in the queue for a document, taken before the work that it will attest; BUSY when there is none."""
        if self._waiting >= limits.MAX_DOCUMENTS_WAITING:
            raise Refusal(errors.BUSY)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def for_response(self, call: Call, nonce: str, response_body: bytes) -> bytes:
        """A document whose `user_data` covers this request and answer, and whose `nonce` is the caller's text.

        The caller holds a `slot`. A GET changes nothing, so whoever asks the same with the same nonce within a second,
        and is told the same, gets the same document.
        """
        user_data = content_user_data(call.http_method, call.path, call.body, response_body)
        if call.http_method == "GET":
            return await self._attest_once(user_data, nonce.encode())
        return await self._attest(user_data, nonce.encode())

    async def document(self, call: Call) -> dict[str, Any]:
        """Attestation/Document: `{"nonce": base64url of 16 to 64 bytes}` -> `{document, binding}`, both base64url."""
        require_json_post(call)
        body = parse_object(call.body)
        nonce = _nonce(body.get("nonce"))
        if nonce is None or body.keys() != {"nonce"}:
            raise Refusal(errors.INVALID_REQUEST, "nonce of 16 to 64 bytes in base64url is required")
        binding = self._binding().encode()
        with self.slot():
            return {"document": encode_b64u(await self._attest(binding, nonce)), "binding": encode_b64u(binding)}

    async def _attest_once(self, user_data: bytes, nonce: bytes) -> bytes:
        question, now_ms = (user_data, nonce), self._monotonic_ms()
        shared = self._shared.get(question)
        if shared is None or now_ms - shared.asked_ms >= _SHARED_MS:
            shared = _Shared(now_ms, asyncio.create_task(self._attest(user_data, nonce)))
            self._shared.put(question, shared)
        return await asyncio.shield(shared.document)  # who gives up takes nobody along

    async def _attest(self, user_data: bytes, nonce: bytes) -> bytes:
        try:
            return await self._nsm.attest(user_data=user_data, nonce=nonce, public_key=self._recipient_public_key)
        except NsmError:
            raise Refusal(errors.INTERNAL_ERROR) from None


def _nonce(value: Any) -> bytes | None:
    if type(value) is not str:
        return None
    nonce = decode_b64u(value.rstrip("="))
    if nonce is None or not limits.MIN_DOCUMENT_NONCE_BYTES <= len(nonce) <= limits.MAX_DOCUMENT_NONCE_BYTES:
        return None
    return nonce
