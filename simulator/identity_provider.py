"""A simulated OpenID Connect provider with real keys: discovery, key set, login page, code flow with PKCE, ID tokens.

Trust side: simulator. `app` is the ASGI application and may listen in several places at once: with TLS for the enclave,
which checks its certificate, and in the clear on loopback for the browser of a person who tries it out.
"""

import secrets
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from simulator import asgi, identity_pages
from simulator.authorization import (
    AuthorizationRequest,
    RegisteredClient,
    RequestError,
    find_client,
    parse_form,
    validate_request,
    verify_pkce,
)
from simulator.client_authentication import claimed_credentials, verify_client
from simulator.identity_keys import ALGORITHMS, Algorithm, SigningKeys

TOKEN_LIFETIME_S: Final = 300
_CODE_LIFETIME_S: Final = 60
_MAX_GRANTS: Final = 1000
_NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class _Grant:
    """What an authorization code stands for."""

    request: AuthorizationRequest
    user: str
    expires_s: int


@dataclass(slots=True)
class Misbehaviour:
    """How a provider errs or lies, for tests; as built it does not. None leaves a member out."""

    metadata: dict[str, Any] = field(default_factory=dict)
    token_answer: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    without_algorithms: bool = False
    """Keys are published without `alg`, as some large providers do."""


class IdentityProvider:
    """`issuer_url` is the exact `iss` of its tokens; all paths lie under it."""

    def __init__(
        self,
        issuer_url: str,
        clients: Iterable[RegisteredClient],
        *,
        now_s: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self.issuer_url = issuer_url
        self.keys = SigningKeys()
        self.misbehaviour = Misbehaviour()
        self._base = issuer_url.removesuffix("/")
        self._clients = {client.client_id: client for client in clients}
        self._now_s = now_s
        self._grants: dict[str, _Grant] = {}
        path = urlsplit(self._base).path
        self.app = Starlette(
            routes=[
                Route(f"{path}/.well-known/openid-configuration", self._discovery),
                Route(f"{path}/jwks", self._jwks),
                Route(f"{path}/authorize", self._authorize, methods=["GET", "POST"]),
                Route(f"{path}/token", self._token, methods=["POST"]),
            ]
        )

    async def serve(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> asgi.AsgiServer:
        """Listen; port 0 takes a free one."""
        return asgi.serve(self.app, host, port, ssl_context)

    def rotate(self, *, keep_previous: bool = True) -> None:
        """Sign with new keys from now on; the ones before stay published, or go at once."""
        self.keys.rotate(keep_previous=keep_previous)

    def issue_token(
        self,
        subject: str,
        audience: str,
        *,
        algorithm: Algorithm = "RS256",
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """A signed ID token. `claims` and `header` replace the usual members; None leaves a member out."""
        now_s = self._now_s()
        members = {
            "iss": self.issuer_url,
            "sub": subject,
            "aud": audience,
            "jti": secrets.token_urlsafe(8),  # two logins in one second are two tokens
            "iat": now_s,
            "exp": now_s + TOKEN_LIFETIME_S,
            "email": f"{subject}@example.com",
            "email_verified": True,
        } | dict(claims or {})
        present = {name: value for name, value in members.items() if value is not None}
        return self.keys.sign(algorithm, present, header or {})

    async def _discovery(self, _: Request) -> Response:
        return JSONResponse(_changed(self._metadata(), self.misbehaviour.metadata))

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer_url,
            "authorization_endpoint": f"{self._base}/authorize",
            "token_endpoint": f"{self._base}/token",
            "jwks_uri": f"{self._base}/jwks",
            "scopes_supported": ["openid", "email"],
            "response_types_supported": ["code", "id_token"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "grant_types_supported": ["authorization_code", "implicit"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(ALGORITHMS),
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "email", "email_verified"],
        }

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse(self.keys.jwks(with_algorithms=not self.misbehaviour.without_algorithms))

    async def _authorize(self, http: Request) -> Response:
        try:
            data = http.url.query.encode() if http.method == "GET" else await http.body()
            fields = parse_form(data)
            client, redirect_uri = find_client(self._clients, fields)
        except RequestError as error:
            return identity_pages.error_page(error.description)
        try:
            request = validate_request(client, redirect_uri, fields)
        except RequestError as error:
            answer = {"error": error.code, "error_description": error.description, "state": fields.get("state", "")}
            return RedirectResponse(_with_answer(redirect_uri, "?", answer), 303, _NO_STORE)
        user = fields.pop("user", "").strip()
        if http.method == "GET" or not user:
            return identity_pages.login_page(client.client_id, fields.get("login_hint", ""), fields)
        return self._answer(request, user)

    def _answer(self, request: AuthorizationRequest, user: str) -> Response:
        answer = {"state": request.state} if request.state else {}
        if request.response_type == "code":
            answer["code"] = self._grant(request, user)
        else:
            answer["id_token"] = self._token_for(request, user)
        if request.response_mode == "form_post":
            return identity_pages.form_post_page(request.redirect_uri, answer)
        separator = "#" if request.response_mode == "fragment" else "?"
        return RedirectResponse(_with_answer(request.redirect_uri, separator, answer), 303, _NO_STORE)

    def _grant(self, request: AuthorizationRequest, user: str) -> str:
        while len(self._grants) >= _MAX_GRANTS:
            del self._grants[next(iter(self._grants))]
        code = secrets.token_urlsafe(24)
        self._grants[code] = _Grant(request, user, self._now_s() + _CODE_LIFETIME_S)
        return code

    def _token_for(self, request: AuthorizationRequest, user: str) -> str:
        algorithm: Algorithm = "ES256" if request.client.algorithm == "ES256" else "RS256"
        claims = {"nonce": request.nonce or None} | self.misbehaviour.claims
        return self.issue_token(user, request.client.client_id, algorithm=algorithm, claims=claims)

    async def _token(self, http: Request) -> Response:
        try:
            fields = parse_form(await http.body())
            if fields.get("grant_type") != "authorization_code":
                raise RequestError("unsupported_grant_type", "authorization_code")
            grant = self._redeem(fields, http.headers.get("authorization"))
        except RequestError as error:
            body = {"error": error.code, "error_description": error.description}
            return JSONResponse(body, 400, _NO_STORE)
        answer = {
            "id_token": self._token_for(grant.request, grant.user),
            "access_token": secrets.token_urlsafe(24),
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME_S,
        }
        return JSONResponse(_changed(answer, self.misbehaviour.token_answer), headers=_NO_STORE)

    def _redeem(self, fields: Mapping[str, str], authorization: str | None) -> _Grant:
        """The grant behind a code, once (RFC 6749 section 4.1.3)."""
        client_id, secret = claimed_credentials(authorization, fields)
        client, redirect_uri = find_client(self._clients, {**fields, "client_id": client_id})
        verify_client(client, secret, self.issuer_url, self._now_s())
        grant = self._grants.pop(fields.get("code", ""), None)
        if grant is None or grant.expires_s <= self._now_s():
            raise RequestError("invalid_grant", "unknown or expired code")
        if (client, redirect_uri) != (grant.request.client, grant.request.redirect_uri):
            raise RequestError("invalid_grant", "the code belongs to another request")
        verify_pkce(grant.request.code_challenge, fields.get("code_verifier", ""))
        return grant


def _with_answer(redirect_uri: str, separator: str, answer: Mapping[str, str]) -> str:
    if separator == "?" and "?" in redirect_uri:
        separator = "&"
    return f"{redirect_uri}{separator}{urlencode(answer)}"


def _changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not None}
