"""Port `Kms` over aws-nitro-enclaves-sdk-c, one child process for each holder (nitro-platform.md 5).

Trust side: enclave. Offered for parity with other deployments; `enclave.kms.client` is the default. What differs: the
library makes its own recipient key and attestation document, trusts the TLS roots of the image's system, dials the
endpoint directly, and tells no reason for a failure. It names the holder's key in each request, so KMS refuses a blob
of another. Its GenerateDataKey has no encryption context, which holder keys must have (KM-06): such keys are made
through `provisioner`. A child that crashes or hangs costs one call and is replaced at the next.
"""

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from enclave.config import Holder
from enclave.errors import BootError, KmsError
from enclave.kms.hints import CredentialsOf, fetch_hint
from enclave.kms.sdk_c_abi import DOMAIN_VSOCK, KEY_BYTES, Access, candidates
from enclave.kms.sdk_c_worker import HEADER, LIBRARY_MISSING, LIBRARY_SYMBOL, STATUSES, SdkRequest, encode_frame
from enclave.ports import DataKey, Kms
from enclave.secret import Secret
from protocol import limits
from protocol.addresses import KMS_PORT_BASE, PARENT_CID

_MODULE: Final = "enclave.kms.sdk_c_worker"
_CRASHED: Final = "kms-sdk-crashed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the library dials: a context id in decimal, a port, and the number of the socket domain."""

    address: str = str(PARENT_CID)
    port: int = KMS_PORT_BASE
    domain: int = DOMAIN_VSOCK


class SdkKms:
    """The other client. One instance per event loop; calls to different holders overlap."""

    def __init__(
        self, library: str, credentials: CredentialsOf, *, provisioner: Kms, endpoints: Mapping[str, Endpoint]
    ) -> None:
        """`library` is the measured path; empty means the usual loader search; `endpoints` go by holder.

        Blocks while a child tries to load the library.

        `BootError`: `sdk-library-missing` (names what was looked for), `sdk-library-symbol` (names what it lacks),
        `sdk-library-broken` (it crashes or hangs), `sdk-library-path` (a path that is not absolute).
        """
        probe(library)
        self._library = library
        self._credentials = credentials
        self._provisioner = provisioner
        self._endpoints = endpoints
        self._workers: dict[str, _Worker] = {}

    async def generate_data_key(self, holder: Holder, context: Mapping[str, str]) -> DataKey:
        """`enclave.ports.Kms.generate_data_key`."""
        if context:
            return await self._provisioner.generate_data_key(holder, context)
        key, blob = await self._call(holder, b"", context)
        return DataKey(blob, key)

    async def decrypt(self, holder: Holder, ciphertext_blob: bytes, context: Mapping[str, str]) -> Secret:
        """`enclave.ports.Kms.decrypt`."""
        if not 0 < len(ciphertext_blob) <= limits.MAX_KMS_CIPHERTEXT_BYTES:
            raise KmsError("kms-ciphertext-refused")
        key, _ = await self._call(holder, ciphertext_blob, context)
        return key

    def close(self) -> None:
        """End all children."""
        for worker in self._workers.values():
            worker.stop()

    async def _call(self, holder: Holder, blob: bytes, context: Mapping[str, str]) -> tuple[Secret, bytes]:
        worker = self._workers.setdefault(holder.name, _Worker(self._library))
        try:
            async with asyncio.timeout(limits.KMS_DEADLINE_S):
                access = await self._access(holder)
                return await worker.call(SdkRequest(access, holder.key_arn, blob, json.dumps(dict(context))).encode())
        except TimeoutError:
            raise KmsError("kms-deadline") from None

    async def _access(self, holder: Holder) -> Access:
        hint, endpoint = await fetch_hint(self._credentials, holder.name), self._endpoints[holder.name]
        return Access(
            region=holder.region,
            address=endpoint.address,
            port=endpoint.port,
            domain=endpoint.domain,
            access_key_id=hint.access_key_id,
            secret_access_key=hint.secret_access_key,
            session_token=hint.session_token or "",
        )


