"""Which images a policy allows: registers as an image builder prints them, or measured from an image file.

PCR0, PCR1 and PCR2 come together; PCR3 (role of the parent instance), PCR4 (the instance) and PCR8 (the certificate
that signed) may be pinned too. A register of zeros is refused: it names every image in debug mode.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attestation import pcr
from attestation.cli.policy_file import format_time, parse_measurements, parse_time
from attestation.errors import AttestationError
from eif.errors import EifError
from eif.layout import MAGIC
from eif.measurements import measure_path
from protocol import limits

PINNABLE: Final = (0, 1, 2, 3, 4, 8)
MAX_IMAGES: Final = 8  # with three registers each; with all six, 32 KiB hold fewer


@dataclass(frozen=True, slots=True)
class Image:
    """One acceptable image: lower-case hex by register. `until`: when a policy stops to allow it (UG-05)."""

    registers: Mapping[int, str]
    until: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "registers", MappingProxyType(dict(sorted(self.registers.items()))))

    def with_registers(self, more: Mapping[int, bytes]) -> "Image":
        """The same image with further registers pinned."""
        return replace(self, registers={**self.registers, **{index: value.hex() for index, value in more.items()}})


def parse_image(data: bytes) -> Image:
    """The image that `{"Measurements": {"PCR0": …}}` names; `EifError("policy-image")`."""
    try:
        pcrs = parse_measurements(data, "image").pcrs
    except AttestationError as error:
        raise EifError("policy-image", error.detail) from None
    if foreign := sorted(set(pcrs) - set(PINNABLE)):
        raise EifError("policy-image", f"PCR{foreign[0]} is extended after the start, or reserved")
    if zero := [index for index, value in pcrs.items() if value == pcr.ZERO]:
        raise EifError("policy-image", f"PCR{zero[0]} is zero")
    return Image({index: value.hex() for index, value in pcrs.items()})


def load_image(path: Path) -> Image:
    """The image in a file of measurements or in an image file; `EifError`."""
    try:
        with path.open("rb") as file:
            data = file.read(limits.MAX_POLICY_FILE_BYTES + 1)
    except OSError as error:
        raise EifError("input-unreadable", f"{path}: {error.strerror}") from None
    if not data.startswith(MAGIC):
        return parse_image(data)
    return Image({index: value.hex() for index, value in measure_path(path).items()})


def parse_until(text: str) -> str:
    """A time in the one form that policies use: ISO 8601, UTC, whole seconds; `EifError("policy-image")`."""
    try:
        return format_time(parse_time(text))
    except (ValueError, OverflowError):
        raise EifError("policy-image", "the end of an image's time is no ISO 8601 time with a zone") from None


def validate_images(images: Sequence[Image]) -> None:
    """That these images can stand in one policy; `EifError("policy-images")`.

    Different values of PCR0, because the Deny statements tell images apart by it; the same registers pinned, because a
    register that only some images pin cannot be denied for the others.
    """
    if not 1 <= len(images) <= MAX_IMAGES:
        raise EifError("policy-images", f"a policy allows 1 to {MAX_IMAGES} images")
    if len({image.registers[0] for image in images}) != len(images):
        raise EifError("policy-images", "two images have the same PCR0")
    if len({tuple(image.registers) for image in images}) != 1:
        raise EifError("policy-images", "all images pin the same registers")
    if all(image.until for image in images):
        raise EifError("policy-images", "at least one image is allowed without an end")
