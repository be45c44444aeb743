"""A whole enclave and a whole provider in one process: what the tests of the code flow share."""

import contextlib
import html
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from simulator import asgi, settings
from simulator.identity_provider import IdentityProvider
from tests import appliance
from tests.appliance import ISSUER, SCOPE, Client, World
from tests.enclave_login.login_support import HOST, LoopbackEgress, replaced

REDIRECT = settings.REDIRECT_URI
PUBLIC, WEB, TEAM = settings.CLIENT_ID, settings.WEB_CLIENT_ID, settings.TEAM_CLIENT_ID


def oidc_clients(*, provisioned: bool = False, **changes: Any) -> list[dict[str, Any]]:
    """The simulator's applications, at the issuer of these tests; `changes` replace members of each, and with
    `provisioned` none has its secret in the configuration.
    """
    text = json.dumps(settings.oidc_clients()).replace(settings.ISSUER, ISSUER)
    clients = [client | changes for client in json.loads(text)]
    return [
        client | {"client_secret": "provisioned"} if provisioned and "client_secret" in client else client
        for client in clients
    ]


def scopes(of_scope: Mapping[str, Any], **changes: Any) -> list[dict[str, Any]]:
    """The scopes of the tests with these applications; None in `of_scope` leaves a member out."""
    return [replaced(scope, oidc=oidc_clients(**changes), **of_scope) for scope in appliance.config_json()["scopes"]]


@dataclass
class CodeWorld:
    """An enclave, a provider over TLS, and a browser."""

    world: World
    provider: IdentityProvider
    browser: httpx.AsyncClient
    posted: list[tuple[dict[str, str], dict[str, str]]]
    """Headers and form of every request to the token endpoint."""

    async def code(self, client_id: str, challenge: str = "", user: str = "alice") -> str:
        """Sign in at the provider; what it hands back to the application."""
        request = {"client_id": client_id, "redirect_uri": REDIRECT, "response_type": "code", "scope": "openid"}
        if challenge:
            request |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        page = await self.browser.get("/authorize", params=request)
        fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
        form = {html.unescape(name): html.unescape(value) for name, value in fields}
        answer = await self.browser.post("/authorize", data=form | {"user": user})
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))["code"]


@contextlib.asynccontextmanager
async def code_world(
    folder: Path, *, of_scope: Mapping[str, Any] = MappingProxyType({}), admins: Sequence[Any] = (), **changes: Any
) -> AsyncIterator[CodeWorld]:
    """`changes` replace members of every OpenID client of the configuration, `of_scope` of every scope."""
    world = World(folder, scopes=scopes(of_scope, **changes), admins=list(admins))
    await world.boot()
    provider = IdentityProvider(ISSUER, settings.registered_clients(), now_s=lambda: world.clock.wall_ms() // 1000)
    posted: list[tuple[dict[str, str], dict[str, str]]] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/token":
            return await provider.app(scope, receive, send)
        message = await receive()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        posted.append((headers, dict(parse_qsl(message["body"].decode(), keep_blank_values=True))))

        async def replay() -> Any:
            return message

        return await provider.app(scope, replay, send)

    context = appliance._tls_authority().issue(HOST).server_context()
    async with asgi.serve(watched, "127.0.0.1", 0, context) as server:
        world.egress = LoopbackEgress({(HOST, 443): server.port})
        await world.boot()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(provider.app), base_url=ISSUER) as browser:
            yield CodeWorld(world, provider, browser, posted)
    await world.stop()


def commit(mode: str, audience: str, **changes: Any) -> dict[str, Any]:
    """Params of CommitVerifier."""
    metadata = {"iss": ISSUER, "aud": audience, "redirect_uri": REDIRECT}
    return {"scope": SCOPE, "identityType": "OIDC", "authMode": mode, "metadata": metadata} | changes


def complete(mode: str, verifier: str, answer: str, **changes: Any) -> dict[str, Any]:
    """Params of CompleteAuth."""
    params = {"scope": SCOPE, "identityType": "OIDC", "authMode": mode, "signerType": "Ethereum_Secp256k1"}
    return params | {"verifier": verifier, "answer": answer} | changes


async def pkce_login(coded: CodeWorld, client: Client, audience: str = PUBLIC, **members: Any) -> dict[str, Any]:
    """A whole login by code with PKCE."""
    started = await client.call("CommitVerifier", commit("AuthCodePKCE", audience, **members))
    code = await coded.code(audience, started["challenge"])
    return await client.call("CompleteAuth", complete("AuthCodePKCE", started["verifier"], code))
