"""A stand-in for a tenant's server: takes Security Event Tokens (RFC 8417, RFC 8935) and verifies them as it should.

The keys are those that the issuer publishes; an event that comes again, under the same `jti`, is taken once.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import asgi

PATH: Final = "/hooks/wallets"
_MEDIA_TYPE: Final = "application/secevent+jwt"

Keys = Callable[[], Awaitable[KeySet]]


async def published_keys(issuer_url: str) -> KeySet:
    """The issuer's keys, as anybody gets them. A server of the real world would ask for an attestation, too."""
    async with httpx.AsyncClient() as client:
        return KeySet.import_key_set((await client.get(f"{issuer_url}/.well-known/jwks.json")).json())


class Webhook:
    """Remembers the claims of every event, by `jti`; what it answers, and when, can be changed for tests."""

    def __init__(
        self,
        issuer_url: str,
        audience: str,
        keys: Keys,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._issuer_url = issuer_url
        self._audience = audience
        self._keys = keys
        self._on_event = on_event
        self._now_s = now_s
        self.status = HTTPStatus.ACCEPTED
        self.reply = b""
        self.gate = asyncio.Event()
        self.gate.set()
        self.events: dict[str, Mapping[str, Any]] = {}
        self.attempts = 0
        self.app = Starlette(routes=[Route(PATH, self._push, methods=["POST"])])

    async def serve(self, host: str, port: int, context: ssl.SSLContext | None) -> asgi.AsgiServer:
        """A started listener; port 0 takes a free one."""
        return asgi.serve(self.app, host, port, context)

    async def _push(self, request: Request) -> Response:
        self.attempts += 1
        await self.gate.wait()
        if self.status is not HTTPStatus.ACCEPTED:
            return Response(status_code=self.status)
        try:
            if request.headers.get("content-type") != _MEDIA_TYPE:
                raise ValueError("not an event")
            token = jwt.decode((await request.body()).decode(), await self._keys(), algorithms=["RS256"])
            if token.header.get("typ") != "secevent+jwt":
                raise ValueError("not an event")
            jwt.JWTClaimsRegistry(
                now=lambda: int(self._now_s()),
                iss={"essential": True, "value": self._issuer_url},
                aud={"essential": True, "value": self._audience},
                jti={"essential": True},
            ).validate(token.claims)
        except (JoseError, ValueError):
            return JSONResponse({"err": "invalid_request"}, status_code=HTTPStatus.BAD_REQUEST)
        if token.claims["jti"] not in self.events:
            self.events[token.claims["jti"]] = token.claims
            if self._on_event is not None:
                self._on_event(token.claims)
        return Response(self.reply, status_code=HTTPStatus.ACCEPTED)
