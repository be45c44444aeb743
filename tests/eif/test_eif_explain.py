"""`explain` names the file, section or byte that changed a register (SC-11), and what no register covers."""

import gzip
import random
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eif import cpio, signature
from eif.explain import Explanation, explain
from eif.explain.contents import describe_bytes, first_difference
from eif.explain.render import render
from eif.explain.report import Change, SectionChange
from eif.measurements import measure
from eif.reader import CHUNK_BYTES, Span
from eif.signature import parse_signer
from tests.eif import images
from tests.eif.images import BOOT, CMDLINE, KERNEL, METADATA, RAMDISK, SECTIONS, SIGNATURE, archive

KERNEL_, CMDLINE_, CLAIMS_, BOOT_, APPLICATION_ = SECTIONS


def compare(first: bytes, second: bytes) -> Explanation:
    return explain(BytesIO(first), BytesIO(second))


def only(explanation: Explanation) -> SectionChange:
    [change] = explanation.changes
    return change


def flat(changes: tuple[Change, ...]) -> list[tuple[str, str]]:
    return [(change.what, change.how.value) for change in changes]


def with_application(*entries: cpio.Entry, mtime_s: int = 0) -> bytes:
    return images.image(*images.with_section(RAMDISK, archive(*entries, mtime_s=mtime_s), 1))


TREE = (
    cpio.directory("app"),
    cpio.file("app/config.json", b"{}"),
    cpio.file("app/main.py", b"print('hello, world')\n"),
    cpio.symlink("app/run", "main.py"),
    cpio.directory("dev"),
    cpio.character_device("dev/console", 5, 1),
)


def test_image_does_not_differ_from_itself() -> None:
    explanation = compare(images.image(), images.image())
    assert (explanation.is_same, explanation.is_measured_same, explanation.changes) == (True, True, ())
    assert render(explanation).startswith("SAME")


def test_one_changed_byte_in_one_file_names_that_file_and_its_offset() -> None:
    changed = [cpio.file("app/main.py", b"print('hello, World')\n") if e.path == "app/main.py" else e for e in TREE]
    explanation = compare(with_application(*TREE), with_application(*changed))
    assert explanation.changed_registers == (0, 2)
    change = only(explanation)
    assert (change.change.what, change.registers, change.measured) == ("ramdisk 1", (0, 2), True)
    assert flat(change.change.parts) == [("app/main.py", "changed")]
    assert change.change.parts[0].detail == "content: 22 bytes, first difference at offset 14"
    text = render(explanation)
    assert text.startswith("DIFFERENT: PCR0, PCR2 changed.\n")
    assert "~ app/main.py changed: content: 22 bytes, first difference at offset 14" in text
    assert "app/config.json" not in text


def test_any_byte_of_any_file_names_that_file(seed: int) -> None:
    rng = random.Random(seed)
    files = {f"f{number:02}": rng.randbytes(rng.randint(1, 300)) for number in range(20)}
    before = with_application(*(cpio.file(name, content) for name, content in files.items()))
    for name in rng.sample(sorted(files), 5):
        edited, place = bytearray(files[name]), rng.randrange(len(files[name]))
        edited[place] ^= 1 << rng.randrange(8)
        after = with_application(*(cpio.file(n, c) for n, c in (files | {name: bytes(edited)}).items()))
        change = only(compare(before, after)).change
        assert flat(change.parts) == [(name, "changed")]
        assert change.parts[0].detail.endswith(f"first difference at offset {place}")


REPLACED: dict[str, tuple[cpio.Entry, str]] = {
    "longer": (cpio.file("app/config.json", b"{ }"), "content: 2 -> 3 bytes, first difference at offset 1"),
    "appended": (cpio.file("app/config.json", b"{}\n"), "content: 2 -> 3 bytes, first difference at offset 2"),
    "emptied": (cpio.file("app/config.json", b""), "content: 2 -> 0 bytes, first difference at offset 0"),
    "mode": (cpio.file("app/config.json", b"{}", 0o4755), "mode 0644 -> 4755"),
    "kind": (cpio.symlink("app/config.json", "x"), "was: file of 2 bytes, mode 0644; is: symlink to 'x'"),
    "target": (cpio.symlink("app/run", "other.py"), "target 'main.py' -> 'other.py'"),
    "device": (cpio.character_device("dev/console", 1, 3), "device 5:1 -> 1:3"),
}


@pytest.mark.parametrize("name", REPLACED)
def test_each_aspect_of_an_entry_is_told(name: str) -> None:
    replacement, detail = REPLACED[name]
    tree = [replacement if entry.path == replacement.path else entry for entry in TREE]
    change = only(compare(with_application(*TREE), with_application(*tree))).change
    assert [(part.what, part.detail) for part in change.parts] == [(replacement.path, detail)]


