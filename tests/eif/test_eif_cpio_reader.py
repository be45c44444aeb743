"""Ramdisks are listed as the kernel unpacks them, or refused; hostile ones cost neither memory nor time."""

import bz2
import gzip
import hashlib
import lzma
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import BytesIO

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from eif import compression, cpio, cpio_reader
from eif.cpio import Entry, Kind
from eif.cpio_reader import Member, read_ramdisk
from eif.errors import EifError
from eif.reader import Span
from tests.eif.images import archive

TREE = (
    cpio.directory("dev"),
    cpio.character_device("dev/console", 5, 1),
    cpio.file("init", b"#!init", 0o755),
    cpio.symlink("link", "init"),
)
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}


def read(data: bytes) -> dict[str, Member]:
    with ExitStack() as scratch:
        return read_ramdisk(Span(BytesIO(data), 0, len(data)), scratch)


def refusal(data: bytes) -> str:
    with pytest.raises(EifError) as refused:
        read(data)
    return refused.value.code


def raw(
    name: bytes = b"a\0", content: bytes = b"", *, magic: bytes = b"070701", mode: int = 0o100644, **fields: int
) -> bytes:
    """One entry with these fields, right or wrong."""
    order = (
        "ino",
        "mode",
        "uid",
        "gid",
        "nlink",
        "mtime",
        "filesize",
        "maj",
        "min",
        "rmaj",
        "rmin",
        "namesize",
        "check",
    )
    usual = {"mode": mode, "nlink": 1, "filesize": len(content), "namesize": len(name)} | fields
    head = magic + b"".join(b"%08x" % usual.get(field, 0) for field in order) + name
    head += bytes(-len(head) % 4)
    return head + content + bytes(-len(content) % 4)


TRAILER = raw(b"TRAILER!!!\0", mode=0)


def test_members_come_back_as_they_were_written() -> None:
    found = read(archive(*TREE, mtime_s=9))
    assert list(found) == ["dev", "dev/console", "init", "link"]
    init, console = found["init"], found["dev/console"]
    assert (init.kind, init.mode, init.mtime_s, init.links, init.inode) == (Kind.FILE, 0o755, 9, 1, 3)
    assert (init.content.size, init.sha384) == (6, hashlib.sha384(b"#!init").digest())
    assert b"".join(init.content.pieces()) == b"#!init"
    assert (console.kind, console.device) == (Kind.CHARACTER_DEVICE, (5, 1))
    assert found["link"].target == "init"


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..", "TRAILER!!!")
)


@given(contents=st.dictionaries(NAMES, st.binary(max_size=50), max_size=6), mtime_s=st.integers(0, 2**32 - 1))
def test_round_trip(contents: dict[str, bytes], mtime_s: int) -> None:
    found = read(archive(*(cpio.file(name, content) for name, content in contents.items()), mtime_s=mtime_s))
    assert {name: b"".join(member.content.pieces()) for name, member in found.items()} == contents


@pytest.mark.parametrize("zeros", [0, 4, 508, 100_000])
def test_archives_follow_each_other_with_zeros_between(zeros: int) -> None:
    first, second = archive(cpio.file("a", b"1")), archive(cpio.file("b", b"22"))
    assert list(read(bytes(zeros) + first + bytes(zeros) + second + bytes(zeros))) == ["a", "b"]


@pytest.mark.parametrize("name", COMPRESSORS)
def test_compressed_archives_are_unpacked_one_after_another(name: str) -> None:
    compress = COMPRESSORS[name]
    content = bytes(range(256)) * 20_000  # more than a piece, so that output is drawn several times
    plain, packed = archive(cpio.file("a", b"1")), compress(archive(cpio.file("b", content)) + bytes(8))
    again = compress(archive(cpio.file("c", b"3")) + archive(cpio.file("d", b"4")))
    packed += bytes(-len(packed) % 4)
    with ExitStack() as scratch:
        data = plain + packed + again + bytes(100)
        found = read_ramdisk(Span(BytesIO(data), 0, len(data)), scratch)
        assert list(found) == ["a", "b", "c", "d"]
        assert b"".join(found["b"].content.pieces()) == content
    assert refusal(plain + packed + again[:-5]) == "compression-malformed"


@pytest.mark.parametrize("name", COMPRESSORS)
def test_broken_compression_is_one_error(name: str) -> None:
    packed = COMPRESSORS[name](archive(*TREE))
    taken = 0
    for place in range(len(packed)):
        broken = bytearray(packed)
        broken[place] ^= 0x10
        with suppress(EifError):
            taken += len(read(bytes(broken))) > 0
    assert taken < len(packed) // 2  # the time in gzip's header means nothing, and zstd has no checksum here


