"""A whole enclave in one process for the tests: real composition over small stand-ins for the nine ports.

Only the ports are fake. Everything that judges, seals and signs is what ships; `Client` signs requests as devices do.
"""

import asyncio
import base64
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct

from attestation import channel
from attestation.channel import InnerRequest
from enclave.app import Enclave, build
from enclave.boot import synchronize
from enclave.config import Config, Holder, parse_config
from enclave.errors import EgressError, GuardError, KmsError, MailError, RelayError, StoreConflict, StoreError
from enclave.phases import Phase
from enclave.ports import DataKey, Ports
from enclave.secret import Secret
from evm.keccak import keccak256
from protocol import canonical_json
from protocol.frames import Request, Response
from protocol.relaying import Relayed, RelayFees, RelayStatus
from protocol.services import Page, RecordKey, StoredRecord, Write
from simulator.nsm import SimulatedNsm
from simulator.pki import NitroPki
from simulator.tls import TlsAuthority

SCOPE = "@123"
OTHER_SCOPE = "@7:games"
ORIGIN = "https://wallet.example.test"
OTHER_ORIGIN = "https://shop.example.test"
ISSUER = "https://idp.example.test"
AUDIENCE = "audience"
HOLDERS = ("alpha", "beta", "gamma")
MODULE_ID = "i-0123456789abcdef0-enc0123456789abcdef"
PCRS = {index: hashlib.sha384(bytes([index])).digest() for index in range(3)}


def config_json(**changes: Any) -> dict[str, Any]:
    """The configuration of the tests as JSON members; `changes` replace top-level ones."""
    roots = _tls_authority().certificate_pem
    rights = ["sign_message", "sign_typed_data", "sign_transaction", "sign_digest"]
    oidc = [{"issuer": ISSUER, "audience": AUDIENCE}]
    scope = {"origins": [ORIGIN, OTHER_ORIGIN], "rights": rights, "email_login": True, "oidc": oidc}
    scope |= {"plain_login": True, "email_code": "digits"}
    scope["email_sender"] = "no-reply@wallet.example.test"
    return {
        "version": 1,
        "role": "instrument",
        "deployment": "test-deployment",
        "threshold": 2,
        "holders": [
            {"name": name, "key_arn": f"arn:aws:kms:eu-west-{i}:{i}11111111111:key/{name}"}
            for i, name in enumerate(HOLDERS, 1)
        ],
        "scopes": [
            scope | {"scope": SCOPE},
            scope | {"scope": OTHER_SCOPE, "rights": ["sign_message"], "email_code": "long"},
        ],
        "tls_roots": {"kms": roots, "identity_providers": roots, "mail": roots},
        "mail": {"host": "mail.example.test", "port": 465},
    } | changes


def config(**changes: Any) -> Config:
    """`config_json` as the enclave reads it."""
    return parse_config(msgspec.json.encode(config_json(**changes)))


class FakeClock:
    """Real time plus what a test adds; `wall_ms` and `monotonic_ms` can be moved apart."""

    def __init__(self) -> None:
        self.wall_offset_ms = 0
        self.monotonic_offset_ms = 0
        self.name = "kvm-clock"

    def advance_s(self, seconds: float) -> None:
        self.wall_offset_ms += int(seconds * 1000)
        self.monotonic_offset_ms += int(seconds * 1000)

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.wall_offset_ms

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self.monotonic_offset_ms

    def source(self) -> str:
        return self.name


class FakeEntropy:
    def __init__(self) -> None:
        self.mixed: list[bytes] = []
        self.name = "nsm-hwrng"

    def random(self, size: int) -> bytes:
        return os.urandom(size)

    def mix(self, data: bytes) -> None:
        self.mixed.append(data)

    def hardware_source(self) -> str:
        return self.name


