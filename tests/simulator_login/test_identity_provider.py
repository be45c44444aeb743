"""The simulated provider behaves as a careful real one, and the enclave's own verifier takes its tokens."""

import base64
import hashlib
import html
import json
import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from enclave.config import OidcClient
from enclave.errors import Refusal
from enclave.login.id_token import verify_id_token
from enclave.login.jwks import KeySets
from enclave.login.provider_tls import ProviderTls
from simulator.authorization import RegisteredClient
from simulator.identity_keys import Algorithm
from simulator.identity_provider import IdentityProvider
from simulator.tls import TlsAuthority
from tests.enclave_login.login_support import HOST, LoopbackEgress, ManualClock, replaced

ISSUER = f"https://{HOST}/tenant"
CALLBACK = "http://127.0.0.1:9/callback?app=1"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CODE_REQUEST = {
    "client_id": "app",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid email",
    "state": "s&t=1",
    "nonce": "n-1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
TOKEN_REQUEST = replaced(CODE_REQUEST, response_type="id_token", code_challenge=None, code_challenge_method=None)


class Clock:
    now_s = 1_700_000_000

    def __call__(self) -> int:
        return self.now_s


@pytest.fixture(scope="module")
def provider() -> IdentityProvider:
    clients = [RegisteredClient("app", (CALLBACK,)), RegisteredClient("ec", ("https://ec.test/",), algorithm="ES256")]
    return IdentityProvider(ISSUER, clients, now_s=Clock())


@pytest.fixture
async def browser(provider: IdentityProvider) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(provider.app)
    async with httpx.AsyncClient(transport=transport, base_url=f"{ISSUER}/") as client:
        yield client


def claims_of(token: str) -> dict[str, object]:
    body = token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def fields_of(page: str) -> dict[str, str]:
    """The hidden fields of a page, as a browser would send them."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {html.unescape(name): html.unescape(value) for name, value in found}


async def sign_in(browser: httpx.AsyncClient, request: Mapping[str, str], user: str = "alice") -> httpx.Response:
    """Open the login page, type a name, press the button."""
    page = await browser.get("authorize", params=request)
    assert page.status_code == 200
    assert "<form method" in page.text
    return await browser.post("authorize", data=fields_of(page.text) | {"user": user})


async def redeem(browser: httpx.AsyncClient, code: str, **changes: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": "app"}
    return await browser.post("token", data=form | {"code_verifier": VERIFIER} | changes)


async def code_for(browser: httpx.AsyncClient) -> str:
    answer = await sign_in(browser, CODE_REQUEST)
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


async def test_metadata_names_the_issuer_and_its_endpoints(browser: httpx.AsyncClient) -> None:
    metadata = (await browser.get(".well-known/openid-configuration")).json()
    assert metadata["issuer"] == ISSUER
    keys = (await browser.get(metadata["jwks_uri"])).json()["keys"]
    assert {key["alg"] for key in keys} == {"RS256", "ES256"}
    assert not {"d", "p", "q"} & {member for key in keys for member in key}


async def test_code_flow_with_pkce_gives_a_token_with_the_nonce(browser: httpx.AsyncClient) -> None:
    answer = await sign_in(browser, CODE_REQUEST)
    assert answer.status_code == 303
    location = answer.headers["location"]
    assert location.startswith(f"{CALLBACK}&")
    assert parse_qs(urlsplit(location).query)["state"] == ["s&t=1"]
    token = (await redeem(browser, parse_qs(urlsplit(location).query)["code"][0])).json()["id_token"]
    assert claims_of(token) | {"nonce": "n-1", "sub": "alice", "aud": "app"} == claims_of(token)


async def test_code_works_once(browser: httpx.AsyncClient) -> None:
    code = await code_for(browser)
    assert (await redeem(browser, code)).status_code == 200
    assert (await redeem(browser, code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": "https://ec.test/"}, "invalid_request"),
        ({"client_id": "ec", "redirect_uri": "https://ec.test/"}, "invalid_grant"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
async def test_stolen_code_is_worth_nothing(browser: httpx.AsyncClient, changes: dict[str, str], error: str) -> None:
    answer = await redeem(browser, await code_for(browser), **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_code_expires(browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    code = await code_for(browser)
    monkeypatch.setattr(Clock, "now_s", Clock.now_s + 60)
    assert (await redeem(browser, code)).json()["error"] == "invalid_grant"


async def test_token_flow_answers_in_the_fragment_or_by_form(browser: httpx.AsyncClient) -> None:
    answer = await sign_in(browser, TOKEN_REQUEST)
    assert claims_of(parse_qs(urlsplit(answer.headers["location"]).fragment)["id_token"][0])["nonce"] == "n-1"
    page = await sign_in(browser, TOKEN_REQUEST | {"response_mode": "form_post"})
    assert f'action="{html.escape(CALLBACK)}"' in page.text
    assert claims_of(fields_of(page.text)["id_token"])["sub"] == "alice"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": "ec"},
        {"client_id": None},
        {"redirect_uri": "https://evil.test/"},
        {"redirect_uri": f"{CALLBACK}2"},
        {"redirect_uri": None},
    ],
)
async def test_nobody_is_redirected_to_an_unregistered_place(
    browser: httpx.AsyncClient, changes: dict[str, str | None]
) -> None:
    answer = await browser.get("authorize", params=replaced(CODE_REQUEST, **changes))
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("request_", "changes", "error"),
    [
        (CODE_REQUEST, {"response_type": "token"}, "unsupported_response_type"),
        (CODE_REQUEST, {"scope": "email"}, "invalid_scope"),
        (CODE_REQUEST, {"code_challenge": None}, "invalid_request"),
        (CODE_REQUEST, {"code_challenge_method": "plain"}, "invalid_request"),
        (CODE_REQUEST, {"response_mode": "fragment"}, "invalid_request"),
        (TOKEN_REQUEST, {"nonce": None}, "invalid_request"),
        (TOKEN_REQUEST, {"response_mode": "query"}, "invalid_request"),
    ],
)
async def test_bad_request_goes_back_to_the_application(
    browser: httpx.AsyncClient, request_: dict[str, str], changes: dict[str, str | None], error: str
) -> None:
    answer = await browser.get("authorize", params=replaced(request_, **changes))
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == [error]


async def test_repeated_parameter_is_refused(browser: httpx.AsyncClient) -> None:
    answer = await browser.get(f"authorize?{urlencode(CODE_REQUEST)}&client_id=ec")
    assert answer.status_code == 400


async def test_page_escapes_what_it_shows_and_runs_no_script(browser: httpx.AsyncClient) -> None:
    hostile = '"><script>alert(1)</script>'
    page = await browser.get("authorize", params=CODE_REQUEST | {"state": hostile, "login_hint": hostile, hostile: "x"})
    assert "<script" not in page.text
    assert fields_of(page.text)["state"] == hostile
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert '<label for="user">' in page.text


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_enclave_verifies_its_tokens_over_tls_and_through_rotation(algorithm: Algorithm) -> None:
    clock_s = Clock()
    provider = IdentityProvider(ISSUER, [], now_s=clock_s)
    authority, monotonic = TlsAuthority.create(), ManualClock()
    async with await provider.serve("127.0.0.1", 0, authority.issue(HOST).server_context()) as server:
        egress = LoopbackEgress({(HOST, 443): server.port})
        key_sets = KeySets(egress, ProviderTls(authority.certificate_pem, ()), monotonic)
        client = OidcClient(issuer=ISSUER, audience="app")

        async def verify(token: str) -> str:
            return (await verify_id_token(token, client, key_sets, now_s=clock_s())).subject

        old = provider.issue_token("alice", "app", algorithm=algorithm)
        assert await verify(old) == "alice"
        provider.rotate()
        monotonic.advance_s(60)
        assert await verify(provider.issue_token("bob", "app", algorithm=algorithm)) == "bob"
        assert await verify(old) == "alice", "the key before is still published"
        provider.rotate(keep_previous=False)
        monotonic.advance_s(601)
        with pytest.raises(Refusal):
            await verify(old)
