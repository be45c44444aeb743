"""An authenticator in software, with a knob for everything that an attacker or a broken device might get wrong."""

import base64
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from protocol import cbor

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED, EXTENSIONS = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def client_data(kind: str, challenge: str, origin: str, /, **members: Any) -> bytes:
    """What a browser writes, with a member that the standard does not know, as Chromium adds on purpose."""
    usual = {"type": f"webauthn.{kind}", "challenge": challenge, "origin": origin, "crossOrigin": False}
    extra = {"other_keys_can_be_added_here": "do not compare clientDataJSON against a template"}
    return json.dumps({name: value for name, value in (usual | extra | members).items() if value is not None}).encode()


@dataclass
class Authenticator:
    """One credential. `algorithm` is `ES256`, `EdDSA` or `RS256`; None in `cose` leaves a member out."""

    rp_id: str
    algorithm: str = "ES256"
    counts: bool = True
    count: int = 0
    flags: int = PRESENT | VERIFIED
    id: bytes = field(default_factory=lambda: os.urandom(32))
    cose: dict[int, Any] = field(default_factory=dict)
    extensions: Any = None

    def __post_init__(self) -> None:
        self._key: Any = {
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
        }[self.algorithm]()

    def create(self, challenge: str, origin: str, /, *, fmt: str = "none", **members: Any) -> dict[str, Any]:
        """`PublicKeyCredential.toJSON()` after `navigator.credentials.create`."""
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor.dumps(self.public_key())
        attestation = cbor.dumps({"fmt": fmt, "attStmt": {}, "authData": self.data(attested)})
        response = {"clientDataJSON": b64u(client_data("create", challenge, origin, **members))}
        response |= {"attestationObject": b64u(attestation), "transports": ["internal"]}
        return self._credential(response)

    def get(self, challenge: str, origin: str, /, **members: Any) -> dict[str, Any]:
        """The same after `navigator.credentials.get`."""
        self.count += self.counts
        data, client = self.data(), client_data("get", challenge, origin, **members)
        signature = self.sign(data + hashlib.sha256(client).digest())
        response = {"clientDataJSON": b64u(client), "authenticatorData": b64u(data), "signature": b64u(signature)}
        return self._credential(response | {"userHandle": b64u(b"user")})

    def data(self, attested: bytes = b"") -> bytes:
        flags = self.flags | (ATTESTED if attested else 0) | (0 if self.extensions is None else EXTENSIONS)
        extended = b"" if self.extensions is None else cbor.dumps(self.extensions)
        head = hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")
        return head + attested + extended

    def sign(self, message: bytes) -> bytes:
        signature: bytes
        if self.algorithm == "ES256":
            signature = self._key.sign(message, ec.ECDSA(SHA256()))
        elif self.algorithm == "EdDSA":
            signature = self._key.sign(message)
        else:
            signature = self._key.sign(message, padding.PKCS1v15(), SHA256())
        return signature

    def public_key(self) -> dict[int, Any]:
        """The COSE_Key."""
        public = self._key.public_key()
        members: dict[int, Any]
        if self.algorithm == "ES256":
            numbers = public.public_numbers()
            members = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        elif self.algorithm == "EdDSA":
            members = {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}
        else:
            numbers = public.public_numbers()
            members = {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: numbers.e.to_bytes(3, "big")}
        return {name: value for name, value in (members | self.cose).items() if value is not None}

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        attachment = {"authenticatorAttachment": "platform", "clientExtensionResults": {}}
        return {"id": b64u(self.id), "rawId": b64u(self.id), "type": "public-key", "response": response} | attachment