def test_owner_is_told() -> None:
    owned = with_application(*TREE).replace(b"000081A400000000", b"000081A4000003E8", 1)
    change = only(compare(with_application(*TREE), images.remade(owned))).change
    assert [(part.what, part.detail) for part in change.parts] == [("app/config.json", "owner 0:0 -> 1000:0")]


def test_number_of_links_is_told() -> None:
    start = b"000081A40000000000000000"
    linked = with_application(*TREE).replace(start + b"00000001", start + b"00000002", 1)
    change = only(compare(with_application(*TREE), images.remade(linked))).change
    assert [(part.what, part.detail) for part in change.parts] == [("app/config.json", "links 1 -> 2")]


def test_entries_come_and_go() -> None:
    more = [*TREE, cpio.file("app/new.py", b"pass"), cpio.directory("app/cache")]
    fewer = [entry for entry in more if entry.path not in ("app/config.json", "app/run")]
    change = only(compare(with_application(*more), with_application(*fewer))).change
    assert [(part.what, part.how.value, part.detail) for part in change.parts] == [
        ("app/config.json", "removed", "file of 2 bytes, mode 0644"),
        ("app/run", "removed", "symlink to 'main.py'"),
    ]
    change = only(compare(with_application(*fewer), with_application(*more))).change
    assert [part.how.value for part in change.parts] == ["added", "added"]


def test_times_of_many_entries_are_one_line() -> None:
    change = only(compare(with_application(*TREE), with_application(*TREE, mtime_s=5))).change
    assert flat(change.parts) == [("times of 6 entries", "changed")]
    assert change.parts[0].parts[0].detail == "time 0 -> 5"


def test_other_order_or_numbers_of_entries_are_told_apart_from_other_files() -> None:
    first = archive(cpio.file("a", b"1")) + archive(cpio.file("b", b"2"))
    other_order = archive(cpio.file("b", b"2")) + archive(cpio.file("a", b"1"))
    one_archive = archive(cpio.file("a", b"1"), cpio.file("b", b"2"))
    padded = first + bytes(4)

    def reason(data: bytes) -> str:
        pair = [images.image(*images.with_section(RAMDISK, content, 1)) for content in (first, data)]
        return only(compare(*pair)).change.parts[0].detail

    assert reason(other_order) == "the same entries in another order"
    assert reason(one_archive).startswith("the same entries with other inode numbers (1 of 2)")
    assert reason(padded).startswith("the same entries, otherwise packed")


def test_files_of_compressed_ramdisks_are_compared() -> None:
    def packed(content: bytes) -> bytes:
        return images.image(*images.with_section(RAMDISK, gzip.compress(archive(cpio.file("a", content)), mtime=0), 0))

    explanation = compare(packed(b"1"), packed(b"2"))
    assert explanation.changed_registers == (0, 1)
    assert flat(only(explanation).change.parts) == [("a", "changed")]


def test_ramdisk_that_is_no_archive_shows_bytes_and_why() -> None:
    explanation = compare(
        images.image(*images.with_section(RAMDISK, b"opaque bytes", 1)),
        images.image(*images.with_section(RAMDISK, b"opaque Bytes", 1)),
    )
    change = only(explanation).change
    assert change.detail == "12 bytes; first difference at offset 7, last at 7"
    assert "cpio-malformed" in change.parts[0].detail


def test_kernel_shows_the_range() -> None:
    change = only(compare(images.image(), images.image(*images.with_section(KERNEL, b"kernel" * 5 + b"KERNEL" * 5))))
    assert change.registers == (0, 1)
    assert change.change.detail == "60 bytes; first difference at offset 30, last at 59"


def test_command_line_shows_words() -> None:
    first = images.image(*images.with_section(CMDLINE, b"a b=1 c"))
    explanation = compare(first, images.image(*images.with_section(CMDLINE, b"a b=2 c d")))
    assert flat(only(explanation).change.parts) == [("b=1", "removed"), ("b=2", "added"), ("d", "added")]
    explanation = compare(first, images.image(*images.with_section(CMDLINE, b"a c b=1")))
    assert flat(only(explanation).change.parts) == [("a c b=1", "moved")]


UNMEASURED: dict[str, tuple[bytes, str]] = {
    "architecture": (images.image(flags=1), "architecture"),
    "metadata": (images.image(*images.with_section(METADATA, CLAIMS_[1].replace(b"6.12", b"6.13"))), "metadata"),
    "unreadable metadata": (images.image(*images.with_section(METADATA, b"?")), "metadata"),
    "place of metadata": (images.image(*SECTIONS[:2], BOOT_, APPLICATION_, CLAIMS_), "order of sections"),
}


