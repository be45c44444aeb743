"""Unpacks what a kernel unpacks, in pieces of bounded size, whatever the input says.

A ramdisk of a thousand bytes can unpack to gigabytes. So output is drawn a piece at a time, its sum is capped, and the
dictionaries that the formats ask for are capped as well.
"""

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

import zstandard

from eif.errors import EifError

MAX_UNPACKED_BYTES: Final = 8 << 30
"""All of it lies in the memory of an enclave."""
MAX_WINDOW_BYTES: Final = 1 << 27
"""Of dictionaries; the kernel's own bound for zstd, and twice what `xz -9` uses."""
_PIECE_BYTES: Final = 1 << 20
_ZSTD_INPUT_BYTES: Final = 256
"""zstd has no bound on output; four bytes of input give at most 128 KiB, so this much gives 8 MiB."""

_MAGICS: Final = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x5d\0\0": "lzma",
    b"\x89LZO": "lzo",
    b"\x02\x21\x4c\x18": "lz4",
}
"""The kernel's table; the last three are told apart, yet not read."""


def recognize(start: bytes) -> str | None:
    """The name of the format whose magic `start` begins with."""
    return next((name for magic, name in _MAGICS.items() if start.startswith(magic)), None)


class Unpacker(Protocol):
    """One compressed stream."""

    @property
    def is_finished(self) -> bool:
        """Whether the stream came to its end."""

    @property
    def rest(self) -> bytes:
        """Input behind the end."""

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """Output of this piece of input, in pieces."""


class _Zlib:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    @property
    def is_finished(self) -> bool:
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data

    def unpack(self, data: bytes) -> Iterator[bytes]:
        while data and not self._stream.eof:
            yield self._stream.decompress(data, _PIECE_BYTES)
            data = self._stream.unconsumed_tail  # what is drawn later needs input: a checksum follows


class _Library:
    """bz2 and lzma, whose objects have the same methods."""

    def __init__(self, stream: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._stream = stream

    @property
    def is_finished(self) -> bool:
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data

    def unpack(self, data: bytes) -> Iterator[bytes]:
        yield self._stream.decompress(data, _PIECE_BYTES)
        while not self._stream.needs_input and not self._stream.eof:
            yield self._stream.decompress(b"", _PIECE_BYTES)


class _Zstandard:
    def __init__(self) -> None:
        self._stream = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
        self._behind = b""

    @property
    def is_finished(self) -> bool:
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data + self._behind

    def unpack(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _ZSTD_INPUT_BYTES):
            yield self._stream.decompress(data[at : at + _ZSTD_INPUT_BYTES])
            if self._stream.eof:
                self._behind = data[at + _ZSTD_INPUT_BYTES :]
                return


def unpacker(name: str) -> Unpacker:
    """An unpacker for one stream of a format that `recognize` names; `EifError("compression-unsupported")`."""
    match name:
        case "gzip":
            return _Zlib()
        case "bzip2":
            return _Library(bz2.BZ2Decompressor())
        case "xz":
            return _Library(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2 * MAX_WINDOW_BYTES))
        case "zstd":
            return _Zstandard()
    raise EifError("compression-unsupported", name)


ERRORS: Final = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)
"""What unpackers raise for broken input; bz2 has `OSError`."""
