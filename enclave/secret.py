"""Secrets of up to 64 bytes, in locked pages that are left out of dumps and wiped on fork (MS-01, MS-02, MS-03).

Python cannot wipe `bytes`. A `Secret` is a slot of one `mlock`ed arena; native code reads and writes it through `view`,
and `wipe` clears it. It has no text form, no equality, no hash, and cannot be copied or pickled.
"""

import mmap
from types import TracebackType
from typing import Any, Final, Never, Self

from cffi import FFI

_SLOT_BYTES: Final = 64
_ARENA_BYTES: Final = 256 * 1024

_MADV_WIPEONFORK: Final = 18  # linux/mman.h; the mmap module of Python has no name for it

_ffi = FFI()
_ffi.cdef("int mlock(const void *, size_t);")
_libc: Any = _ffi.dlopen(None)
_ZEROS: Final = bytes(_SLOT_BYTES)


class _Arena:
    """One locked mapping cut into equal slots."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _ARENA_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._map.madvise(mmap.MADV_DONTDUMP)
        self._map.madvise(_MADV_WIPEONFORK)
        self._view = memoryview(self._map)
        self.lock()
        self._free = list(range(0, _ARENA_BYTES, _SLOT_BYTES))  # its pop and append are atomic

    def lock(self) -> None:
        if _libc.mlock(_ffi.from_buffer(self._view), _ARENA_BYTES) != 0:
            raise MemoryError("the arena for secrets cannot be locked")

    def take(self, size: int) -> tuple[int, memoryview]:
        try:
            offset = self._free.pop()
        except IndexError:
            raise MemoryError("too many live secrets") from None
        return offset, self._view[offset : offset + size]

    def give_back(self, offset: int) -> None:
        self._view[offset : offset + _SLOT_BYTES] = _ZEROS  # no compiler sees that nobody reads it afterwards
        self._free.append(offset)


_arena = _Arena()


def lock_arena() -> None:
    """Lock the pages anew, in a process that was forked: it does not inherit the lock (mlock(2))."""
    _arena.lock()


class Secret:
    """`size` secret bytes (1 to 64). Use as a context manager, or call `wipe` when done; wiping twice is harmless."""

    __slots__ = ("_offset", "_view")

    def __init__(self, size: int) -> None:
        self._offset = -1
        if not 1 <= size <= _SLOT_BYTES:
            raise ValueError("a secret has 1 to 64 bytes")
        self._offset, self._view = _arena.take(size)

    @classmethod
    def take(cls, source: bytearray) -> "Secret":
        """Move `source` into a new secret and clear it."""
        secret = cls(len(source))
        secret._view[:] = source
        source[:] = bytes(len(source))
        return secret

    @property
    def view(self) -> memoryview:
        """The live bytes, writable, for native code. `ValueError` once wiped."""
        if self._offset < 0:
            raise ValueError("the secret has been wiped")
        return self._view

    def wipe(self) -> None:
        """Clear the bytes and give the slot back."""
        if self._offset >= 0:
            offset, self._offset = self._offset, -1
            self._view.release()
            _arena.give_back(offset)

    def __len__(self) -> int:
        return len(self.view)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __del__(self) -> None:
        if self._offset >= 0:
            self.wipe()

    def __repr__(self) -> str:
        return "Secret(<redacted>)"

    def _refuse(self, *_: object) -> Never:
        raise TypeError("a secret cannot be compared, hashed, copied or pickled")

    __eq__ = _refuse
    __ne__ = _refuse
    __hash__ = _refuse
    __copy__ = _refuse
    __deepcopy__ = _refuse
    __reduce_ex__ = _refuse
