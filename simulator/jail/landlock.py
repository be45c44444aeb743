"""Layer 2: Landlock (landlock(7)). Nothing can be opened but what is listed, and no TCP port bound or reached."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from simulator.jail import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _MAKE_SOCK = 1 << 7, 1 << 8, 1 << 9
_TRUNCATE: Final = 1 << 14
# Rights on files by the version that brought them; a version handles all those up to it.
_HANDLED_FROM_VERSION: Final = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: 1 << 15}
_NETWORK_VERSION: Final = 4
_SCOPE_VERSION: Final = 6
_TCP: Final = 0b11  # bind, connect
_SCOPES: Final = 0b11  # abstract unix sockets, signals

_READ: Final = _READ_FILE | _READ_DIR | _EXECUTE  # what is executed stays inside
_WRITE: Final = (
    _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK
)
_FILE_RIGHTS: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE


def version() -> int:
    """The kernel's Landlock version, 0 where it has none."""
    try:
        return kernel.syscall(_CREATE_RULESET, kernel.ffi.NULL, 0, _CREATE_RULESET_VERSION)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise
        return 0


def restrict(readable: Sequence[Path], writable: Sequence[Path]) -> int:
    """Confine this thread and its children; the version in use, or 0 where the kernel has none. Needs no_new_privs."""
    found = version()
    if not found:
        return 0
    handled = sum(rights for since, rights in _HANDLED_FROM_VERSION.items() if found >= since)
    attributes = kernel.ffi.new(
        "uint64_t[3]",
        [handled, _TCP if found >= _NETWORK_VERSION else 0, _SCOPES if found >= _SCOPE_VERSION else 0],
    )
    size = 24 if found >= _SCOPE_VERSION else 16 if found >= _NETWORK_VERSION else 8
    ruleset = kernel.syscall(_CREATE_RULESET, attributes, size, 0)
    try:
        for paths, rights in ((readable, _READ), (writable, _WRITE)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return found


def _allow(ruleset: int, path: Path, rights: int) -> None:
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        allowed = rights if path.is_dir() else rights & _FILE_RIGHTS
        # struct landlock_path_beneath_attr is packed: u64 rights, s32 descriptor
        rule = kernel.ffi.from_buffer(allowed.to_bytes(8, "little") + beneath.to_bytes(4, "little"))
        kernel.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(beneath)
