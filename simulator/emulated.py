"""The explicit root of the emulator: QEMU's security module signs nothing, so here somebody signs for it.

Trust side: simulator. An unsigned document, exactly as QEMU writes it, is signed again under a root that says what it
is worth. Whoever was given that root verifies it with the production verifier, everything included: registers, nonce,
what it covers, age. Nothing that ships knows the root, and an unsigned document is refused everywhere else.
Source: nitro-platform.md 4.3.
"""

import base64
from pathlib import Path
from threading import Lock
from typing import Any, Final

import httpx

from attestation.cose import loads_strict
from attestation.roots import TrustRoot
from simulator.documents import Claims, sign_document
from simulator.pki import NitroPki

ROOT_NAME: Final = "Chancery emulator (unsigned documents of QEMU, not hardware)"

_UNSIGNED_PROTECTED: Final = bytes.fromhex("a10120")  # {1: -1}
_NOTHING: Final = bytes(64)
_HEADER: Final = "x-attestation-document"
_MEMBERS: Final = frozenset(
    {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce"}
)


class NotEmulated(ValueError):
    """The document is not an unsigned one of the emulator."""


class EmulatorNotary:
    """Signs for the emulator's module, under a root that it keeps in a folder."""

    def __init__(self, state: Path) -> None:
        self._pki = NitroPki(state)
        self._turn = Lock()  # holders answer in threads; the PKI issues for one at a time

    @property
    def root(self) -> TrustRoot:
        """The root to give to verifiers that shall accept emulated enclaves."""
        return TrustRoot(ROOT_NAME, self._pki.root_der)

    def countersign(self, document: bytes) -> bytes:
        """The same claims, signed; `NotEmulated` unless `document` is exactly what QEMU's module writes."""
        claims = _claims(document)
        with self._turn:
            return sign_document(claims, self._pki)


def _claims(document: bytes) -> Claims:
    match loads_strict(document, max_depth=1):
        case [bytes(protected), dict() as unprotected, bytes(payload), bytes(signature)]:
            if (protected, unprotected, signature) == (_UNSIGNED_PROTECTED, {}, _NOTHING):
                return _payload(loads_strict(payload, max_depth=2))
    raise NotEmulated


def _payload(payload: Any) -> Claims:
    if type(payload) is not dict or payload.keys() != _MEMBERS:
        raise NotEmulated
    if (payload["certificate"], payload["cabundle"], payload["digest"]) != (_NOTHING, [_NOTHING], "SHA384"):
        raise NotEmulated
    module_id, timestamp, pcrs = payload["module_id"], payload["timestamp"], payload["pcrs"]
    if type(module_id) is not str or type(timestamp) is not int or type(pcrs) is not dict:
        raise NotEmulated
    return Claims(module_id, timestamp, pcrs, payload)


class CountersigningTransport(httpx.BaseTransport):
    """A client's transport to an emulated enclave: the notary signs the document of each answer on its way in."""

    def __init__(self, notary: EmulatorNotary) -> None:
        self._notary = notary
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, whose document is left as it is when it is not the emulator's."""
        response = self._inner.handle_request(request)
        document = response.headers.get(_HEADER)
        if document is not None:
            try:
                signed = self._notary.countersign(base64.b64decode(document))
            except ValueError:
                return response
            response.headers[_HEADER] = base64.b64encode(signed).decode()
        return response

    def close(self) -> None:
        """Drop the connections."""
        self._inner.close()