class MemoryStore:
    """Port `Store`, honest unless a test takes a snapshot and restores it, or breaks it."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, bytes], StoredRecord] = {}
        self.down = False
        self.hidden: set[str] = set()
        self.drop_writes = False

    def snapshot(self) -> dict[tuple[str, bytes], StoredRecord]:
        return dict(self.rows)

    async def get(self, keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        await asyncio.sleep(0)
        if self.down:
            raise StoreError("store-unreachable")
        return [None if key.table in self.hidden else self.rows.get((key.table, key.id)) for key in keys]

    async def ids(self, page: Page) -> list[bytes]:
        await asyncio.sleep(0)
        if self.down:
            raise StoreError("store-unreachable")
        return sorted(id_ for table, id_ in self.rows if table == page.table and id_ > page.after)[: page.limit]

    async def put(self, writes: Sequence[Write]) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise StoreError("store-unreachable")
        for write in writes:
            row = self.rows.get((write.key.table, write.key.id))
            if (0 if row is None else row.version) != write.expected_version:
                raise StoreConflict
        if self.drop_writes:
            return
        for write in writes:
            self.rows[write.key.table, write.key.id] = StoredRecord(write.new_version, write.value)


class FakeKms:
    """Port `Kms` with one switch per holder: `up`, `down` or `lying`."""

    def __init__(self) -> None:
        self.mode = dict.fromkeys(HOLDERS, "up")
        self.blobs: dict[bytes, tuple[str, Mapping[str, str], bytes]] = {}
        self.calls = 0

    async def generate_data_key(self, holder: Holder, context: Mapping[str, str]) -> DataKey:
        self._arrive(holder)
        blob, key = os.urandom(40), os.urandom(32)
        self.blobs[blob] = (holder.key_arn, dict(context), key)
        return DataKey(blob, Secret.take(bytearray(key)))

    async def decrypt(self, holder: Holder, ciphertext_blob: bytes, context: Mapping[str, str]) -> Secret:
        self._arrive(holder)
        arn, bound, key = self.blobs[ciphertext_blob]
        if (arn, bound) != (holder.key_arn, dict(context)):
            raise KmsError("kms-ciphertext-refused")
        return Secret.take(bytearray(os.urandom(32) if self.mode[holder.name] == "lying" else key))

    def _arrive(self, holder: Holder) -> None:
        self.calls += 1
        if self.mode[holder.name] == "down":
            raise KmsError("kms-egress-refused")


class MemoryMailer:
    def __init__(self) -> None:
        self.sent: list[EmailMessage] = []
        self.down = False

    async def send(self, message: EmailMessage) -> None:
        if self.down:
            raise MailError("mail-unreachable")
        self.sent.append(message)

    def last_code(self) -> str:
        return mail_code(self.sent[-1])


def mail_code(message: EmailMessage) -> str:
    """The code in a login mail."""
    body = message.get_body(("plain",))
    assert body is not None
    match = re.search(r"code: ([0-9A-Z-]+)", body.get_content())
    assert match is not None
    return match[1]


class ClosedEgress:
    async def connect(self, host: str, port: int) -> socket.socket:
        raise EgressError("egress-refused")


class NoRelay:
    """A parent that relays nothing."""

    async def send(self, relayed: Relayed) -> RelayStatus:
        raise RelayError("relay-refused")

    async def fees(self, relayed: Relayed) -> RelayFees:
        raise RelayError("relay-refused")

    async def status(self, chain_id: int, id_: bytes) -> RelayStatus:
        raise RelayError("relay-unknown")


class NoGuards:
    """A parent that knows no guard."""

    async def ask(self, guard: bytes, request: bytes) -> tuple[int, bytes]:
        raise GuardError("guard-unknown")


class World:
    """What outlives a boot: holders, store, mailbox, hardware; and the enclave of the current boot."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.pki = NitroPki(folder)
        self.clock, self.entropy = FakeClock(), FakeEntropy()
        self.store, self.kms, self.mailer = MemoryStore(), FakeKms(), MemoryMailer()
        self.egress: Any = ClosedEgress()
        self.relay: Any = NoRelay()
        self.guards: Any = NoGuards()
        self.config = config(**changes)
        self.nsm = self.new_nsm()
        self.enclave: Enclave = self.build()
        self._task: asyncio.Task[None] | None = None

    def new_nsm(self, pcrs: Mapping[int, bytes] = PCRS, *, debug: bool = False) -> SimulatedNsm:
        return SimulatedNsm(self.pki, pcrs, MODULE_ID, clock=self.clock.wall_ms, debug=debug)

    def ports(self) -> Ports:
        return Ports(
            nsm=self.nsm,
            kms=self.kms,
            store=self.store,
            egress=self.egress,
            mailer=self.mailer,
            clock=self.clock,
            entropy=self.entropy,
            relay=self.relay,
            guards=self.guards,
            recipient_public_key=b"recipient",
        )

    def build(self) -> Enclave:
        return build(self.ports(), self.config)

    async def boot(self) -> Enclave:
        """Start the enclave anew over what outlives it; returns once it serves or has halted."""
        await self.stop()
        self.nsm = self.new_nsm()
        self.enclave = self.build()
        self._task = asyncio.create_task(self.enclave.run())
        async with asyncio.timeout(10):
            while self.enclave.phases.phase is Phase.BOOTING:  # noqa: ASYNC110  the enclave has no hook for tests
                await asyncio.sleep(0.001)
        return self.enclave

    async def pass_time(self, seconds: float) -> None:
        """Let time pass everywhere, and the enclave compare its clock with the NSM's as it does each minute."""
        self.clock.advance_s(seconds)
        await synchronize(self.enclave._nsm, self.enclave._clock)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def raw(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, http_method: str = "POST"
    ) -> Response:
        sent = {"content-type": "application/json"} if headers is None else headers
        return await self.enclave.answer(Request(1, f"{http_method} {path}", sent, body))

    async def sealed(self, path: str, envelope: Any) -> dict[str, Any]:
        """POST an envelope past the host, to the channel key of this boot; as `Client.send` for the answer."""
        key = self.enclave._dispatcher._channel.public_key  # type: ignore[union-attr]  it serves
        inner = InnerRequest(f"POST {path}", {"content-type": "application/json"}, json.dumps(envelope).encode())
        body, exchange = channel.seal_request(key, inner, os.urandom(channel.REQUEST_ID_BYTES))
        answer = await self.raw(channel.PATH, body, {"content-type": channel.CONTENT_TYPE})
        opened = exchange.open_response(answer.body)
        found: dict[str, Any] = json.loads(opened.body)
        if opened.status != 200:
            raise Refused(found)
        return found

    async def log_in(self, client: "Client", email: str = "user@example.com", **members: Any) -> dict[str, Any]:
        """Log `client` in by mail; the result of CompleteAuth."""
        started = await client.call("CommitVerifier", commit_params(email))
        answer = otp_answer(started["challenge"], self.mailer.last_code())
        return await client.call("CompleteAuth", complete_params(started["verifier"], answer, **members))