@pytest.mark.parametrize("name", UNMEASURED)
def test_what_no_register_covers_is_named_as_such(name: str) -> None:
    other, what = UNMEASURED[name]
    explanation = compare(images.image(), other)
    change = only(explanation)
    assert (change.change.what, change.measured, change.registers) == (what, False, ())
    assert (explanation.is_same, explanation.is_measured_same, explanation.warnings) == (False, True, ())
    assert "(not measured)" in render(explanation)


def test_member_of_the_metadata_is_named() -> None:
    change = only(compare(images.image(), UNMEASURED["metadata"][0])).change
    assert [(part.what, part.detail) for part in change.parts] == [("Metadata.KernelVersion", "'6.12' -> '6.13'")]


def signed(key: Any, certificate: bytes) -> bytes:
    pcr0 = measure(BytesIO(images.image())).pcrs[0]
    return images.image(*SECTIONS, (SIGNATURE, signature.sign(pcr0, parse_signer(certificate), key)))


def test_signatures() -> None:
    key = images.new_key()
    certificate = images.certificate(key)
    one, again = signed(key, certificate), signed(key, certificate)
    added = only(compare(images.image(), one))
    assert (added.change.how.value, added.registers) == ("added", (8,))
    resigned = compare(one, again)
    assert only(resigned).change.detail == "the same certificate signed again"
    assert (only(resigned).measured, resigned.is_measured_same, resigned.is_same) == (False, True, False)
    other = compare(one, signed(key, images.certificate(key, days=3)))
    assert (only(other).change.detail, only(other).registers) == ("another certificate signed", (8,))
    assert not other.is_measured_same


def test_ramdisks_come_go_and_move() -> None:
    third = (RAMDISK, archive(cpio.file("third", b"3")))
    added = compare(images.image(), images.image(*SECTIONS, third))
    assert (only(added).change.what, only(added).change.how.value) == ("ramdisk 2", "added")
    assert only(added).registers == (0, 2)
    front = compare(images.image(), images.image(*SECTIONS[:3], third, BOOT_, APPLICATION_))
    found = {(change.change.what, change.change.how.value, change.registers) for change in front.changes}
    assert found == {("ramdisk 0", "added", (0, 1)), ("ramdisk 0", "moved", (0, 1, 2))}
    swapped = compare(images.image(), images.image(*SECTIONS[:3], APPLICATION_, BOOT_))
    assert {change.change.how.value for change in swapped.changes} == {"moved"}
    assert swapped.changed_registers == (0, 1, 2)


def test_order_of_measured_sections_is_told() -> None:
    explanation = compare(images.image(), images.image(CMDLINE_, KERNEL_, *SECTIONS[2:]))
    assert (only(explanation).change.what, only(explanation).registers) == ("order of sections", (0, 1))


