"""Closes the process against its neighbours before the first secret exists (MS-02).

Trust side: enclave. Afterwards the process cannot be traced or read by another process of its user, leaves no core
file, and neither it nor a child can gain privileges by exec. `boot` calls it first.
"""

import resource
from typing import Any, Final

from cffi import FFI

from enclave.errors import BootError

_PR_GET_DUMPABLE: Final = 3  # linux/prctl.h
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_NO_NEW_PRIVS: Final = 39

_ffi = FFI()
_ffi.cdef("int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long);")
_libc: Any = _ffi.dlopen(None)


def harden_process() -> None:
    """Not dumpable, no core file, no new privileges; each is read back. `BootError("hardening")` names what failed."""
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if _libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise BootError("hardening", "the process stays dumpable")
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1:
        raise BootError("hardening", "exec can still gain privileges")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        raise BootError("hardening", "core files stay allowed")
