"""Builds an image: kernel, init, root file system, configuration; the same bytes wherever and whenever it is done.

Ramdisk 0 is init, so PCR1 names kernel, command line and init; ramdisk 1 is the application with its configuration, so
PCR2 names these. PCR0 names all.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zstandard

from eif import cpio
from eif.cache import built, key_of
from eif.cpio import Entry
from eif.debian.fetch import Say
from eif.errors import EifError
from eif.init.build import build_init
from eif.kernel import build as kernel
from eif.metadata import Metadata, format_build_time
from eif.rootfs.application import CONFIG, application_entries, base_entries
from eif.rootfs.base import Base, build_base
from eif.rootfs.config_check import validate_config
from eif.writer import ImageParts, write_image
from protocol import limits

SOURCE_ROOT: Final = Path(__file__).resolve().parents[1]
EPOCH_S: Final = 1_704_067_200
"""The time of every file and of the build: 2024-01-01. It says nothing, and is the same in every build."""

CMDLINE: Final = " ".join((
    "reboot=k", "panic=-1", "pci=off", "console=ttyS0", "loglevel=4", "i8042.noaux", "i8042.nomux", "i8042.nopnp",
    "i8042.dumbkbd", "random.trust_cpu=off", "random.trust_bootloader=off",
))  # fmt: skip
"""The measured command line. Entropy is credited to the security module's generator alone; no option names a parent's
CID, so it is 3. Devices are announced by what the hypervisor appends."""

_COMPRESSION_LEVEL: Final = 19
_ARCHIVE: Final = "archive"


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """What an image is built from. `kernel`: an operator's own bzImage; None builds the one of this package."""

    config: bytes
    source: Path = SOURCE_ROOT
    kernel: Path | None = None
    cmdline: str = CMDLINE
    name: str = "chancery"
    version: str = "0"


def build_image(inputs: BuildInputs, output: Path, say: Say) -> None:
    """Write the image to `output`; `EifError`, and then no file."""
    if not 0 < len(inputs.config) <= limits.MAX_CONFIG_BYTES:
        raise EifError("config-size")
    image = inputs.kernel or kernel.build_kernel(say) / kernel.IMAGE
    init = build_init(say)
    base = build_base(say)
    first = base_archive(base, say)
    say("packing the application")
    application = application_entries(base, inputs.source, inputs.config, say)
    validate_config(base, application, CONFIG)
    second = compressed(application)
    parts = ImageParts(
        kernel=_read(image),
        cmdline=inputs.cmdline,
        metadata=_metadata(inputs),
        ramdisks=(compressed(init_entries(init.read_bytes())), first + second),
    )
    say(f"writing {output}")
    write_image(output, parts)


def init_entries(program: bytes) -> list[Entry]:
    """The first ramdisk: init, and the console that the kernel opens for it."""
    return [cpio.directory("dev"), cpio.character_device("dev/console", 5, 1), cpio.file("init", program, 0o755)]


def base_archive(base: Base, say: Say) -> bytes:
    """The archive of interpreter and packages, from the cache or made: compressing it takes most of a build's time."""

    def make(folder: Path) -> None:
        say("packing interpreter and packages")
        (folder / _ARCHIVE).write_bytes(compressed(base_entries(base)))

    key = key_of(base.root.parent.name, repr((_COMPRESSION_LEVEL, EPOCH_S, zstandard.ZSTD_VERSION)))
    return (built("base-archive", key, make) / _ARCHIVE).read_bytes()


def compressed(entries: Sequence[Entry]) -> bytes:
    """One compressed archive, of a length that is a multiple of four."""
    raw = io.BytesIO()
    cpio.write_archive(entries, raw, EPOCH_S)
    compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL, write_checksum=True, write_content_size=True)
    packed = compressor.compress(raw.getvalue())
    return packed + cpio.padding(len(packed))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EifError("input-unreadable", f"{path}: {error.strerror}") from None


def _metadata(inputs: BuildInputs) -> Metadata:
    return Metadata(
        image_name=inputs.name,
        image_version=inputs.version,
        build_time=format_build_time(EPOCH_S),
        build_tool="chancery-eif",
        build_tool_version=inputs.version,
        operating_system="Linux",
        kernel_version=hashlib.sha256(_read(inputs.kernel)).hexdigest()[:16] if inputs.kernel else "chancery",
    )