SHIFTS: dict[str, tuple[tuple[tuple[int, bytes], ...], tuple[int, ...], str, str]] = {
    "kernel and command line": (
        ((KERNEL, KERNEL_[1] + CMDLINE_[1][:3]), (CMDLINE, CMDLINE_[1][3:]), CLAIMS_, BOOT_, APPLICATION_),
        (0, 1, 2),
        "PCR0, PCR1",
        "cmdline, kernel",
    ),
    "command line and ramdisk": (
        (KERNEL_, (CMDLINE, CMDLINE_[1] + BOOT[:4]), CLAIMS_, (RAMDISK, BOOT[4:]), APPLICATION_),
        (0, 1, 2),
        "PCR0, PCR1",
        "cmdline, ramdisk 0",
    ),
    "ramdisks": (
        (KERNEL_, CMDLINE_, CLAIMS_, (RAMDISK, BOOT + APPLICATION_[1][:4]), (RAMDISK, APPLICATION_[1][4:])),
        (0,),
        "PCR0",
        "ramdisk 0, ramdisk 1",
    ),
    "an empty ramdisk more": ((*SECTIONS, (RAMDISK, b"")), (0, 1, 2), "PCR0, PCR2", "ramdisk 2"),
    "later ramdisks": (
        (*SECTIONS[:4], (RAMDISK, APPLICATION_[1][:4]), (RAMDISK, APPLICATION_[1][4:])),
        (0, 1, 2),
        "PCR0, PCR2",
        "ramdisk 1, ramdisk 2",
    ),
    "kernel and command line, and another application": (
        ((KERNEL, KERNEL_[1] + CMDLINE_[1][:3]), (CMDLINE, CMDLINE_[1][3:]), CLAIMS_, BOOT_, (RAMDISK, b"other")),
        (1,),
        "PCR1",
        "cmdline, kernel",
    ),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_borders_that_move_under_equal_registers_are_called_out(name: str) -> None:
    """AT-11: registers hash the bytes of sections in a row, and no lengths."""
    sections, same, blind, moved = SHIFTS[name]
    explanation = compare(images.image(), images.image(*sections))
    assert {0, 1, 2} - set(explanation.changed_registers) == set(same)
    [warning] = explanation.warnings
    assert f"SECTION BORDERS MOVED: same {blind}, yet these sections differ: {moved}." in warning
    assert not explanation.is_measured_same
    assert f"!! {warning}" in render(explanation)


def test_damage_is_a_warning_and_not_a_refusal() -> None:
    damaged = bytearray(images.image())
    damaged[544] ^= 1
    explanation = compare(images.image(), bytes(damaged))
    assert "checksum of the second image" in explanation.warnings[0]


def test_checksum_that_alone_differs_is_a_difference() -> None:
    damaged = bytearray(images.image())
    damaged[544] ^= 1
    explanation = compare(images.image(), bytes(damaged))
    assert [(change.change.what, change.measured) for change in explanation.changes] == [
        ("error of the checksum", False)
    ]
    assert not explanation.is_same


def test_names_in_an_image_cannot_drive_a_terminal() -> None:
    evil = cpio.file("a\x1b]0;owned\x07\u202e", b"1")
    text = render(compare(with_application(*TREE), with_application(*TREE, evil)))
    assert r"a\x1b]0;owned\x07\u202e added" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_long_lists_are_cut_in_text_and_whole_in_json() -> None:
    many = [cpio.file(f"f{number:03}", b"") for number in range(60)]
    explanation = compare(with_application(*TREE), with_application(*TREE, *many))
    assert "… and 10 more; --json lists all" in render(explanation)
    assert len(explanation.to_json()["changes"][0]["parts"]) == 60


def test_json_has_the_registers_and_the_tree() -> None:
    key = images.new_key()
    certificate = images.certificate(key)
    value = compare(images.image(), signed(key, certificate)).to_json()
    assert (value["same"], value["measuredSame"], value["warnings"]) == (False, False, [])
    pcrs = measure(BytesIO(images.image())).pcrs
    assert value["registers"] == {
        **{f"PCR{n}": {"first": pcrs[n].hex(), "second": pcrs[n].hex(), "changed": False} for n in (0, 1, 2)},
        "PCR8": {"first": None, "second": parse_signer(certificate).pcr8.hex(), "changed": True},
    }
    [change] = value["changes"]
    assert (change["what"], change["how"], change["measured"], change["registers"]) == ("signature", "added", True, [8])


# --- ranges ---


def spans(one: bytes, other: bytes) -> tuple[Span, Span]:
    return Span(BytesIO(one), 0, len(one)), Span(BytesIO(other), 0, len(other))


@given(one=st.binary(max_size=30), other=st.binary(max_size=30))
def test_first_difference_is_where_both_part(one: bytes, other: bytes) -> None:
    place = first_difference(*spans(one, other))
    if one == other:
        assert place is None
    else:
        assert place is not None
        assert one[:place] == other[:place]
        assert one[place : place + 1] != other[place : place + 1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:100] + b"new" + data[100:], "3 bytes inserted at offset 100"),
        (lambda data: data[:100] + data[105:], "5 bytes taken out at offset 100"),
        (lambda data: data + b"end", f"3 bytes inserted at offset {3 * CHUNK_BYTES}"),
        (lambda data: data[: 2 * CHUNK_BYTES], f"{CHUNK_BYTES} bytes taken out at offset {2 * CHUNK_BYTES}"),
        (lambda data: data[:9] + bytes([data[9] ^ 1]) + data[10:], "first difference at offset 9, last at 9"),
        (
            lambda data: data[:CHUNK_BYTES] + bytes([data[CHUNK_BYTES] ^ 1]) + data[CHUNK_BYTES + 1 :],
            f"first difference at offset {CHUNK_BYTES}, last at {CHUNK_BYTES}",
        ),
        (
            lambda data: data[:5] + bytes([data[5] ^ 1, data[6] ^ 1, 0]) + data[7:],
            "first difference at offset 5, last at 6, became 3 bytes",
        ),
    ],
)
def test_ranges_of_large_contents(change: Callable[[bytes], bytes], words: str) -> None:
    data = random.Random(5).randbytes(3 * CHUNK_BYTES)
    assert describe_bytes(*spans(data, change(data))).endswith(words)


def test_range_in_contents_that_repeat_themselves() -> None:
    assert describe_bytes(*spans(b"aaaa", b"aaaaa")) == "4 -> 5 bytes; 1 bytes inserted at offset 4"
    assert describe_bytes(*spans(b"aaaa", b"aa")) == "4 -> 2 bytes; 2 bytes taken out at offset 2"
