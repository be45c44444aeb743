"""The reader takes what nitro-cli writes and refuses what two readers could understand in two ways (SC-03)."""

import contextlib
import hashlib
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eif.errors import EifError
from eif.layout import HEADER_BYTES, SectionType, parse_header
from eif.reader import Image, opened, read_image
from tests.eif import images
from tests.eif.images import APPLICATION, CMDLINE, KERNEL, METADATA, RAMDISK, SECTIONS, SIGNATURE

KERNEL_, CMDLINE_, CLAIMS_, BOOT_, APPLICATION_ = SECTIONS


def read(data: bytes) -> Image:
    return read_image(BytesIO(data))


def refusal(data: bytes) -> str:
    with pytest.raises(EifError) as refused:
        read(data)
    return refused.value.code


def test_sound_image_is_read_section_by_section() -> None:
    found = read(images.image())
    assert [section.start.name for section in found.sections] == [
        "kernel", "cmdline", "metadata", "ramdisk 0", "ramdisk 1",
    ]  # fmt: skip
    assert [section.sha384 for section in found.sections] == [hashlib.sha384(data).digest() for _, data in SECTIONS]
    assert found.content(SectionType.CMDLINE) == CMDLINE_[1]
    assert found.content(SectionType.SIGNATURE) is None
    assert [section.content for section in found.sections if section.start.kind is SectionType.RAMDISK] == [None, None]
    data = images.image()
    for section, (_, content) in zip(found.sections, SECTIONS, strict=True):
        assert data[section.start.offset :][: section.start.size] == content


SOUND: dict[str, dict[str, Any]] = {
    "aarch64": {"flags": 1},
    "one ramdisk": {"sections": (KERNEL_, CMDLINE_, CLAIMS_, BOOT_)},
    "metadata last": {"sections": (KERNEL_, CMDLINE_, BOOT_, APPLICATION_, CLAIMS_)},
    "command line first": {"sections": (CMDLINE_, KERNEL_, CLAIMS_, BOOT_)},
    "command line last": {"sections": (KERNEL_, BOOT_, CLAIMS_, CMDLINE_)},
    "signature before the ramdisks": {"sections": (KERNEL_, CMDLINE_, CLAIMS_, (SIGNATURE, b"s"), BOOT_)},
    "version 3, signed": {"version": 3, "sections": (KERNEL_, CMDLINE_, BOOT_, (SIGNATURE, b"s"))},
    "version 2": {"version": 2, "sections": (KERNEL_, CMDLINE_, BOOT_)},
    "32 sections": {"sections": (KERNEL_, CMDLINE_, CLAIMS_, *[BOOT_] * 29)},
    "empty command line": {"sections": (KERNEL_, (CMDLINE, b""), CLAIMS_, BOOT_)},
    "signature at its cap": {"sections": (*SECTIONS, (SIGNATURE, bytes(32768)))},
    "metadata at their cap": {"sections": (KERNEL_, CMDLINE_, (METADATA, bytes(1 << 20)), BOOT_)},
    "command line at its cap": {"sections": (KERNEL_, (CMDLINE, bytes(4096)), CLAIMS_, BOOT_)},
}


@pytest.mark.parametrize("name", SOUND)
def test_form_that_the_platform_takes_is_read(name: str) -> None:
    fields = dict(SOUND[name])
    sections = fields.pop("sections", SECTIONS)
    assert len(read(images.image(*sections, **fields)).sections) == len(sections)


def changed(place: int, difference: int) -> Callable[[list[int]], list[int]]:
    def change(values: list[int]) -> list[int]:
        values = [*values, 0]
        values[place] += difference
        return values

    return change


DEFECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "magic": ("eif-magic", {"magic": b".elf"}),
    "version 0": ("eif-version", {"version": 0}),
    "version 1": ("eif-version", {"version": 1}),
    "version 5": ("eif-version", {"version": 5}),
    "flag without a meaning": ("eif-flags", {"flags": 2}),
    "highest flag": ("eif-flags", {"flags": 0x8001}),
    "reserved field": ("eif-reserved", {"reserved": 1}),
    "unused field": ("eif-reserved", {"unused": 1}),
    "offset in an unused slot": ("eif-reserved", {"offsets": changed(-1, 1)}),
    "size in an unused slot": ("eif-reserved", {"sizes": changed(-1, 1)}),
    "no section": ("eif-section-count", {"count": 0}),
    "33 sections": ("eif-section-count", {"count": 33}),
    "65535 sections": ("eif-section-count", {"count": 65535}),
    "count below the sections": ("eif-reserved", {"count": 4}),
    "count above the sections": ("eif-section-table", {"count": 6}),
    "gap": ("eif-section-table", {"gap": b"\0"}),
    "gap that looks like a section": ("eif-section-table", {"gap": struct.pack(">HHQ", RAMDISK, 0, 0)}),
    "first offset": ("eif-section-table", {"offsets": changed(0, 1)}),
    "overlap": ("eif-section-table", {"offsets": changed(1, -1)}),
    "offset beyond the file": ("eif-section-table", {"offsets": changed(4, 1 << 40)}),
    "size in the table": ("eif-section-table", {"sizes": changed(0, 1)}),
    "last size in the table": ("eif-section-table", {"sizes": changed(4, 1)}),
    "last size huge": ("eif-section-table", {"sizes": changed(4, (1 << 64) - 1 - len(APPLICATION))}),
    "size in a section header": ("eif-section-table", {"section_size": 1}),
    "section flags": ("eif-section-flags", {"section_flags": 1}),
    "section of type 0": ("eif-section-type", {"sections": (*SECTIONS, (0, b""))}),
    "section of type 6": ("eif-section-type", {"sections": (*SECTIONS, (6, b""))}),
    "two kernels": ("eif-section-repeated", {"sections": (KERNEL_, *SECTIONS)}),
    "two command lines": ("eif-section-repeated", {"sections": (*SECTIONS, CMDLINE_)}),
    "two metadata": ("eif-section-repeated", {"sections": (*SECTIONS, CLAIMS_)}),
    "two signatures": ("eif-section-repeated", {"sections": (*SECTIONS, (SIGNATURE, b""), (SIGNATURE, b""))}),
    "no kernel": ("eif-section-order", {"sections": SECTIONS[1:]}),
    "no kernel and no ramdisk": ("eif-section-missing", {"sections": (CMDLINE_, CLAIMS_)}),
    "no command line": ("eif-section-missing", {"sections": (KERNEL_, CLAIMS_, BOOT_)}),
    "no ramdisk": ("eif-section-missing", {"sections": (KERNEL_, CMDLINE_, CLAIMS_)}),
    "no metadata in version 4": ("eif-section-missing", {"sections": (KERNEL_, CMDLINE_, BOOT_)}),
    "metadata in version 3": ("eif-section-version", {"version": 3}),
    "signature in version 2": (
        "eif-section-version", {"version": 2, "sections": (KERNEL_, CMDLINE_, BOOT_, (SIGNATURE, b""))},
    ),
    "ramdisk before the kernel": ("eif-section-order", {"sections": (BOOT_, *SECTIONS)}),
    "signature above its cap": ("eif-section-too-large", {"sections": (*SECTIONS, (SIGNATURE, bytes(32769)))}),
    "metadata above their cap": (
        "eif-section-too-large", {"sections": (KERNEL_, CMDLINE_, (METADATA, bytes((1 << 20) + 1)), BOOT_)},
    ),
    "command line above its cap": (
        "eif-section-too-large", {"sections": (KERNEL_, (CMDLINE, bytes(4097)), CLAIMS_, BOOT_)},
    ),
    "trailing byte": ("eif-trailing", {"tail": b"\0"}),
    "trailing section": ("eif-trailing", {"tail": struct.pack(">HHQ", RAMDISK, 0, 4) + b"evil"}),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_refused_for_its_own_reason(name: str) -> None:
    code, fields = DEFECTS[name]
    fields = dict(fields)
    assert refusal(images.image(*fields.pop("sections", SECTIONS), **fields)) == code


def test_every_flipped_bit_is_refused() -> None:
    data = images.image((KERNEL, b"k"), (CMDLINE, b"c"), (METADATA, b"{}"), (RAMDISK, b"r"), (RAMDISK, b"a"))
    read(data)
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        refusal(bytes(flipped))


def test_every_length_is_refused_but_the_whole() -> None:
    data = images.image()
    assert {refusal(data[:length]) for length in range(len(data))} == {"eif-truncated"}
    assert refusal(data + b"\0") == "eif-trailing"


@given(st.data())
def test_flipped_bits_under_a_matching_checksum_give_an_image_or_one_error(data: st.DataObject) -> None:
    damaged = bytearray(images.image())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(EifError):
        assert read(images.remade(bytes(damaged))).is_undamaged


def test_damage_is_shown_where_the_caller_asks_for_it() -> None:
    data = images.image()
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    assert refusal(damaged) == "eif-crc"
    found = read_image(BytesIO(damaged), allow_damage=True)
    assert not found.is_undamaged
    assert found.header.crc32 == zlib.crc32(data[548:], zlib.crc32(data[:544])) != found.crc32


def test_declared_size_costs_no_memory() -> None:
    """2^63 bytes are declared, consistently, and not there."""
    data = bytearray(images.image())
    for at in (284 + 4 * 8, len(data) - len(APPLICATION) - 8):
        data[at : at + 8] = (1 << 63).to_bytes(8, "big")
    assert parse_header(bytes(data[:HEADER_BYTES])).sizes[4] == 1 << 63
    assert refusal(images.remade(bytes(data))) == "eif-truncated"


class Pipe(BytesIO):
    """Gives a few bytes at a time, as a pipe may, and cannot seek."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size, 7) if size and size > 0 else size)

    def seek(self, *_: Any) -> int:
        raise AssertionError("the reader goes forward only")


def test_pipe_is_read_as_a_file_is() -> None:
    assert read_image(Pipe(images.image())).sections == read(images.image()).sections


class Growing(BytesIO):
    """A file to which somebody writes while it is read."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        here = self.tell()
        BytesIO.seek(self, 0, 2)
        self.write(b"more")
        BytesIO.seek(self, here)
        return data


def test_file_that_grows_is_refused_and_ends() -> None:
    with pytest.raises(EifError, match="eif-trailing"):
        read_image(Growing(images.image()))


def test_file_that_cannot_be_read_is_an_error_of_its_own(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(EifError, match="input-unreadable"), opened(path) as stream:
            stream.read()
