"""A passkey in software, for reviewers who sit at a terminal. Its private key lies in a file, so it guards nothing."""

import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from protocol import cbor
from protocol.base64url import encode_b64u

_CREDENTIAL_BYTES: Final = 32
_USER_PRESENT_AND_VERIFIED: Final = b"\x05"
_NO_COUNTER: Final = bytes(4)  # of authenticators that keep none (Web Authentication 6.1.1)


@dataclass(frozen=True, slots=True)
class SoftwarePasskey:
    """One P-256 credential for one site, whose user is always there."""

    site: str
    credential: bytes
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def load_or_create(cls, path: Path, site: str) -> Self:
        """The passkey in `path`, made at first use."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            scalar = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
            path.write_text(json.dumps({"credential": secrets.token_hex(_CREDENTIAL_BYTES), "key": hex(scalar)}))
            path.chmod(0o600)
        kept = json.loads(path.read_text())
        return cls(site, bytes.fromhex(kept["credential"]), ec.derive_private_key(int(kept["key"], 16), ec.SECP256R1()))

    def reviewer(self, name: str) -> dict[str, str]:
        """The entry of a rule document that names its owner as a reviewer."""
        numbers = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        cose = cbor.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        return {"name": name, "credential": encode_b64u(self.credential), "public_key": encode_b64u(cose)}

    def assertion(self, challenge: str, origin: str) -> str:
        """What a browser's `PublicKeyCredential.toJSON()` gives for `challenge` (base64url), as text."""
        client = {"type": "webauthn.get", "challenge": challenge, "origin": origin, "crossOrigin": False}
        client_data = json.dumps(client).encode()
        data = hashlib.sha256(self.site.encode()).digest() + _USER_PRESENT_AND_VERIFIED + _NO_COUNTER
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        response = {"clientDataJSON": client_data, "authenticatorData": data, "signature": signature}
        id_ = encode_b64u(self.credential)
        found: dict[str, Any] = {"id": id_, "rawId": id_, "type": "public-key", "clientExtensionResults": {}}
        return json.dumps(found | {"response": {name: encode_b64u(value) for name, value in response.items()}})
