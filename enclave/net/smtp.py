"""Mail to the configured server: SMTP over implicit TLS that ends in the enclave (RFC 8314), one connection a mail.

Trust side: enclave. Server and credentials come from measured configuration; what the server answers decides nothing
but success, and no text of it gets into an error (LP-01).
"""

import asyncio
import contextlib
import ssl
from email.message import EmailMessage
from typing import Final

import aiosmtplib

from enclave.config import Mail
from enclave.errors import EgressError, MailError
from enclave.ports import Egress
from protocol import limits

_CLIENT_NAME: Final = "[127.0.0.1]"  # RFC 5321 4.1.4: an address literal, since the enclave has no name of its own
_QUIT_DEADLINE_S: Final = 1.0


class SmtpMailer:
    """`enclave.ports.Mailer` for one server."""

    def __init__(self, egress: Egress, tls_context: ssl.SSLContext, server: Mail) -> None:
        self._egress = egress
        self._tls_context = tls_context
        self._server = server

    async def send(self, message: EmailMessage) -> None:
        """Hand `message` to the server; sender and recipients are those of its headers.

        Raises only `MailError`: `mail-deadline`, `mail-unreachable`, `mail-tls-certificate`, `mail-tls-handshake`,
        `mail-login`, `mail-rejected` (the server said no), `mail-message` (headers name no mailbox), `mail-closed`.
        """
        try:
            async with asyncio.timeout(limits.MAIL_DEADLINE_S):
                client = await self._connect()
                try:
                    await client.send_message(message)
                except BaseException:
                    client.close()
                    raise
        except EgressError:
            raise MailError("mail-unreachable") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailError(_code(error)) from None
        await _quit(client)

    async def _connect(self) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(
            hostname=self._server.host,  # the name that the certificate must carry
            sock=await self._egress.connect(self._server.host, self._server.port),
            use_tls=True,
            tls_context=self._tls_context,
            local_hostname=_CLIENT_NAME,
            username=self._server.username or None,
            password=self._server.password if self._server.username else None,
            timeout=None,  # one deadline over everything, in `send`
        )
        await client.connect()
        return client


async def _quit(client: aiosmtplib.SMTP) -> None:
    """Part politely. The server has the mail already, so nothing that happens here makes the sending fail."""
    try:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await client.quit(timeout=_QUIT_DEADLINE_S)
    finally:
        client.close()


def _code(error: Exception) -> str:
    match error:
        case aiosmtplib.SMTPConnectError(__cause__=ssl.SSLCertVerificationError()):
            return "mail-tls-certificate"
        case aiosmtplib.SMTPConnectError(__cause__=ssl.SSLError()):
            return "mail-tls-handshake"
        case aiosmtplib.SMTPAuthenticationError():
            return "mail-login"
        case aiosmtplib.SMTPResponseException():
            return "mail-rejected"
        case aiosmtplib.SMTPServerDisconnected() | aiosmtplib.SMTPConnectError():
            return "mail-closed"
        case aiosmtplib.SMTPException():
            return "mail-rejected"
        case TimeoutError():
            return "mail-deadline"
        case OSError():
            return "mail-closed"
    return "mail-message"
