"""What an enclave of ours puts into `user_data`, so that a document speaks for more than its image.

`EnclaveBinding` ties a deployment's keys and configuration to the measurement (AT-14). `content_user_data` ties one
HTTP exchange to it, in the form that published Sequence clients check (identity-instrument.md 1.7).
"""

import hashlib
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from attestation.errors import AttestationError
from protocol import cbor, limits
from protocol.errors import ProtocolError

CONTEXT: Final = "chancery/enclave-binding/1"
"""Purpose and version: user data made for anything else, or by another version, does not parse (CB-11)."""
CONTENT_PREFIX: Final = b"Sequence/1:"
IDENTITY_KEY_BYTES: Final = 33
CHANNEL_KEY_BYTES: Final = 32
CONFIG_HASH_BYTES: Final = 32
BOOT_EPOCH_BYTES: Final = 16

_DEPLOYMENT: Final = re.compile(r"[a-z0-9][a-z0-9-]*[a-z0-9]\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveBinding:
    """The public facts of one boot. A value that breaks a rule cannot be built (`binding-malformed`)."""

    deployment: str
    identity_key: bytes
    """Compressed secp256k1 point: signs session attestations and receipts."""
    channel_key: bytes
    """X25519 public key: clients seal what the host must not read to it."""
    config_hash: bytes
    """SHA-256 of the measured configuration file."""
    boot_epoch: bytes
    """Random per boot (RB-08)."""

    def __post_init__(self) -> None:
        sizes = (
            len(self.identity_key) == IDENTITY_KEY_BYTES and self.identity_key[0] in (2, 3),
            len(self.channel_key) == CHANNEL_KEY_BYTES,
            len(self.config_hash) == CONFIG_HASH_BYTES,
            len(self.boot_epoch) == BOOT_EPOCH_BYTES,
        )
        if not all(sizes) or not is_deployment(self.deployment):
            raise AttestationError("binding-malformed")

    def encode(self) -> bytes:
        """Deterministic CBOR, about 200 bytes."""
        return cbor.dumps(
            [CONTEXT, self.deployment, self.identity_key, self.channel_key, self.config_hash, self.boot_epoch]
        )


def is_deployment(name: str) -> bool:
    """Whether `name` is a deployment id: 3 to 64 lower-case letters, digits and inner hyphens."""
    return 3 <= len(name) <= limits.MAX_DEPLOYMENT_CHARS and _DEPLOYMENT.match(name) is not None


def parse_binding(user_data: bytes) -> EnclaveBinding:
    """The binding that `user_data` encodes, in the one encoding; `AttestationError("binding-malformed")`."""
    try:
        value = cbor.loads(user_data, max_bytes=limits.MAX_ATTESTATION_FIELD_BYTES)
    except ProtocolError:
        raise AttestationError("binding-malformed") from None
    match value:
        case [context, str(deployment), bytes(identity), bytes(channel), bytes(config), bytes(epoch)]:
            if context == CONTEXT:
                return EnclaveBinding(
                    deployment=deployment,
                    identity_key=identity,
                    channel_key=channel,
                    config_hash=config,
                    boot_epoch=epoch,
                )
    raise AttestationError("binding-malformed")


def content_user_data(method: str, path: str, request_body: bytes, response_body: bytes) -> bytes:
    """The user data that binds one exchange: `path` without query, bodies raw as on the wire."""
    digest = hashlib.sha256(b"%s %s\n%s\n%s" % (method.encode(), path.encode(), request_body, response_body)).digest()
    return CONTENT_PREFIX + b64encode(digest)
