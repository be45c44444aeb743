"""Mail leaves the enclave over TLS to the configured server and to nobody else."""

import asyncio
import ssl
from email.message import EmailMessage

import pytest

from enclave.config import Mail
from enclave.errors import MailError
from enclave.net.smtp import SmtpMailer
from protocol import limits
from simulator.mail import MailSink
from simulator.tls import TlsAuthority
from tests.enclave_login.login_support import WRONG_CERTIFICATES, LoopbackEgress

HOST = "mail.example.test"
SERVER = Mail(host=HOST, port=465)


def mail(recipient: str = "user@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Chancery <no-reply@example.com>", recipient, "Hello"
    message.set_content("First line\n.starts with a dot\n")
    return message


def mailer(port: int, context: ssl.SSLContext, server: Mail = SERVER) -> SmtpMailer:
    return SmtpMailer(LoopbackEgress({(HOST, 465): port}), context, server)


async def code_of(sending: SmtpMailer, message: EmailMessage | None = None) -> str:
    with pytest.raises(MailError) as caught:
        await sending.send(message or mail())
    assert caught.value.__suppress_context__
    return caught.value.code


async def test_mail_arrives_unchanged(server_context: ssl.SSLContext, tls_context: ssl.SSLContext) -> None:
    sink = MailSink()
    async with await sink.serve("127.0.0.1", 0, server_context) as server:
        await mailer(server.port, tls_context).send(mail())
        received = await sink.wait_for("user@example.com")
    assert received["Subject"] == "Hello"
    assert received.get_content().splitlines() == ["First line", ".starts with a dot"]


@pytest.mark.parametrize("kind", WRONG_CERTIFICATES)
async def test_wrong_certificate_gets_no_mail(kind: str, authority: TlsAuthority, tls_context: ssl.SSLContext) -> None:
    sink = MailSink()
    context = WRONG_CERTIFICATES[kind](authority, HOST).server_context()
    async with await sink.serve("127.0.0.1", 0, context) as server:
        assert await code_of(mailer(server.port, tls_context)) == "mail-tls-certificate"
    assert not sink.messages


async def test_login_is_inside_tls_and_required(server_context: ssl.SSLContext, tls_context: ssl.SSLContext) -> None:
    sink = MailSink(credentials=("name", "secret"))
    async with await sink.serve("127.0.0.1", 0, server_context) as server:
        right = Mail(host=HOST, port=465, username="name", password="secret")
        wrong = Mail(host=HOST, port=465, username="name", password="other")
        await mailer(server.port, tls_context, right).send(mail())
        assert await code_of(mailer(server.port, tls_context, wrong)) == "mail-login"
        assert await code_of(mailer(server.port, tls_context)) == "mail-rejected"
    assert len(sink.messages) == 1


async def test_refused_recipient_is_an_error(server_context: ssl.SSLContext, tls_context: ssl.SSLContext) -> None:
    sink = MailSink()
    sink.refused.add("user@example.com")
    async with await sink.serve("127.0.0.1", 0, server_context) as server:
        assert await code_of(mailer(server.port, tls_context)) == "mail-rejected"


async def test_unlisted_or_dead_server_is_unreachable(tls_context: ssl.SSLContext) -> None:
    assert await code_of(SmtpMailer(LoopbackEgress({}), tls_context, SERVER)) == "mail-unreachable"


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        (b"", "mail-closed"),
        (b"554 go away\r\n", "mail-rejected"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "mail-rejected"),
        (b"220-" + b"x" * 9000 + b"\r\n", "mail-rejected"),
    ],
)
async def test_strange_server(
    greeting: bytes, code: str, server_context: ssl.SSLContext, tls_context: ssl.SSLContext
) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server_context)
    async with server:
        assert await code_of(mailer(server.sockets[0].getsockname()[1], tls_context)) == code


async def test_silent_server_meets_the_deadline(
    server_context: ssl.SSLContext, tls_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAIL_DEADLINE_S", 0.2)
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=server_context)
    async with server:
        assert await code_of(mailer(server.sockets[0].getsockname()[1], tls_context)) == "mail-deadline"
        for writer in held:
            writer.transport.abort()


async def test_mail_without_recipient_is_not_sent(server_context: ssl.SSLContext, tls_context: ssl.SSLContext) -> None:
    message = mail()
    del message["To"]
    async with await MailSink().serve("127.0.0.1", 0, server_context) as server:
        assert await code_of(mailer(server.port, tls_context), message) == "mail-message"
