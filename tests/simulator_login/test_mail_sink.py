"""The simulated mail server keeps what it takes, within bounds, and hands out each mail once."""

import asyncio
import ssl
from email.message import EmailMessage

import pytest

from enclave.config import Mail
from enclave.net.smtp import SmtpMailer
from enclave.net.tls import client_context
from simulator.mail import MAX_KEPT, MailSink, code_in
from simulator.tls import TlsAuthority
from tests.enclave_login.login_support import LoopbackEgress

HOST = "mail.example.test"


@pytest.fixture(scope="module")
def authority() -> TlsAuthority:
    return TlsAuthority.create()


@pytest.fixture(scope="module")
def server_context(authority: TlsAuthority) -> ssl.SSLContext:
    return authority.issue(HOST).server_context()


def mail(recipient: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "no-reply@example.com", recipient, "Code"
    message.set_content(text)
    return message


def mailer(port: int, authority: TlsAuthority) -> SmtpMailer:
    egress = LoopbackEgress({(HOST, 465): port})
    return SmtpMailer(egress, client_context(authority.certificate_pem), Mail(host=HOST, port=465))


async def test_each_mail_is_waited_for_once_and_shown_as_it_comes(
    authority: TlsAuthority, server_context: ssl.SSLContext
) -> None:
    shown: list[str] = []
    sink = MailSink(on_message=lambda message: shown.append(message["To"]))
    async with await sink.serve("127.0.0.1", 0, server_context) as server:
        sending = mailer(server.port, authority)
        waiting = asyncio.create_task(sink.wait_for("b@example.com"))
        for recipient, code in (("a@example.com", "111111"), ("b@example.com", "222222"), ("a@example.com", "333333")):
            await sending.send(mail(recipient, f"Your code: {code}\n"))
        assert code_in(await waiting) == "222222"
        assert code_in(await sink.wait_for("a@example.com")) == "111111"
        assert code_in(await sink.wait_for("a@example.com")) == "333333"
        with pytest.raises(TimeoutError):
            await sink.wait_for("a@example.com", timeout_s=0.05)
    assert shown == ["a@example.com", "b@example.com", "a@example.com"]


async def test_memory_of_the_sink_is_bounded(authority: TlsAuthority, server_context: ssl.SSLContext) -> None:
    sink = MailSink()
    sink.messages.extend(mail("a@example.com", "old") for _ in range(MAX_KEPT))
    async with await sink.serve("127.0.0.1", 0, server_context) as server:
        await mailer(server.port, authority).send(mail("b@example.com", "new"))
    assert len(sink.messages) == MAX_KEPT
    assert sink.messages[-1]["To"] == "b@example.com"


def test_mail_without_a_code_is_an_error() -> None:
    with pytest.raises(ValueError, match="no code"):
        code_in(mail("a@example.com", "hello"))
