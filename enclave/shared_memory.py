"""Memory that the workers of an enclave have in common: made before they part, changed by one of them at a time.

Nothing secret goes in here: versions, counts, and names that are hashes. It is as large as it was made; who needs more
is refused.
"""

import fcntl
import mmap
import os
from types import TracebackType


class WorkerLock:
    """Held by one worker at a time, for a few microseconds and never over an `await`. Ends with its holder's process.

    A file lock belongs to a process, so within one it excludes nobody: there one event loop does.
    """

    __slots__ = ("_file",)

    def __init__(self) -> None:
        self._file = os.memfd_create("workers", os.MFD_CLOEXEC)

    def __enter__(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)


def shared_words(count: int) -> memoryview:
    """`count` 64-bit words, zero at first, that a fork does not copy. One word is read and written as a whole."""
    return memoryview(mmap.mmap(-1, 8 * count, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)).cast("Q")
