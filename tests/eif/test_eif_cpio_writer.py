"""The archive writer: one set of entries gives one sequence of bytes, in the form that the kernel unpacks."""

import random
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from eif import cpio
from eif.cpio import Entry, Kind
from eif.errors import EifError

TREE = (
    cpio.directory("dev"),
    cpio.character_device("dev/console", 5, 1),
    cpio.directory("usr"),
    cpio.directory("usr/bin"),
    cpio.file("usr/bin/app", b"#!/bin/sh\n", 0o755),
    cpio.symlink("init", "usr/bin/app"),
    cpio.file("empty", b""),
)


def archive(*entries: Entry, mtime_s: int = 0) -> bytes:
    stream = BytesIO()
    length = cpio.write_archive(entries, stream, mtime_s)
    assert length == len(stream.getvalue())
    return stream.getvalue()


def heads(data: bytes) -> list[tuple[str, list[int]]]:
    """Name and numbers of each header, read independently of the program's reader."""
    found, at = [], 0
    while at < len(data):
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * place : at + 14 + 8 * place], 16) for place in range(13)]
        name = data[at + 110 : at + 110 + numbers[11]]
        assert name.endswith(b"\0")
        found.append((name[:-1].decode(), numbers))
        body = at + (110 + numbers[11] + 3) // 4 * 4
        at = body + (numbers[6] + 3) // 4 * 4
    return found


def test_order_of_entries_does_not_matter(seed: int) -> None:
    shuffled = list(TREE)
    random.Random(seed).shuffle(shuffled)
    assert archive(*shuffled) == archive(*TREE)


def test_headers_hold_what_was_given_and_nothing_of_the_machine() -> None:
    found = heads(archive(*TREE, mtime_s=7))
    names = [name for name, _ in found]
    assert names == ["dev", "dev/console", "empty", "init", "usr", "usr/bin", "usr/bin/app", "TRAILER!!!"]
    by_name = dict(found)
    assert by_name["dev/console"] == [2, 0o020600, 0, 0, 1, 7, 0, 0, 0, 5, 1, len("dev/console") + 1, 0]
    assert by_name["usr/bin/app"] == [7, 0o100755, 0, 0, 1, 7, 10, 0, 0, 0, 0, len("usr/bin/app") + 1, 0]
    assert by_name["usr"][1:5] == [0o040755, 0, 0, 2]
    assert by_name["init"][1] == 0o120777
    assert by_name["TRAILER!!!"] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0]


def test_content_comes_from_memory_or_from_disk_alike(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(3_000_001)
    (tmp_path / "file").write_bytes(content)
    assert archive(cpio.file("file", tmp_path / "file")) == archive(cpio.file("file", content))
    assert len(archive(cpio.file("file", content))) % 4 == 0


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([cpio.file("/init", b"")], "cpio-path"),
        ([cpio.file("./init", b"")], "cpio-path"),
        ([cpio.file("../init", b"")], "cpio-path"),
        ([cpio.directory("a"), cpio.file("a//b", b"")], "cpio-path"),
        ([cpio.directory("a/")], "cpio-path"),
        ([cpio.file("", b"")], "cpio-path"),
        ([cpio.file("a\0b", b"")], "cpio-path"),
        ([cpio.file("a" * 4096, b"")], "cpio-path"),
        ([cpio.file("\ud800", b"")], "cpio-path"),
        ([cpio.file("TRAILER!!!", b"")], "cpio-path"),
        ([cpio.file("a", b""), cpio.file("a", b"")], "cpio-repeated"),
        ([cpio.file("a/b", b"")], "cpio-entry"),
        ([cpio.file("a", b""), cpio.file("a/b", b"")], "cpio-entry"),
        ([cpio.file("a", b"", 0o10000)], "cpio-entry"),
        ([cpio.symlink("a", "")], "cpio-entry"),
        ([cpio.symlink("a", "b" * 4096)], "cpio-entry"),
        ([Entry("a", Kind.SYMLINK, 0o777, Path("b"))], "cpio-entry"),
        ([Entry("a", Kind.FIFO, 0o644)], "cpio-entry"),
        ([Entry("a", Kind.DIRECTORY, 0o755, b"content")], "cpio-entry"),
        ([Entry("a", Kind.FILE, 0o644, b"", (1, 2))], "cpio-entry"),
        ([cpio.character_device("a", 1 << 32, 0)], "cpio-entry"),
        ([cpio.file("a", Path("does-not-exist"))], "input-unreadable"),
    ],
)
def test_what_the_form_cannot_say_or_the_kernel_would_skip_is_refused(entries: list[Entry], code: str) -> None:
    with pytest.raises(EifError) as refused:
        archive(*entries)
    assert refused.value.code == code


def test_path_and_target_at_their_cap_are_written() -> None:
    deep = "a" * 4095
    assert {name for name, _ in heads(archive(cpio.file(deep, b""), cpio.symlink("b", deep)))} >= {deep, "b"}


def test_time_at_its_caps_is_written_and_beyond_is_refused() -> None:
    assert dict(heads(archive(*TREE, mtime_s=0xFFFF_FFFF)))["empty"][5] == 0xFFFF_FFFF
    for wrong in (-1, 1 << 32):
        with pytest.raises(EifError, match="cpio-entry"):
            archive(*TREE, mtime_s=wrong)


@pytest.mark.parametrize("difference", [-1, 1])
def test_file_that_changes_size_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, difference: int
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    monkeypatch.setattr("eif.cpio.os.fstat", lambda _: SimpleNamespace(st_size=len(b"content") + difference))
    with pytest.raises(EifError, match="changed while it was read"):
        archive(cpio.file("a", tmp_path / "file"))