def test_forms_that_are_told_apart_yet_not_read() -> None:
    for start in (b"\x89LZO\0\0", b"\x02\x21\x4c\x18\0\0", b"\x5d\0\0\x80\0\0"):
        assert refusal(start + bytes(20)) == "compression-unsupported"


@pytest.mark.parametrize("name", COMPRESSORS)
def test_bomb_is_stopped_at_the_cap_and_costs_little_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB of zeros in some kilobytes, with a cap of 32 MiB."""
    monkeypatch.setattr(compression, "MAX_UNPACKED_BYTES", 32 << 20)
    packed = COMPRESSORS[name](bytes(64 << 20))
    tracemalloc.start()
    try:
        assert refusal(packed) == "compression-too-large"
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_unpacked_size_at_its_cap_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = archive(*TREE)
    monkeypatch.setattr(compression, "MAX_UNPACKED_BYTES", len(data))
    assert len(read(gzip.compress(data))) == 4
    assert refusal(gzip.compress(data + b"\0")) == "compression-too-large"


def test_dictionary_that_the_kernel_would_not_take_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(archive(*TREE)) + packer.flush()
    assert refusal(packed) == "compression-malformed"


def test_dictionary_of_four_gibibytes_is_refused() -> None:
    """The size stands in the header of an xz block, under a checksum of its own."""
    packed = bytearray(lzma.compress(archive(*TREE)))
    end = 12 + (packed[12] + 1) * 4
    assert packed[14:16] == b"\x21\x01"
    packed[16] = 40
    packed[end - 4 : end] = zlib.crc32(packed[12 : end - 4]).to_bytes(4, "little")
    assert refusal(bytes(packed)) == "compression-malformed"
    packed[16] = 20  # 4 MiB
    packed[end - 4 : end] = zlib.crc32(packed[12 : end - 4]).to_bytes(4, "little")
    assert len(read(bytes(packed))) == 4


def test_spellings_of_archivers_name_the_same_paths() -> None:
    root = raw(b".\0", mode=0o040755)
    data = root + raw(b"./dev/\0", mode=0o040755) + raw(b"./dev/a\0") + raw(b"dev\0", mode=0o040700) + TRAILER
    found = read(data)
    assert list(found) == [".", "dev", "dev/a"]
    assert found["dev"].mode == 0o700  # the last one counts


def test_hard_links_are_entries_of_their_own() -> None:
    found = read(raw(b"a\0", nlink=2, ino=5) + raw(b"b\0", b"content", nlink=2, ino=5) + TRAILER)
    assert [(member.content.size, member.links, member.inode) for member in found.values()] == [(0, 2, 5), (7, 2, 5)]


HOSTILE: dict[str, tuple[str, bytes]] = {
    "no archive": ("cpio-malformed", b"something else"),
    "old form": ("cpio-malformed", raw(magic=b"070707") + TRAILER),
    "form with checksums": ("cpio-malformed", raw(magic=b"070702") + TRAILER),
    "number that is none": ("cpio-malformed", raw().replace(b"000081a4", b"0x0081a4") + TRAILER),
    "number with a sign": ("cpio-malformed", raw().replace(b"000081a4", b"+00081a4") + TRAILER),
    "number with a space": ("cpio-malformed", raw().replace(b"000081a4", b"  0081a4") + TRAILER),
    "no name": ("cpio-malformed", raw(b"") + TRAILER),
    "empty name": ("cpio-malformed", raw(b"\0") + TRAILER),
    "name without an end": ("cpio-malformed", raw(b"ab") + TRAILER),
    "name too long": ("cpio-malformed", raw(b"a" * 4096 + b"\0") + TRAILER),
    "name of 4 GiB": ("cpio-malformed", raw(namesize=0xFFFF_FFFF) + TRAILER),
    "name that ends early": ("cpio-path", raw(b"a\0b\0") + TRAILER),
    "name that is no text": ("cpio-path", raw(b"\xff\0") + TRAILER),
    "content of 4 GiB": ("cpio-truncated", raw(filesize=0xFFFF_FFFF) + TRAILER),
    "parent": ("cpio-path", raw(b"../a\0") + TRAILER),
    "parent inside": ("cpio-path", raw(b"a/../b\0") + TRAILER),
    "absolute": ("cpio-path", raw(b"/a\0") + TRAILER),
    "absolute behind a dot": ("cpio-path", raw(b".//a\0") + TRAILER),
    "empty part": ("cpio-path", raw(b"a//b\0") + TRAILER),
    "file that ends with a slash": ("cpio-path", raw(b"a/\0") + TRAILER),
    "file that is the root": ("cpio-path", raw(b".\0") + TRAILER),
    "file twice": ("cpio-repeated", raw(content=b"1") + raw(content=b"2") + TRAILER),
    "file twice in two spellings": ("cpio-repeated", raw(b"a\0") + raw(b"./a\0") + TRAILER),
    "file twice in two archives": ("cpio-repeated", raw() + TRAILER + raw() + TRAILER),
    "directory that becomes a file": ("cpio-repeated", raw(mode=0o040755) + raw() + TRAILER),
    "file that becomes a directory": ("cpio-repeated", raw() + raw(mode=0o040755) + TRAILER),
    "kind without a meaning": ("cpio-malformed", raw(mode=0o030644) + TRAILER),
    "mode too large": ("cpio-malformed", raw(mode=0o1100644) + TRAILER),
    "checksum where none belongs": ("cpio-malformed", raw(check=1) + TRAILER),
    "directory with content": ("cpio-malformed", raw(mode=0o040755, content=b"x") + TRAILER),
    "device with content": ("cpio-malformed", raw(mode=0o020600, content=b"x") + TRAILER),
    "link without a target": ("cpio-malformed", raw(mode=0o120777) + TRAILER),
    "link with NUL": ("cpio-malformed", raw(mode=0o120777, content=b"a\0b") + TRAILER),
    "target too long": ("cpio-malformed", raw(mode=0o120777, content=b"a" * 4096) + TRAILER),
    "padding behind a name": ("cpio-malformed", raw(b"ab\0")[:113] + b"\1" + raw()[113:] + TRAILER),
    "padding behind content": ("cpio-malformed", raw(content=b"x")[:-1] + b"\1" + TRAILER),
    "no trailer": ("cpio-truncated", raw()),
    "trailer with content": ("cpio-malformed", raw(b"TRAILER!!!\0", b"x")),
    "trailer with zeros as content": ("cpio-malformed", raw(b"TRAILER!!!\0", bytes(4))),
    "bytes behind the trailer": ("cpio-malformed", TRAILER + b"x"),
    "archive off its place": ("cpio-malformed", TRAILER + b"\0\0" + raw() + TRAILER),
    "archive off its place, with padding to match": (
        "cpio-malformed",
        TRAILER + bytes(2) + raw(b"abc\0")[:114] + TRAILER,
    ),
    "compressed within compressed": ("cpio-malformed", gzip.compress(gzip.compress(TRAILER))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archive_is_refused_for_its_own_reason(name: str) -> None:
    code, data = HOSTILE[name]
    assert refusal(data) == code


def test_names_and_targets_at_their_cap_are_read() -> None:
    longest = b"a" * 4095
    assert list(read(raw(longest + b"\0") + raw(b"b\0", longest, mode=0o120777) + TRAILER)) == ["a" * 4095, "b"]


def test_every_truncation_is_refused() -> None:
    data = archive(*TREE)
    ends = {refusal(data[:length]) for length in range(7, len(data)) if data[length:].strip(b"\0")}
    assert ends == {"cpio-truncated"}


def test_number_of_entries_and_of_names_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    data = archive(*(cpio.file(f"{number:04}", b"") for number in range(10)))
    monkeypatch.setattr(cpio_reader, "MAX_ENTRIES", 10)
    monkeypatch.setattr(cpio_reader, "MAX_NAMES_BYTES", 40)
    assert len(read(data)) == 10
    monkeypatch.setattr(cpio_reader, "MAX_ENTRIES", 9)
    assert refusal(data) == "cpio-too-large"
    monkeypatch.setattr(cpio_reader, "MAX_ENTRIES", 10)
    monkeypatch.setattr(cpio_reader, "MAX_NAMES_BYTES", 39)
    assert refusal(data) == "cpio-too-large"


@given(st.data())
def test_damage_gives_members_or_one_error(data: st.DataObject) -> None:
    damaged = bytearray(archive(*TREE) + gzip.compress(archive(cpio.file("b", b"2"))))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(EifError):
        assert all(isinstance(member, Member) for member in read(bytes(damaged)).values())


def entry_of(member: Member) -> Entry:
    return Entry(member.path, member.kind, member.mode, b"".join(member.content.pieces()), member.device)


def test_what_was_read_can_be_written_again() -> None:
    data = archive(*TREE, mtime_s=3)
    assert archive(*map(entry_of, read(data).values()), mtime_s=3) == data