def commit_params(email: str, scope: str = SCOPE) -> dict[str, Any]:
    return {"scope": scope, "identityType": "Email", "authMode": "OTP", "metadata": {}, "handle": email}


def complete_params(verifier: str, answer: str, scope: str = SCOPE, **members: Any) -> dict[str, Any]:
    params = {"scope": scope, "identityType": "Email", "authMode": "OTP", "signerType": "Ethereum_Secp256k1"}
    return params | {"verifier": verifier, "answer": answer} | members


def otp_answer(challenge: str, code: str) -> str:
    return "0x" + keccak256((challenge + code).encode()).hex()


class Refused(Exception):
    """The error body of an answer."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.body = body
        self.code: int = body["code"]
        self.name: str = body["error"]
        self.cause: str = body.get("cause", "")


class Client:
    """A device: a fresh P-256 or secp256k1 auth key and the calls that it signs."""

    def __init__(self, world: World, *, ethereum: bool = False, scope: str = SCOPE, origin: str = ORIGIN) -> None:
        self.world = world
        self.scope = scope
        self.origin = origin
        self._nonce = 0
        if ethereum:
            self._eth = EthAccount.create()
            self.auth_key = {"keyType": "Ethereum_Secp256k1", "address": self._eth.address}
            self._sign = self._sign_ethereum
        else:
            self._p256 = ec.generate_private_key(ec.SECP256R1())
            point = self._p256.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            self.auth_key = {"keyType": "WebCrypto_Secp256r1", "address": "0x" + point.hex()}
            self._sign = self._sign_p256

    @property
    def name(self) -> str:
        return f"{self.auth_key['keyType']}:{self.auth_key['address'].lower()}"

    def envelope(self, params: Any) -> dict[str, Any]:
        signature = self._sign(canonical_json.canonicalize(params))
        return {"params": params, "authKey": self.auth_key, "signature": signature}

    async def send(self, path: str, envelope: Any, **headers: str) -> dict[str, Any]:
        """POST an envelope; the body of a good answer, `Refused` otherwise."""
        sent = {"content-type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        response = await self.world.raw(path, json.dumps(envelope).encode(), sent)
        body: dict[str, Any] = json.loads(response.body)
        if response.status != 200:
            assert response.status == body["status"]
            raise Refused(body)
        return body

    async def call(self, method: str, params: Any, *, sealed: bool = False) -> dict[str, Any]:
        """A method of the Identity Instrument."""
        path, envelope = f"/rpc/IdentityInstrument/{method}", self.envelope(params)
        return await (self.world.sealed(path, envelope) if sealed else self.send(path, envelope))

    def own_params(self, path: str, **members: Any) -> dict[str, Any]:
        self._nonce += 1
        common = {"method": path, "scope": self.scope, "origin": self.origin, "nonce": hex(self._nonce)}
        return common | {"expires": self.world.clock.wall_ms() + 30_000} | members

    async def own(self, path: str, **members: Any) -> dict[str, Any]:
        """One of our own methods, with the common members filled in."""
        return await self.send(path, self.envelope(self.own_params(path, **members)))

    async def sign(self, signer: str, digest: bytes, nonce: int | None = None, **members: Any) -> dict[str, Any]:
        """The published Sign."""
        if nonce is None:
            self._nonce += 1
            nonce = self._nonce
        key = {"keyType": "Ethereum_Secp256k1", "address": signer}
        params = {"scope": self.scope, "signer": key, "nonce": hex(nonce), "digest": "0x" + digest.hex()}
        return await self.call("Sign", params | members)

    async def session(self, **members: Any) -> dict[str, Any]:
        return await self.own("/rpc/Session/Create", **members)

    def _sign_p256(self, data: bytes) -> str:
        r, s = decode_dss_signature(self._p256.sign(data, ec.ECDSA(SHA256())))
        return "0x" + (r.to_bytes(32, "big") + s.to_bytes(32, "big")).hex()

    def _sign_ethereum(self, data: bytes) -> str:
        signed = self._eth.sign_message(encode_defunct(text="0x" + keccak256(data).hex()))
        return "0x" + bytes(signed.signature).hex()


def b64u(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


_authority: list[TlsAuthority] = []


def _tls_authority() -> TlsAuthority:
    if not _authority:
        _authority.append(TlsAuthority.create())
    return _authority[0]