class _Worker:
    """A child process and the socket to it. Started when needed; ended by whatever leaves an answer unread."""

    def __init__(self, library: str) -> None:
        self._library = library
        self._turn = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    async def call(self, request: bytes) -> tuple[Secret, bytes]:
        """The secret and the blob of one answer; `KmsError`."""
        async with self._turn:
            try:
                connection = await self._connected()
                await asyncio.get_running_loop().sock_sendall(connection, request)
                answer = await _read_answer(connection)
            except OSError:
                self.stop()
                raise KmsError(_CRASHED) from None
            except BaseException:  # deadline and cancellation as well
                self.stop()
                raise
        if answer.secret is None:
            raise KmsError(answer.status or _CRASHED)
        return answer.secret, answer.rest

    def stop(self) -> None:
        """Kill the child and reap it; both take a moment only, so the event loop waits."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._socket = None

    async def _connected(self) -> socket.socket:
        """The socket to a child that has loaded the library."""
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._socket is None:
            self._process, self._socket = _spawn(self._library)
            self._socket.setblocking(False)
            if (await _read_answer(self._socket)).status:
                raise KmsError(_CRASHED)
        return self._socket


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a child wrote: a status (empty: done), the secret if there is one, and the rest."""

    status: str
    secret: Secret | None
    rest: bytes


async def _read_answer(connection: socket.socket) -> _Answer:
    """One answer; the secret is read straight into locked memory."""
    header = bytearray(HEADER.size)
    await _receive_into(connection, memoryview(header))
    status, secret_size, rest_size = HEADER.unpack(header)
    if status >= len(STATUSES) or secret_size not in (0, KEY_BYTES) or rest_size > limits.MAX_KMS_CIPHERTEXT_BYTES:
        raise KmsError(_CRASHED)
    secret, rest = Secret(KEY_BYTES) if secret_size else None, bytearray(rest_size)
    try:
        if secret is not None:
            await _receive_into(connection, secret.view)
        await _receive_into(connection, memoryview(rest))
    except BaseException:
        if secret is not None:
            secret.wipe()
        raise
    return _Answer(STATUSES[status], secret, bytes(rest))


async def _receive_into(connection: socket.socket, view: memoryview) -> None:
    loop, done = asyncio.get_running_loop(), 0
    while done < len(view):
        size = await loop.sock_recv_into(connection, view[done:])
        if size == 0:
            raise KmsError(_CRASHED)
        done += size


def probe(library: str) -> None:
    """Have a child load the library and end; `BootError` as `SdkKms` lists them."""
    if library and not os.path.isabs(library):
        raise BootError("sdk-library-path", library)
    names = ", ".join(candidates(library))
    child, connection = _spawn(library)
    try:
        connection.settimeout(limits.SDK_PROBE_DEADLINE_S)
        number, _, size = HEADER.unpack(connection.recv(HEADER.size, socket.MSG_WAITALL))
        status, detail = STATUSES[number], connection.recv(size, socket.MSG_WAITALL).decode("utf-8", "replace")
    except (OSError, struct.error, IndexError):
        raise BootError("sdk-library-broken", names) from None
    finally:
        connection.close()
        child.kill()
        child.wait()
    if status == LIBRARY_MISSING:
        raise BootError(LIBRARY_MISSING, f"looked for {names}; the loader says: {detail}")
    if status == LIBRARY_SYMBOL:
        raise BootError(LIBRARY_SYMBOL, f"{names} does not export {detail}")


def _spawn(library: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A child and the socket to it, with the path of the library already on its way."""
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(encode_frame(library))
        child = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", _MODULE],
            env=_environment(),
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # the library writes there what KMS said
        )
    return child, ours


def _environment() -> dict[str, str]:
    """Where the parent found its own code, and nothing else."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
