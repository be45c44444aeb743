"""The enclave's two uses of AF_VSOCK: dialling the parent's services, and listening for the parent.

Trust side: enclave. A CID says only through which hypervisor port bytes come; it is never an identity (VS-01). On Nitro
the parent is CID 3; under an emulator it is CID 2, and the command line says so.
"""

import asyncio
import socket
from typing import Final

from enclave.errors import BootError, EgressError
from protocol import limits
from protocol.addresses import PARENT_CID

_ANY_CID: Final = 0xFFFFFFFF  # VMADDR_CID_ANY of linux/vm_sockets.h


class Parent:
    """The parent instance at the CID that it has for this enclave."""

    def __init__(self, cid: int = PARENT_CID) -> None:
        self._cid = cid

    async def dial(self, port: int) -> socket.socket:
        """A connected non-blocking stream socket to the parent's vsock `port`.

        `EgressError("egress-parent-timeout")` after `CONNECT_DEADLINE_S`, else
        `EgressError("egress-parent-unreachable")`.
        """
        try:
            sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        except OSError:
            raise EgressError("egress-parent-unreachable") from None
        try:
            sock.setblocking(False)
            async with asyncio.timeout(limits.CONNECT_DEADLINE_S):
                await asyncio.get_running_loop().sock_connect(sock, (self._cid, port))
        except TimeoutError:  # also the kernel's own ETIMEDOUT, after 2 s
            sock.close()
            raise EgressError("egress-parent-timeout") from None
        except OSError:
            sock.close()
            raise EgressError("egress-parent-unreachable") from None
        except BaseException:
            sock.close()
            raise
        return sock

    def is_peer(self, sock: socket.socket) -> bool:
        """Whether an accepted vsock connection comes from the parent; anything else is closed unread (VS-01)."""
        if sock.family != socket.AF_VSOCK:
            return False
        try:
            peer = sock.getpeername()
        except OSError:
            return False
        return bool(peer[0] == self._cid)


def listen(port: int) -> socket.socket:
    """A non-blocking listening socket on vsock `port`; `BootError("vsock-listen")`.

    The server asks `Parent.is_peer` about each connection that it accepts.
    """
    try:
        sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    except OSError as error:
        raise BootError("vsock-listen", error.strerror or "") from None
    try:
        sock.setblocking(False)
        sock.bind((_ANY_CID, port))
        sock.listen(limits.MAX_CONNECTIONS)
    except OSError as error:
        sock.close()
        raise BootError("vsock-listen", error.strerror or "") from None
    return sock
