"""Where bytes come from: a file, standard input or a URL; raw, base64 or hex. Every read is bounded, none is trusted.

A URL gets a nonce of our own. Two conventions are known: the document in the header `X-Attestation-Document` of any
answer, bound to its content by `Sequence/1:` user data (identity-instrument.md 1.7); and an `/attestation` resource
whose body is the document. Redirects are not followed, since the path is part of what is bound.
"""

import http.client
import json
import re
import secrets
import socket
import sys
from base64 import b64decode, urlsafe_b64decode
from binascii import Error as BinasciiError
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Timer
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

from attestation.errors import AttestationError
from protocol import limits

NONCE_HEADER: Final = "X-Attestation-Nonce"
DOCUMENT_HEADER: Final = "X-Attestation-Document"
STATUS_PATH, ATTESTATION_PATH = "/status", "/attestation"

_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2})+\Z")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}\Z")
_JSON_MEMBERS: Final = ("document", "attestation_document", "attestationDocument", "attestation")
_NONCE_BYTES: Final = 16  # as hex, 32 characters: the longest nonce that the header may carry


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP exchange, as `Sequence/1:` user data binds it."""

    method: str
    path: str
    request: bytes
    response: bytes


@dataclass(frozen=True, slots=True)
class Input:
    """Bytes that claim to be a document, and what is known about how they came."""

    data: bytes
    nonces: tuple[bytes, ...] = ()
    """Forms in which a server may repeat the nonce that was sent; empty when none was."""
    exchange: Exchange | None = None
    """The answer that carried the document in its header."""


def is_url(source: str) -> bool:
    """Whether `source` names a URL and not a file."""
    return source.startswith(("http://", "https://"))


def read_input(source: str, encoding: str = "auto", body: bytes | None = None) -> Input:
    """The document behind a URL, a file name or `-`; `AttestationError("input-…")`."""
    if is_url(source):
        return _fetch(source, body)
    return Input(decode(read_bytes(source), encoding))


def read_bytes(source: str) -> bytes:
    """A whole file, or standard input for `-`, up to the limit."""
    limit = limits.MAX_FETCHED_BODY_BYTES
    try:
        if source == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(limit + 1)
    except OSError as error:
        raise AttestationError("input-unreadable", f"{source}: {error.strerror}") from None
    if not data or len(data) > limit:
        raise AttestationError("input-unreadable", f"{source}: empty, or larger than {limit} bytes")
    return data


def decode(data: bytes, encoding: str = "auto") -> bytes:
    """The bytes that `data` stands for: raw, hex or base64 (either alphabet), guessed with `auto`."""
    text = b"".join(data.split())
    if encoding == "raw":
        return data
    if encoding == "hex" or (encoding == "auto" and _HEX.match(text)):
        return _decoded(lambda: bytes.fromhex(text.decode("ascii")))
    if encoding == "base64" or (encoding == "auto" and _BASE64.match(text)):
        return _decoded(lambda: _base64(text))
    return data


def _base64(text: bytes) -> bytes:
    padded = text.rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 4)
    if b"-" in text or b"_" in text:
        return urlsafe_b64decode(padded)
    return b64decode(padded, validate=True)


def _decoded(decoder: Callable[[], bytes]) -> bytes:
    try:
        return decoder()
    except (ValueError, BinasciiError):
        raise AttestationError("input-unreadable", "not the encoding that was named") from None


def _fetch(url: str, body: bytes | None) -> Input:
    parts = urlsplit(url)
    paths = [parts.path] if parts.path not in ("", "/") else [STATUS_PATH, ATTESTATION_PATH]
    for path in paths:
        if found := _ask(parts._replace(path=path), body):
            return found
    raise AttestationError("input-unreachable", f"no {DOCUMENT_HEADER} header, and no document as body")


def _ask(parts: SplitResult, body: bytes | None) -> Input | None:
    """One exchange; None when its answer carries no document."""
    nonce = secrets.token_hex(_NONCE_BYTES)
    nonces = (nonce.encode(), bytes.fromhex(nonce), b64decode(nonce))
    as_resource = parts.path.endswith(ATTESTATION_PATH)
    query = "&".join(filter(None, (parts.query, urlencode({"nonce": nonce}) if as_resource else "")))
    method = "GET" if body is None else "POST"
    target = parts.path + (f"?{query}" if query else "")
    header, response = _exchange(parts, method, target, body or b"", nonce)
    if header is not None:
        document = decode(header.encode("ascii", "replace"), "base64")
        return Input(document, nonces, Exchange(method, parts.path, body or b"", response))
    return Input(decode(_unwrap_json(response)), nonces) if as_resource and response else None


def _unwrap_json(body: bytes) -> bytes:
    """The document's text inside a JSON object that holds it under a usual name, or the body itself."""
    if body[:1] not in (b"{", b'"'):
        return body
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise AttestationError("input-unreachable", "the answer is not JSON") from None
    if isinstance(value, dict):
        value = next((value[name] for name in _JSON_MEMBERS if name in value), None)
    if not isinstance(value, str):
        raise AttestationError("input-unreachable", "the answer's JSON holds no document")
    return value.encode("utf-8", "replace")


def _exchange(parts: SplitResult, method: str, target: str, body: bytes, nonce: str) -> tuple[str | None, bytes]:
    """The answer's document header, if any, and its body. The whole exchange has one deadline."""
    connection = _connection(parts)
    headers = {NONCE_HEADER: nonce} | ({"Content-Type": "application/json"} if method == "POST" else {})
    try:
        connection.connect()
        with _deadline(connection.sock):
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            data = response.read(limits.MAX_FETCHED_BODY_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AttestationError("input-unreachable", f"{parts.netloc}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if len(data) > limits.MAX_FETCHED_BODY_BYTES:
        raise AttestationError("input-unreachable", f"the answer is larger than {limits.MAX_FETCHED_BODY_BYTES} bytes")
    if 300 <= response.status < 400:
        raise AttestationError("input-unreachable", f"redirected to {response.getheader('Location')!r}")
    return response.getheader(DOCUMENT_HEADER), data


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.username is not None:
        raise AttestationError("input-unreachable", "the URL needs a host, and no user")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(host, port, timeout=limits.FETCH_DEADLINE_S)


@contextmanager
def _deadline(connection: socket.socket) -> Iterator[None]:
    """One deadline for all that is done inside, however slowly the other side drips; `TimeoutError` when it passes."""
    passed = Event()

    def hang_up() -> None:
        passed.set()
        with suppress(OSError):  # already gone
            connection.shutdown(socket.SHUT_RDWR)

    timer = Timer(limits.FETCH_DEADLINE_S, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if passed.is_set():
            raise TimeoutError("no complete answer in time")
