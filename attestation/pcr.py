"""Platform configuration registers: what each one measures, and how its value comes about (nitro-platform.md 1.4).

A register starts as 48 zero bytes and is extended: new = SHA-384(old ‖ data). Registers 0, 1, 2 and 8 hold a hash of a
hash, registers 3 and 4 of the plain text.
"""

import hashlib
from typing import Final

PCR_BYTES: Final = 48
PCR_COUNT: Final = 32
BOOT_PCRS: Final = frozenset(range(16))  # locked at boot, hence in every genuine document
IMAGE_PCRS: Final = (0, 1, 2)
"""Only together do they name an image: bytes moved between sections leave some of them equal (AT-11)."""
ZERO: Final = bytes(PCR_BYTES)

NAMES: Final[dict[int, str]] = {
    0: "whole image: kernel, command line and all ramdisks",
    1: "kernel, command line and first ramdisk",
    2: "application: the further ramdisks",
    3: "IAM role of the parent instance",
    4: "id of the parent instance",
    8: "certificate that signed the image",
}


def name(index: int) -> str:
    """What register `index` measures, in words."""
    if index in NAMES:
        return NAMES[index]
    return "reserved" if index in BOOT_PCRS else "extended by the application"


def extend(value: bytes, data: bytes) -> bytes:
    """The register's value after extending it with `data`."""
    return hashlib.sha384(value + data).digest()


def of_role(arn: str) -> bytes:
    """PCR3 of an enclave whose parent has the IAM role `arn` (the role, not the instance profile or a session)."""
    return extend(ZERO, arn.encode("ascii"))


def of_instance(instance_id: str) -> bytes:
    """PCR4 of an enclave on the instance `instance_id` (`i-…`)."""
    return extend(ZERO, instance_id.encode("ascii"))


def of_signer(certificate_der: bytes) -> bytes:
    """PCR8 of an image that was signed with this certificate."""
    return extend(ZERO, hashlib.sha384(certificate_der).digest())
