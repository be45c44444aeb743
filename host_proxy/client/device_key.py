"""The auth key of this device: P-256, kept in one file that only its owner may read."""

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

KEY_TYPE: Final = "WebCrypto_Secp256r1"


class DeviceKey:
    """Signs the canonical form of a request's `params`."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        public = key.public_key()
        self.address = "0x" + public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()
        self.public_key = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    @classmethod
    def generate(cls) -> "DeviceKey":
        """A fresh key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path) -> "DeviceKey":
        """The key in `path`; `OSError` where there is none, `ValueError` when the file holds something else."""
        key = load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("not a P-256 key")  # noqa: TRY004  what the file holds is of no type
        return cls(key)

    @classmethod
    def load_or_create(cls, path: Path) -> "DeviceKey":
        """The key in `path` (PEM, mode 0600), made at first use. `ValueError` when the file holds something else."""
        if path.exists():
            return cls.load(path)
        created = ec.generate_private_key(ec.SECP256R1())
        pem = created.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        return cls(created)

    def __repr__(self) -> str:
        return "DeviceKey(<redacted>)"

    def wire(self) -> dict[str, str]:
        """The `authKey` member."""
        return {"keyType": KEY_TYPE, "address": self.address}

    def sign(self, canonical_params: bytes) -> str:
        """r || s over SHA-256, as `0x` hex."""
        r, s = decode_dss_signature(self._key.sign(canonical_params, ec.ECDSA(SHA256())))
        return "0x" + (r.to_bytes(32, "big") + s.to_bytes(32, "big")).hex()
