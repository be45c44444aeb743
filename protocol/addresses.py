"""One address syntax for the three transports (design section 9).

vsock://CID:PORT      a Nitro enclave or its parent
unix:PATH:PORT        the hybrid-vsock convention: connect to PATH, send `CONNECT PORT\n`, read `OK n\n`;
                      connections that the guest starts arrive on `PATH_PORT`
"""

import re
from dataclasses import dataclass
from typing import Final

from protocol import limits
from protocol.errors import ProtocolError

PARENT_CID: Final = 3
INGRESS_PORT: Final = 5000  # plus the worker's number
EGRESS_PORT: Final = 8000
SERVICES_PORT: Final = 8001  # store and credentials
KMS_PORT_BASE: Final = 8100
"""Plus a holder's index (1 to n): straight to that holder's KMS endpoint, for a library that speaks no CONNECT."""
HEARTBEAT_PORT: Final = 9000
MAX_PORT: Final = 2**32 - 2  # the last value means "any" to the kernel, for ports and context ids alike
MAX_CID: Final = 2**32 - 2

_NUMBER: Final = "(0|[1-9][0-9]{0,9})"
_VSOCK: Final = re.compile(rf"vsock://{_NUMBER}:{_NUMBER}\Z")
_UNIX: Final = re.compile(rf"unix:([^\x00\ud800-\udfff]+):{_NUMBER}\Z")


@dataclass(frozen=True, slots=True)
class VsockAddress:
    """A context id and a 32-bit port."""

    cid: int
    port: int

    def __str__(self) -> str:
        return f"vsock://{self.cid}:{self.port}"


@dataclass(frozen=True, slots=True)
class HybridAddress:
    """A unix socket that speaks the hybrid-vsock handshake, and the guest's port behind it."""

    path: str
    port: int

    def __str__(self) -> str:
        return f"unix:{self.path}:{self.port}"

    @property
    def guest_path(self) -> str:
        """The unix socket on which connections that the guest starts to this port arrive."""
        return f"{self.path}_{self.port}"

    @property
    def hello(self) -> bytes:
        """What the host sends first."""
        return b"CONNECT %d\n" % self.port


Address = VsockAddress | HybridAddress


def parse_address(text: str) -> Address:
    """The address that `text` names; `ProtocolError("address")` otherwise."""
    if match := _VSOCK.match(text):
        cid, port = map(int, match.groups())
        if cid <= MAX_CID and port <= MAX_PORT:
            return VsockAddress(cid, port)
    elif match := _UNIX.match(text):
        path, port = match[1], int(match[2])
        if len(path.encode()) <= limits.MAX_SOCKET_PATH_BYTES and port <= MAX_PORT:
            return HybridAddress(path, port)
    raise ProtocolError("address")
