"""Images are written the same each time, whole or not at all, and read back as they were meant."""

import os
import struct
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eif.errors import EifError
from eif.layout import Header, SectionType
from eif.measurements import measure
from eif.reader import Span, read_image
from eif.writer import Architecture, ImageParts, encode_cmdline, replacing, write_image, write_sections
from tests.eif import images
from tests.eif.images import BOOT, CLAIMS, SECTIONS, SIGNATURE

PARTS = ImageParts(
    kernel=SECTIONS[0][1], cmdline="console=ttyS0", metadata=CLAIMS, ramdisks=[data for _, data in SECTIONS[3:]]
)


def test_image_is_byte_for_byte_what_the_format_says(tmp_path: Path) -> None:
    """The other side of the comparison is laid out by the tests, field by field."""
    write_image(tmp_path / "image.eif", PARTS)
    assert (tmp_path / "image.eif").read_bytes() == images.image()


def test_qemu_takes_the_image(tmp_path: Path) -> None:
    """Its reader wants version 4, no flags anywhere, and the checksum; it seeks by the table of the header."""
    write_image(tmp_path / "image.eif", PARTS)
    data = (tmp_path / "image.eif").read_bytes()
    assert struct.unpack(">4sHH", data[:8]) == (b".eif", 4, 0)
    count = struct.unpack(">H", data[26:28])[0]
    offsets, sizes = struct.unpack(">32Q", data[28:284]), struct.unpack(">32Q", data[284:540])
    for place, (kind, content) in enumerate(SECTIONS):
        at = offsets[place]
        assert struct.unpack(">HHQ", data[at : at + 12]) == (kind, 0, sizes[place])
        assert data[at + 12 : at + 12 + sizes[place]] == content
    assert (count, offsets[count:], sizes[count:]) == (5, (0,) * 27, (0,) * 27)
    assert int.from_bytes(data[544:548], "big") == zlib.crc32(data[548:], zlib.crc32(data[:544]))


def test_parts_come_from_memory_from_files_or_from_inside_of_files(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(SECTIONS[0][1])
    boot = Span(BytesIO(b"before" + BOOT + b"after"), 6, len(BOOT))
    parts = ImageParts(tmp_path / "kernel", PARTS.cmdline, CLAIMS, [boot, *PARTS.ramdisks[1:]])
    write_image(tmp_path / "image.eif", parts)
    assert (tmp_path / "image.eif").read_bytes() == images.image()


@given(
    kernel=st.binary(max_size=60),
    ramdisks=st.lists(st.binary(max_size=60), min_size=1, max_size=4),
    architecture=st.sampled_from(Architecture),
    signature=st.none() | st.binary(max_size=60),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    kernel: bytes,
    ramdisks: list[bytes],
    architecture: Architecture,
    signature: bytes | None,
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.eif"
    write_image(path, ImageParts(kernel, "a=b", CLAIMS, ramdisks, architecture, signature))
    data = path.read_bytes()
    image = read_image(BytesIO(data))
    found = [data[section.start.offset :][: section.start.size] for section in image.sections]
    assert found == [kernel, b"a=b", CLAIMS.encode(), *ramdisks, *([] if signature is None else [signature])]
    assert image.header.architecture == architecture.name.lower()
    if signature is None:
        unmarked = images.image(*[(int(s.start.kind), part) for s, part in zip(image.sections, found, strict=True)])
        assert measure(BytesIO(unmarked)).pcrs == measure(BytesIO(data)).pcrs


@pytest.mark.parametrize("text", ["a=b", " a=b\n", "\t a=b \r\n"])
def test_command_line_loses_white_space_at_its_ends(text: str) -> None:
    assert encode_cmdline(text) == b"a=b"


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "a\tb", "a\x7fb", "ä", "a" * 2048])
def test_command_line_that_the_kernel_would_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(EifError, match="eif-cmdline"):
        encode_cmdline(text)


def test_command_line_at_its_cap_is_written() -> None:
    assert len(encode_cmdline("a" * 2047)) == 2047


def test_what_is_no_image_is_not_written(tmp_path: Path) -> None:
    boot = PARTS.ramdisks[0]
    for parts, code in (
        (ImageParts(b"k", "", CLAIMS, []), "eif-ramdisk-missing"),
        (ImageParts(b"k", "", CLAIMS, [boot] * 30), "eif-section-count"),
        (ImageParts(b"k", "", CLAIMS, [boot], signature=bytes(32769)), "eif-section-too-large"),
        (ImageParts(tmp_path / "absent", "", CLAIMS, [boot]), "input-unreadable"),
        (ImageParts(b"k", "", CLAIMS, [tmp_path]), "input-unreadable"),
    ):
        with pytest.raises(EifError, match=code):
            write_image(tmp_path / "image.eif", parts)
    write_image(tmp_path / "most.eif", ImageParts(b"k", "", CLAIMS, [boot] * 29))
    assert [path.name for path in tmp_path.iterdir()] == ["most.eif"]


@pytest.mark.parametrize("difference", [-1, 1])
def test_part_that_changes_its_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, difference: int
) -> None:
    (tmp_path / "kernel").write_bytes(b"kernel")
    monkeypatch.setattr("eif.writer._size", lambda source: 6 + difference if isinstance(source, Path) else len(source))
    with pytest.raises(EifError, match="changed its size"):
        write_image(tmp_path / "image.eif", ImageParts(tmp_path / "kernel", "", CLAIMS, [BOOT]))
    assert not (tmp_path / "image.eif").exists()


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "image.eif"
    path.write_bytes(b"old")
    with suppress(RuntimeError), replacing(path) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["image.eif"]


def test_success_replaces_the_file_and_everybody_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "image.eif"
    path.write_bytes(b"old")
    with replacing(path) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.stat(path).st_mode & 0o777 == 0o644


def test_folder_that_does_not_exist_is_an_error_of_the_family(tmp_path: Path) -> None:
    with pytest.raises(EifError, match="output-unwritable"):
        write_image(tmp_path / "absent" / "image.eif", PARTS)


def test_sections_keep_their_order_and_the_header_its_fields() -> None:
    stream = BytesIO()
    like = Header(3, 1, 7, 9, (), 0)
    write_sections(stream, like, [(SectionType(kind), data) for kind, data in (*SECTIONS[:2], *SECTIONS[3:])])
    image = read_image(BytesIO(stream.getvalue()))
    assert (image.header.version, image.header.flags) == (3, 1)
    assert (image.header.default_memory_bytes, image.header.default_cpus) == (7, 9)
    assert SIGNATURE not in {section.start.kind for section in image.sections}
