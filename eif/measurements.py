"""The registers that an image will have, computed from its file (nitro-platform.md 1.4, SC-02).

Registers hash the data of sections in a row, without their lengths, so only PCR0, PCR1 and PCR2 together, and the
digests of the sections, tell two images apart (AT-11).
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from attestation import pcr
from eif.errors import EifError
from eif.layout import MEASURED, SectionType
from eif.reader import Image, SectionStart, opened, read_image
from eif.signature import ImageSignature, parse_signature

HASH_ALGORITHM: Final = "Sha384 { ... }"
"""The literal text that nitro-cli prints."""

_CHUNK_BYTES: Final = 1 << 20
_PARTITION: Final = r"aws(?:-[a-z]+){0,3}"
_ROLE: Final = re.compile(rf"arn:{_PARTITION}:iam::[0-9]{{12}}:role/(?:[!-.0-~]{{1,510}}/)*[A-Za-z0-9_+=,.@-]{{1,64}}")
_MAX_ROLE_CHARS: Final = 2048
_INSTANCE: Final = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")


@dataclass(frozen=True, slots=True)
class Registers:
    """PCR0 to PCR2 in the making: an `Observer` of `read_image`."""

    _whole: Any = field(default_factory=hashlib.sha384)
    _boot: Any = field(default_factory=hashlib.sha384)
    _application: Any = field(default_factory=hashlib.sha384)

    def __call__(self, start: SectionStart, chunk: bytes) -> None:
        """Take the next piece of a section's data."""
        if start.kind not in MEASURED:
            return
        self._whole.update(chunk)
        later_ramdisk = start.kind is SectionType.RAMDISK and start.number > 0
        (self._application if later_ramdisk else self._boot).update(chunk)

    def values(self) -> dict[int, bytes]:
        """The registers by index."""
        hashes = (self._whole, self._boot, self._application)
        return {index: pcr.extend(pcr.ZERO, hasher.digest()) for index, hasher in enumerate(hashes)}


@dataclass(frozen=True, slots=True)
class Measured:
    """An image and its registers. `signature` is parsed, not verified."""

    image: Image
    pcrs: dict[int, bytes]
    """0, 1, 2, and 8 when there is a signature section."""
    signature: ImageSignature | None

    def to_json(self) -> dict[str, str]:
        """nitro-cli's `Measurements`."""
        return {"HashAlgorithm": HASH_ALGORITHM} | {f"PCR{index}": value.hex() for index, value in self.pcrs.items()}


def measure(stream: BinaryIO, *, allow_damage: bool = False) -> Measured:
    """One pass over an image of any size, in constant memory; `EifError`."""
    registers = Registers()
    image = read_image(stream, registers, allow_damage=allow_damage)
    pcrs = registers.values()
    content = image.content(SectionType.SIGNATURE)
    signature = None if content is None else parse_signature(content)
    if signature is not None:
        pcrs[8] = signature.signer.pcr8
    return Measured(image, pcrs, signature)


def measure_path(path: Path) -> dict[int, bytes]:
    """The registers of the image in a file; `EifError`."""
    with opened(path) as stream:
        return measure(stream).pcrs


def of_file(stream: BinaryIO) -> bytes:
    """A register extended with the hash of a whole file, as `nitro-cli pcr --input` computes it."""
    digest = hashlib.sha384()
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return pcr.extend(pcr.ZERO, digest.digest())


def of_role(arn: str) -> bytes:
    """PCR3 for a parent instance with this IAM role; `EifError("role-malformed")` for anything but a role's ARN.

    An instance profile or the session of an assumed role gives a register that no enclave ever has.
    """
    if len(arn) > _MAX_ROLE_CHARS or not _ROLE.fullmatch(arn):
        raise EifError("role-malformed", "arn:aws:iam::ACCOUNT:role/NAME is expected")
    return pcr.of_role(arn)


def of_instance(instance_id: str) -> bytes:
    """PCR4 for this parent instance; `EifError("instance-malformed")`."""
    if not _INSTANCE.fullmatch(instance_id):
        raise EifError("instance-malformed", "i- and 17 (or, of old, 8) hexadecimal digits are expected")
    return pcr.of_instance(instance_id)
