"""KMS keys of the simulator: their material, their policy, and where they rest between runs.

Each key is one JSON file of mode 0600 in the state folder, replaced atomically, so that wallets survive a restart of
`make run`. A ciphertext blob is this simulator's own format: version, key id, nonce, AES-256-GCM; the associated data
names key ARN, algorithm and the whole encryption context, so a blob opens under nothing else (KM-08, KM-10).
"""

import json
import os
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Final, Self

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from simulator.kms.errors import AwsError, invalid_ciphertext
from simulator.kms.policy import Policy, parse_key_policy

ALGORITHM: Final = "SYMMETRIC_DEFAULT"
REGION: Final = r"[a-z]{2}(?:-[a-z]{1,12}){1,2}-[0-9]{1,2}"

_ARN: Final = re.compile(rf"arn:aws:kms:({REGION}):([0-9]{{12}}):key/([0-9a-f-]{{36}})")
_BLOB_VERSION: Final = b"\x01"
_ID_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_HEAD_BYTES: Final = 1 + _ID_BYTES + _NONCE_BYTES


class StateError(Exception):
    """A file of the state folder is not what this simulator wrote; the text names it."""


@dataclass(frozen=True, slots=True)
class KeyArn:
    """A key of one account in one region."""

    region: str
    account: str
    key_id: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The parts of a key ARN, or None."""
        match = _ARN.fullmatch(text)
        return cls(*match.groups()) if match else None

    def __str__(self) -> str:
        return f"arn:aws:kms:{self.region}:{self.account}:key/{self.key_id}"


@dataclass(frozen=True, slots=True)
class Key:
    """An enabled symmetric key. `material` never leaves the simulator."""

    arn: KeyArn
    material: bytes
    material_id: str
    policy_text: str
    policy: Policy
    created_ms: int

    def __repr__(self) -> str:
        return f"Key({self.arn})"

    def encrypt(self, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """A ciphertext blob bound to this key and `context`."""
        nonce = os.urandom(_NONCE_BYTES)
        head = _BLOB_VERSION + uuid.UUID(self.arn.key_id).bytes + nonce
        return head + AESGCM(self.material).encrypt(nonce, plaintext, self._associated_data(context))

    def decrypt(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """What `encrypt` was given; `AwsError` (InvalidCiphertextException) for any other blob, key or context."""
        nonce, sealed = blob[_HEAD_BYTES - _NONCE_BYTES : _HEAD_BYTES], blob[_HEAD_BYTES:]
        try:
            return AESGCM(self.material).decrypt(nonce, sealed, self._associated_data(context))
        except (InvalidTag, ValueError):
            raise invalid_ciphertext() from None

    def _associated_data(self, context: Mapping[str, str]) -> bytes:
        return cbor2.dumps([str(self.arn), ALGORITHM, sorted(context.items())])


def blob_key_id(blob: bytes) -> str:
    """The key id that a ciphertext blob names, unverified; `AwsError` when it is not a blob."""
    if len(blob) < _HEAD_BYTES + 16 or not blob.startswith(_BLOB_VERSION):
        raise invalid_ciphertext()
    return str(uuid.UUID(bytes=blob[1 : 1 + _ID_BYTES]))


class KeyStore:
    """All keys of all accounts and regions, in memory and on disk. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keys = {(key.arn.region, key.arn.key_id): key for key in map(_load, sorted(folder.glob("*.json")))}

    def create(self, region: str, account: str, policy_text: str, now_ms: int) -> Key:
        """A new key with fresh material, durable on return."""
        arn = KeyArn(region, account, str(uuid.uuid4()))
        if KeyArn.parse(str(arn)) is None:
            raise ValueError("not a region and an account of twelve digits")
        key = Key(arn, os.urandom(32), secrets.token_hex(32), policy_text, parse_key_policy(policy_text), now_ms)
        self._put(key)
        return key

    def set_policy(self, key: Key, policy_text: str) -> None:
        """Replace the policy; `AwsError` when it cannot be evaluated."""
        self._put(replace(key, policy_text=policy_text, policy=parse_key_policy(policy_text)))

    def all(self) -> tuple[Key, ...]:
        """Every key of every account and region."""
        return tuple(self._keys.values())

    def by_id(self, region: str, key_id: str) -> Key | None:
        """The key of that id in `region`, whatever its account."""
        return self._keys.get((region, key_id))

    def find(self, region: str, account: str, reference: str) -> Key:
        """The key that a `KeyId` member names: an ARN, or an id within the caller's account; `AwsError` otherwise."""
        arn = KeyArn.parse(reference) or KeyArn(region, account, reference)
        if arn.region != region:
            raise AwsError("NotFoundException", f"Invalid arn {arn.region}")
        key = self.by_id(region, arn.key_id)
        if key is None or key.arn != arn:
            raise AwsError("NotFoundException", f"Key '{arn}' does not exist")
        return key

    def _put(self, key: Key) -> None:
        record = {
            "arn": str(key.arn),
            "material_hex": key.material.hex(),
            "material_id": key.material_id,
            "policy": key.policy_text,
            "created_ms": key.created_ms,
        }
        with self._lock:
            write_private(self._folder / f"{key.arn.key_id}.json", json.dumps(record).encode())
            self._keys = {**self._keys, (key.arn.region, key.arn.key_id): key}


def _load(path: Path) -> Key:
    try:
        record = json.loads(path.read_bytes())
        arn = KeyArn.parse(record["arn"])
        material = bytes.fromhex(record["material_hex"])
        if arn is None or len(material) != 32 or path.stem != arn.key_id:
            raise ValueError
        policy = parse_key_policy(record["policy"])
        return Key(arn, material, record["material_id"], record["policy"], policy, record["created_ms"])
    except (ValueError, KeyError, TypeError, AttributeError, AwsError):
        raise StateError(f"not a key of this simulator: {path.name}") from None


def write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 so that a crash leaves the old content or the new one."""
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
