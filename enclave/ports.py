"""The whole outside world of the enclave: nine ports. Everything else in this package is pure or composed from these.

Real adapters are composed by `__main__`; the simulator composes the same `app.build(ports, config)` with its own.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol

from enclave.config import Holder
from enclave.secret import Secret
from protocol.relaying import Relayed, RelayFees, RelayStatus
from protocol.services import Page, RecordKey, StoredRecord, Write


class Nsm(Protocol):
    """The Nitro Security Module as the kernel offers it: one CBOR request in, one CBOR response out, one at a time."""

    def call(self, request: bytes) -> bytes:
        """Blocking (about 1 ms); raises `enclave.errors.NsmError` only. At most 0x1000 bytes in, 0x3000 out."""
        ...


@dataclass(frozen=True, slots=True)
class DataKey:
    """A fresh holder key: what KMS keeps closed, and the opened key (32 bytes)."""

    ciphertext_blob: bytes
    key: Secret


class Kms(Protocol):
    """The attested half of AWS KMS. Every method raises `enclave.errors.KmsError` and no other exception."""

    async def generate_data_key(self, holder: Holder, context: Mapping[str, str]) -> DataKey:
        """A new 32-byte key of `holder`, opened only for this enclave (`GenerateDataKey` with Recipient)."""
        ...

    async def decrypt(self, holder: Holder, ciphertext_blob: bytes, context: Mapping[str, str]) -> Secret:
        """The 32 bytes behind `ciphertext_blob` (`Decrypt` with Recipient)."""
        ...


class Store(Protocol):
    """Opaque records with compare-and-set. Raises `enclave.errors.StoreError`; conflicts raise `StoreConflict`."""

    async def get(self, keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        """One answer for each key, in order."""
        ...

    async def put(self, writes: Sequence[Write]) -> None:
        """All of `writes`, durable on return, or none of them."""
        ...

    async def ids(self, page: Page) -> list[bytes]:
        """A page of a table, as the store likes to tell it; fewer than asked for on the last one."""
        ...


class Relay(Protocol):
    """Brings signed operations of wallets onto a chain. What it answers is the host's word."""

    async def send(self, relayed: Relayed) -> RelayStatus:
        """Hand an operation over, once or again; `enclave.errors.RelayError`."""
        ...

    async def fees(self, relayed: Relayed) -> RelayFees:
        """What it would take to carry out an operation that is not signed; `RelayError`."""
        ...

    async def status(self, chain_id: int, id_: bytes) -> RelayStatus:
        """How far one is; `RelayError("relay-unknown")` for one that was never taken."""
        ...


class Guards(Protocol):
    """Carries requests to guards, and their answers, both as JSON. What comes back is the host's word."""

    async def ask(self, guard: bytes, request: bytes) -> tuple[int, bytes]:
        """HTTP status and body of the answer of the guard with this address; `enclave.errors.GuardError`."""
        ...


class Egress(Protocol):
    """Bytes to a listed destination. TLS is put on top by the caller, inside the enclave."""

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected non-blocking stream socket to `host:port` behind the parent; `enclave.errors.EgressError`."""
        ...


class Mailer(Protocol):
    """Hands a mail to the configured server."""

    async def send(self, message: EmailMessage) -> None:
        """Returns once the server has taken the mail; `enclave.errors.MailError` otherwise."""
        ...


class Clock(Protocol):
    """Time of the guest. Wall time is only used after `boot` has compared it with the NSM (TI-01, TI-04)."""

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds since an arbitrary start; never steps back."""
        ...

    def source(self) -> str:
        """The kernel's current clock source, `kvm-clock` on Nitro (TI-02)."""
        ...


class Entropy(Protocol):
    """The kernel's random generator."""

    def random(self, size: int) -> bytes:
        """`size` bytes of getrandom(2)."""
        ...

    def mix(self, data: bytes) -> None:
        """Stir `data` into the pool without crediting it."""
        ...

    def hardware_source(self) -> str:
        """The current hardware generator, `nsm-hwrng` on Nitro (MS-06)."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """All nine, as `app.build` takes them."""

    nsm: Nsm
    kms: Kms
    store: Store
    egress: Egress
    mailer: Mailer
    clock: Clock
    entropy: Entropy
    relay: Relay
    guards: Guards
    recipient_public_key: bytes
    """SPKI of this boot's recipient key, which published clients find in every attestation document."""
