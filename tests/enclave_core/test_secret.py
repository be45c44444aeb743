"""Secrets have no text, no equality, no copies, and are wiped (MS-01, MS-02, MS-03)."""

import copy
import os
import pickle
import re
from pathlib import Path

import pytest

from enclave.secret import Secret


def make(data: bytes = b"canary-canary-canary-canary-1234") -> Secret:
    return Secret.take(bytearray(data))


def test_neither_repr_nor_str_nor_format_shows_the_bytes() -> None:
    secret = make()
    for text in (repr(secret), str(secret), f"{secret}", f"{[secret]}"):
        assert "canary" not in text


@pytest.mark.parametrize(
    "operation", [lambda s: s == s, lambda s: s != b"", hash, copy.copy, copy.deepcopy, pickle.dumps]
)
def test_it_cannot_be_compared_hashed_copied_or_pickled(operation: object) -> None:
    with pytest.raises(TypeError):
        operation(make())  # type: ignore[operator]


def test_the_source_is_cleared_when_taken() -> None:
    source = bytearray(b"secret-bytes")
    Secret.take(source)
    assert source == bytes(12)


def test_a_wiped_secret_is_gone_and_its_slot_is_clean() -> None:
    secret = make(b"\xaa" * 64)
    view = memoryview(secret.view)
    secret.wipe()
    secret.wipe()
    assert bytes(view) == bytes(64)
    with pytest.raises(ValueError, match="wiped"):
        _ = secret.view


def test_leaving_the_block_wipes_even_after_an_error() -> None:
    secret = make()
    with pytest.raises(ZeroDivisionError), secret:
        raise ZeroDivisionError
    with pytest.raises(ValueError, match="wiped"):
        len(secret)


@pytest.mark.parametrize("size", [0, 65, -1])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        Secret(size)


def test_a_forked_child_finds_zeros() -> None:
    secret = make()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, bytes(secret.view))
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    assert os.read(reader, 64) == bytes(32)
    os.close(reader)


def test_the_pages_are_locked_and_left_out_of_dumps() -> None:
    secret = make()
    import ctypes

    address = ctypes.addressof(ctypes.c_char.from_buffer(secret.view))
    flags: list[str] = []
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(match[1], 16) <= address < int(match[2], 16)
        elif inside and line.startswith("VmFlags:"):
            flags = line.split()[1:]
    assert {"lo", "dd", "wf"} <= set(flags)
