"""Layer 3: a seccomp filter (seccomp(2)). A socket is a unix socket, or it is not made.

It also closes what a network namespace leaves open, AF_VSOCK above all, and two ways around it: io_uring, which makes
sockets without the system call, and other processes, through ptrace and process_vm_*.
"""

import errno
import socket
import struct
from typing import Final

from simulator.jail import kernel
from simulator.jail.kernel import Architecture

_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
_KILL: Final = 0x80000000
_IO_URING_SETUP: Final = 425  # on every architecture
_X32_BIT: Final = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF operations on 32-bit words
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16  # struct seccomp_data

Instruction = tuple[int, int, int, int]
"""Operation, instructions to skip when true, when false, and operand."""


def install() -> bool:
    """Filter this thread and its children; False where processor or kernel cannot. Needs no_new_privs."""
    numbers = kernel.architecture()
    if numbers is None:
        return False
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _program(numbers))
    code = kernel.ffi.from_buffer(program)
    # struct sock_fprog: u16 count, padding, pointer
    head = struct.pack("=HxxxxxxQ", len(program) // 8, int(kernel.ffi.cast("uintptr_t", code)))
    argument = kernel.ffi.from_buffer(head)
    try:
        kernel.prctl(kernel.PR_SET_SECCOMP, _MODE_FILTER, int(kernel.ffi.cast("uintptr_t", argument)))
    except OSError:
        return False
    return True


def _program(numbers: Architecture) -> list[Instruction]:
    refused = (_IO_URING_SETUP, numbers.ptrace, numbers.process_vm_readv, numbers.process_vm_writev)
    sockets = (numbers.socket, numbers.socketpair)
    end: list[Instruction] = [
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_EQUAL, 1, 0, socket.AF_UNIX),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    family, refuse = 1, 3  # where in `end` a socket's family is looked at, and where the answer is no
    tests = [(_AT_LEAST, _X32_BIT, refuse)]
    tests += [(_EQUAL, number, refuse) for number in refused]
    tests += [(_EQUAL, number, family) for number in sockets]
    after = range(len(tests) - 1, -1, -1)  # tests that still follow each
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, numbers.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        *(
            (operation, following + target, 0, number)
            for (operation, number, target), following in zip(tests, after, strict=True)
        ),
        *end,
    ]
