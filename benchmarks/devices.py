"""Devices of the benchmark: auth keys of both types, their login, and requests signed before the clock runs.

Logins go over plain HTTP without asking for attestation; the client that judges answers is `host_proxy.client`.
"""

import base64
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from typing import Any, Final, Literal

from coincurve import PrivateKey, PublicKey
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evm.keccak import keccak256
from protocol import canonical_json
from simulator import settings

KeyType = Literal["WebCrypto_Secp256r1", "Ethereum_Secp256k1"]
P256: Final = "WebCrypto_Secp256r1"
SECP256K1: Final = "Ethereum_Secp256k1"
SIGN: Final = "/rpc/IdentityInstrument/Sign"
SIGN_TRANSACTION: Final = "/rpc/Signer/SignTransaction"

_EXPIRES_MS: Final = 90_000
_LOGIN_S: Final = 3600
_TRANSFER: Final = {
    "type": "0x2",
    "chainId": "0x1",
    "nonce": "0x9",
    "maxPriorityFeePerGas": "0x3b9aca00",
    "maxFeePerGas": "0x4a817c800",
    "gas": "0xfde8",
    "to": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
    "value": "0x0",
    "data": f"0xa9059cbb{0x11 << 152:064x}{10**6:064x}",
}


@dataclass(frozen=True, slots=True)
class Device:
    """A device key; once logged in also its wallet and session. Plain values: it crosses into the load process."""

    key_type: KeyType
    private_key: bytes
    wallet: str = ""
    session: str = ""

    @classmethod
    def generate(cls, key_type: KeyType, seed: str) -> "Device":
        """The key that belongs to `seed`."""
        return cls(key_type, hashlib.sha256(seed.encode()).digest())

    def signer(self) -> "AuthKey":
        """The key, ready to sign."""
        return (P256Key if self.key_type == P256 else Secp256k1Key)(self.private_key)


class P256Key:
    """r || s over SHA-256."""

    def __init__(self, private_key: bytes) -> None:
        self._key = ec.derive_private_key(int.from_bytes(private_key, "big"), ec.SECP256R1())
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.wire = {"keyType": P256, "address": "0x" + point.hex()}

    def sign(self, canonical_params: bytes) -> str:
        """The envelope's `signature`."""
        r, s = decode_dss_signature(self._key.sign(canonical_params, ec.ECDSA(SHA256())))
        return "0x" + (r.to_bytes(32, "big") + s.to_bytes(32, "big")).hex()


class Secp256k1Key:
    """EIP-191 over the text of the keccak-256 hash."""

    def __init__(self, private_key: bytes) -> None:
        self._key = PrivateKey(private_key)
        point = self._key.public_key.format(compressed=False)
        self.wire = {"keyType": SECP256K1, "address": "0x" + keccak256(point[1:])[12:].hex()}

    def sign(self, canonical_params: bytes) -> str:
        """The envelope's `signature`."""
        text = b"0x" + keccak256(canonical_params).hex().encode()
        digest = keccak256(b"\x19Ethereum Signed Message:\n66" + text)
        return "0x" + self._key.sign_recoverable(digest, hasher=None).hex()


AuthKey = P256Key | Secp256k1Key


def log_in(port: int, tokens: Sequence[tuple[KeyType, str]]) -> list[Device]:
    """A logged-in device with a session for each ID token; `RuntimeError` when the appliance refuses one."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        return [_log_in(connection, key_type, token) for key_type, token in tokens]
    finally:
        connection.close()


def _log_in(connection: HTTPConnection, key_type: KeyType, token: str) -> Device:
    handle = "0x" + keccak256(token.encode()).hex()
    device = Device.generate(key_type, token)
    key = device.signer()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    metadata = {"iss": claims["iss"], "aud": claims["aud"], "exp": str(claims["exp"])}
    common = {"scope": settings.SCOPE, "identityType": "OIDC", "authMode": "IDToken"}

    def call(path: str, params: dict[str, Any]) -> dict[str, Any]:
        connection.request("POST", path, envelope(key, params), {"content-type": "application/json"})
        response = connection.getresponse()
        body: dict[str, Any] = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"{path} was refused: {body}")
        return body

    call("/rpc/IdentityInstrument/CommitVerifier", common | {"handle": handle, "metadata": metadata})
    answer = {"verifier": handle, "answer": token, "signerType": "Ethereum_Secp256k1", "lifetime": _LOGIN_S}
    wallet = call("/rpc/IdentityInstrument/CompleteAuth", common | answer)["signer"]["address"]
    created = call("/rpc/Session/Create", own_params("/rpc/Session/Create", time.time_ns()) | {"lifetime": _LOGIN_S})
    return Device(key_type, device.private_key, wallet, created["session"])


def requests(device: Device, path: str) -> Iterator[bytes]:
    """Endless signed HTTP requests of one device for one method, with rising nonces."""
    key = device.signer()
    make = _digest_params if path == SIGN else _transaction_params
    for nonce in count(time.time_ns()):
        body = envelope(key, make(device, nonce))
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        head += f"Origin: {settings.ORIGIN}\r\nContent-Length: {len(body)}\r\n\r\n"
        yield head.encode() + body


def require_signature(device: Device, request: bytes, answer: bytes) -> None:
    """`RuntimeError` unless `answer` holds the wallet's signature over what was asked for."""
    asked, got = json.loads(request.partition(b"\r\n\r\n")[2])["params"], json.loads(answer)
    digest, raw = bytes.fromhex(asked.get("digest", got.get("digest"))[2:]), bytes.fromhex(got["signature"][2:])
    point = PublicKey.from_signature_and_message(raw[:64] + bytes([raw[64] - 27]), digest, hasher=None).format(False)
    if "0x" + keccak256(point[1:])[12:].hex() != device.wallet:
        raise RuntimeError("a signature is not the wallet's")


def envelope(key: AuthKey, params: dict[str, Any]) -> bytes:
    """A signed request body."""
    signature = key.sign(canonical_json.canonicalize(params))
    return json.dumps({"params": params, "authKey": key.wire, "signature": signature}, separators=(",", ":")).encode()


def own_params(path: str, nonce: int) -> dict[str, Any]:
    """The members that every method of our own demands."""
    expires = time.time_ns() // 1_000_000 + _EXPIRES_MS
    common = {"method": path, "scope": settings.SCOPE, "origin": settings.ORIGIN}
    return common | {"nonce": hex(nonce), "expires": expires}


def _digest_params(device: Device, nonce: int) -> dict[str, Any]:
    digest = hashlib.sha256(nonce.to_bytes(16, "big")).hexdigest()
    signer = {"keyType": SECP256K1, "address": device.wallet}
    return {"scope": settings.SCOPE, "signer": signer, "nonce": hex(nonce), "digest": "0x" + digest}


def _transaction_params(device: Device, nonce: int) -> dict[str, Any]:
    return own_params(SIGN_TRANSACTION, nonce) | {"session": device.session, "transaction": _TRANSFER}
