"""A simulated mail server: SMTP over implicit TLS. What it takes stays in memory, for tests and for people to see."""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

MAX_KEPT: Final = 100
_MAX_MAIL_BYTES: Final = 256 * 1024
_CODE: Final = re.compile(r"^Your code: ([0-9]{6,12}|[0-9A-Z]{5}-[0-9A-Z]{5})\r?$", re.MULTILINE)


class MailSink:
    """Takes every mail; with `credentials` (name, password) only after login, and none for recipients in `refused`."""

    def __init__(
        self,
        *,
        on_message: Callable[[EmailMessage], None] | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self.messages: deque[EmailMessage] = deque(maxlen=MAX_KEPT)
        """The last mails, oldest first."""
        self.refused: set[str] = set()
        self._on_message = on_message
        self._credentials = credentials
        self._unread: deque[tuple[frozenset[str], EmailMessage]] = deque(maxlen=MAX_KEPT)
        self._arrived = asyncio.Condition()

    async def serve(self, host: str, port: int, ssl_context: ssl.SSLContext) -> "MailServer":
        """Listen; port 0 takes a free one."""
        server = MailServer()
        await server.start(self._protocol, host, port, ssl_context)
        return server

    async def wait_for(self, recipient: str, *, timeout_s: float = 10.0) -> EmailMessage:
        """The oldest mail to `recipient` that has not been waited for yet; `TimeoutError`."""
        async with asyncio.timeout(timeout_s), self._arrived:
            while True:
                for item in self._unread:
                    if recipient in item[0]:
                        self._unread.remove(item)
                        return item[1]
                await self._arrived.wait()

    async def handle_RCPT(  # noqa: N802  names that aiosmtpd looks for
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Refuse or take a recipient."""
        if self._credentials is not None and not session.authenticated:
            return "530 Log in first"
        if address in self.refused:
            return "550 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail and tell those who wait."""
        message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        self.messages.append(message)
        async with self._arrived:
            self._unread.append((frozenset(envelope.rcpt_tos), message))
            self._arrived.notify_all()
        if self._on_message is not None:
            self._on_message(message)
        return "250 OK"

    def _protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.simulator",
            data_size_limit=_MAX_MAIL_BYTES,
            auth_require_tls=False,  # the whole connection is inside TLS, which this class cannot see
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given is not None and given == self._credentials, handled=False)


class MailServer:
    """A started listener. Use as an async context manager, or call `close`."""

    def __init__(self) -> None:
        self._protocols: list[SMTP] = []
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        if self._server is None:
            raise RuntimeError("the server is not listening")
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, make: Callable[[], SMTP], host: str, port: int, ssl_context: ssl.SSLContext) -> None:
        """Listen, with `make` giving one protocol for each connection."""

        def connected() -> SMTP:
            self._protocols = [protocol for protocol in self._protocols if protocol.transport is not None]
            self._protocols.append(make())
            return self._protocols[-1]

        self._server = await asyncio.get_running_loop().create_server(connected, host, port, ssl=ssl_context)

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        for protocol in self._protocols:
            if isinstance(protocol.transport, asyncio.Transport):
                protocol.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def code_in(message: EmailMessage) -> str:
    """The one-time code of a login mail; `ValueError` when it holds none."""
    part = message.get_body(("plain",))
    match = None if part is None else _CODE.search(part.get_content())
    if match is None:
        raise ValueError("the mail holds no code")
    return match[1]
