"""A transport whose writes of one turn of the event loop leave in one system call.

Trust side: host. uvicorn writes head and body of an answer apart, and frames are written one by one: each write would
be a system call of its own, and a TCP segment of its own. Measured: a fifth of the host's time for one request.
"""

import asyncio


class GatheredWrites:
    """Wraps what of `asyncio.Transport` the host's protocols use. Order is kept; nothing waits longer than one turn."""

    __slots__ = ("_loop", "_pending", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Sends `data` at the end of this turn."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)

    def write_eof(self) -> None:
        """Ends our half after what was written."""
        self._flush()
        self._transport.write_eof()

    def can_write_eof(self) -> bool:
        """Whether the connection has halves (TLS has none)."""
        return self._transport.can_write_eof()

    def close(self) -> None:
        """Closes after what was written."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Closes at once; what was written is lost."""
        self._pending.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether `close` or `abort` came before."""
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        """Bytes that have not left yet."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._pending))

    def _flush(self) -> None:
        if self._pending:
            self._transport.write(b"".join(self._pending) if len(self._pending) > 1 else self._pending[0])
            self._pending.clear()
