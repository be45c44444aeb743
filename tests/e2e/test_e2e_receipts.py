"""A client that takes receipts: one document, then one signature for each answer; a host that cheats gets nowhere."""

import contextlib
from collections.abc import Callable, Iterator

import httpx
import pytest

from attestation.policy import Measurements
from host_proxy.client.api import Api
from host_proxy.client.device_key import DeviceKey
from host_proxy.client.errors import ClientError, ServiceRefusal
from host_proxy.client.flows import Flows
from tests.e2e.e2e_support import Site, new_email

LIST = "/rpc/Session/List"
Edit = Callable[[httpx.Response], httpx.Response]


class Host(httpx.HTTPTransport):
    """Counts documents, and edits answers that have a receipt."""

    def __init__(self) -> None:
        super().__init__()
        self.documents = 0
        self.edit: Edit = lambda response: response
        self.answers: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.read()
        if request.url.path.endswith("/Attestation/Document"):
            self.documents += 1
            return response
        self.answers.append(response)
        return self.edit(response)


@contextlib.contextmanager
def client(site: Site, host: Host, image: Measurements | None = None) -> Iterator[tuple[Api, Flows]]:
    api = Api(
        site.url,
        DeviceKey.generate(),
        scope="@123",
        origin="http://localhost:3000",
        roots=(site.stand_ins.root,),
        image=image or site.image,
        transport=host,
        receipts=True,
    )
    try:
        yield api, Flows(api, "@123")
    finally:
        api.close()


def logged_in(site: Site, flows: Flows) -> str:
    email = new_email()
    flows.finish_mail_login(flows.start_mail_login(email), site.mailed_code(email))
    return flows.create_session().session


def test_one_document_vouches_for_all_receipts(site: Site) -> None:
    host = Host()
    with client(site, host) as (api, flows):
        session = logged_in(site, flows)
        for text in ("one", "two", "three"):
            flows.sign("Message", session, {"text": text})
        with pytest.raises(ServiceRefusal):
            api.own("/rpc/Session/Revoke", {"session": "AAAAAAAAAAAAAAAAAAAAAA"})
    assert host.documents == 1
    assert len(host.answers) == 7
    assert not [answer for answer in host.answers if "x-attestation-document" in answer.headers]


EDITS: dict[str, Edit] = {
    "another body": lambda r: httpx.Response(r.status_code, headers=r.headers, content=r.content.replace(b"0x", b"1x")),
    "another status": lambda r: httpx.Response(201, headers=r.headers, content=r.content),
    "no receipt": lambda r: httpx.Response(r.status_code, content=r.content),
    "no base64": lambda r: httpx.Response(r.status_code, headers={"x-receipt": "!"}, content=r.content),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_answer_is_refused(site: Site, edit: str) -> None:
    host = Host()
    with client(site, host) as (api, flows):
        logged_in(site, flows)
        host.edit = EDITS[edit]
        with pytest.raises(ClientError) as caught:
            api.own(LIST, {})
        assert caught.value.code in ("unattested", "attestation-receipt-mismatch")
        host.edit = lambda response: response
        assert api.own(LIST, {}).body["devices"]


def test_answer_of_an_earlier_request_is_refused(site: Site) -> None:
    host = Host()
    with client(site, host) as (api, flows):
        logged_in(site, flows)
        api.own(LIST, {})
        earlier = host.answers[-1]
        host.edit = lambda _: earlier
        with pytest.raises(ClientError, match="not trusted"):
            api.own(LIST, {})


def test_image_that_is_not_accepted_gets_nothing(site: Site) -> None:
    host = Host()
    other = Measurements(name="another", pcrs={index: bytes([index + 1]) * 48 for index in range(3)})
    with client(site, host, other) as (_, flows), pytest.raises(ClientError, match="not trusted"):
        flows.start_mail_login(new_email())
    assert host.answers == []


def test_boot_after_the_attested_one_attests_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    host = Host()
    with Site(tmp_path_factory.mktemp("restarted")) as site, client(site.serving(), host) as (_, flows):
        wallet = logged_in(site, flows)
        site.restart()
        assert logged_in(site, flows) != wallet
        assert host.documents == 2
