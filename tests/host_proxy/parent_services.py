"""A host's services on a socket, and the enclave's end of them."""

import asyncio
import io
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from enclave.parent import ParentServices
from host_proxy.logging import Log
from host_proxy.looking import Looks
from host_proxy.metrics import Metrics
from host_proxy.services import Services
from host_proxy.store import SqliteStore
from protocol.addresses import HybridAddress
from tests.host_proxy.conftest import FixedCredentials


@asynccontextmanager
async def parent_services(**parts: Any) -> AsyncIterator[ParentServices]:
    """What an enclave sees of a host that serves `parts` (of `Services`) beside an empty store."""
    with tempfile.TemporaryDirectory(prefix="ch") as folder:
        store = SqliteStore(Path(folder) / "store.db")
        served = Services(
            store=store,
            credentials=FixedCredentials(),
            looks=Looks(),
            log=Log(io.StringIO(), strict=True),
            metrics=Metrics(destinations=[], workers=1),
            **parts,
        )
        served.start(HybridAddress(f"{folder}/vm", 5000))

        async def dial(_: int) -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, f"{folder}/vm_8001")
            return connection

        yield ParentServices(dial)
        await served.close()
        await store.close()
