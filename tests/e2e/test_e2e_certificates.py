"""TLS with a wrong certificate on every egress path: refused with its code, before one byte of the request is sent.

The servers behind the wrong certificates are the real stand-ins, so the certificate is all that is wrong.
"""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulator import settings
from simulator.browser import sign_in
from simulator.kms import server as kms_server
from simulator.kms.service import HttpResponse, KmsService
from simulator.kms.sigv4 import HttpRequest
from simulator.stand_ins import StandIns
from simulator.tls import ServerCertificate, TlsAuthority, issue_self_signed
from tests.e2e.e2e_support import HOLDERS, Site, failing, new_email, prepared, refused

LOOPBACK = "127.0.0.1"
IMPOSTOR = settings.HOLDERS[0]
KMS_HOST = f"kms.{IMPOSTOR.region}.amazonaws.com"
OTHER_KMS_HOST = f"kms.{settings.HOLDERS[1].region}.amazonaws.com"
ISSUER_HOST = settings.ISSUER.removeprefix("https://")
OWNER = "owner@example.com"

Issue = Callable[[StandIns, str], ServerCertificate]

WRONG: dict[str, Issue] = {
    "of another authority": lambda _, host: TlsAuthority.create().issue(host),
    "of another holder": lambda stand_ins, _: stand_ins.authority.issue(OTHER_KMS_HOST),
    "expired": lambda stand_ins, host: stand_ins.authority.issue_expired(host),
    "self-signed": lambda _, host: issue_self_signed(host),
}


class Eavesdropper(KmsService):
    """The KMS behind the impostor's certificate; counts the requests that reach it."""

    heard = 0

    async def answer(self, request: HttpRequest) -> HttpResponse | None:
        self.heard += 1
        return await super().answer(request)


@dataclass(frozen=True, slots=True)
class Impostors:
    """An appliance whose way to one holder, the identity provider and the mail server ends at impostors."""

    site: Site
    kms: Eavesdropper


def led_astray(stand_ins: StandIns, kms: KmsService, issue: Issue) -> Callable[[], Coroutine[Any, Any, None]]:
    """`stand_ins.start`, after which three names lead to servers with wrong certificates."""
    start = stand_ins.start

    async def start_with_impostors() -> None:
        await start()

        def context(host: str) -> Any:
            return issue(stand_ins, host).server_context()

        holder = await kms_server.serve(kms, LOOPBACK, 0, context(KMS_HOST))
        provider = await stand_ins.identity_provider.serve(LOOPBACK, 0, context(ISSUER_HOST))
        mail = await stand_ins.mail.serve(LOOPBACK, 0, context(settings.MAIL_HOST))
        stand_ins._servers += [holder, provider, mail]
        stand_ins._ports[KMS_HOST, 443] = holder.port
        stand_ins._ports[ISSUER_HOST, 443] = provider.port
        stand_ins._ports[settings.MAIL_HOST, settings.MAIL_PORT] = mail.port

    return start_with_impostors


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a deployment, made while every certificate was right."""
    state = tmp_path_factory.mktemp("founded")
    with Site(state) as site:
        site.serving().user().log_in(OWNER)
        site.user().log_in_by_token("ada")
    return state


@pytest.fixture(scope="module", params=WRONG.values(), ids=list(WRONG))
def impostors(founded: Path, request: pytest.FixtureRequest) -> Iterator[Impostors]:
    heard: list[Eavesdropper] = []

    def prepare(stand_ins: StandIns) -> None:
        heard.append(Eavesdropper(founded / "kms", [stand_ins.root]))
        patch.setattr(stand_ins, "start", led_astray(stand_ins, heard[0], request.param))

    with pytest.MonkeyPatch.context() as patch, prepared(prepare), Site(founded) as site:
        yield Impostors(site.serving(), heard[0])


def test_holder_behind_a_wrong_certificate_is_named_and_gets_no_request(impostors: Impostors) -> None:
    health = impostors.site.wait_for(lambda health: bool(failing(health)), "the holder is named")
    assert failing(health) == {HOLDERS[0]: "kms-tls-certificate"}
    assert health["status"] == "degraded"
    assert impostors.kms.heard == 0


def test_identity_provider_behind_a_wrong_certificate_vouches_for_nobody(impostors: Impostors) -> None:
    user = impostors.site.user()
    with refused() as refusal:
        user.flows.id_token_login(sign_in(impostors.site.stand_ins.login_page_url, "ada"))
    assert (refusal.code, refusal.cause) == (7104, "tls-certificate")


def test_mail_server_behind_a_wrong_certificate_gets_no_code(impostors: Impostors) -> None:
    for email in (OWNER, new_email()):
        with refused() as refusal:
            impostors.site.user().flows.start_mail_login(email)
        assert (refusal.code, refusal.cause) == (7100, "the mail could not be sent")
    assert not impostors.site.stand_ins.mail.messages
