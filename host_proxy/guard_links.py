"""Ways to guards: an instrument's requests for a second signature go to the guard's host, and its answers come back.

Trust side: host. Both are JSON that nobody here reads. The guard verifies what it is asked for and the instrument what
it gets, so a host can keep them apart, and nothing else.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx

from host_proxy.bounded_post import AnswerTooLarge, bounded_post
from host_proxy.config import HostConfig
from host_proxy.errors import GuardFault
from protocol import limits
from protocol.guarding import GUARD_PATH

UNKNOWN: Final = "guard-unknown"
_HEADERS: Final = {"Content-Type": "application/json"}


def configured_guards(config: HostConfig) -> "GuardLinks":
    """The guards that a host's configuration names."""
    return GuardLinks({bytes.fromhex(guard.address[2:]): guard.url for guard in config.guards})


class GuardLinks:
    """Guards by address (20 bytes), each with the URL of its host."""

    def __init__(self, urls: Mapping[bytes, str], http: httpx.AsyncClient | None = None) -> None:
        self._urls = {guard: url.rstrip("/") + GUARD_PATH for guard, url in urls.items()}
        self._http = http

    async def close(self) -> None:
        """Lets go of the connections."""
        if self._http is not None:
            await self._http.aclose()

    async def ask(self, guard: bytes, request: bytes) -> tuple[int, bytes]:
        """Status and body of the guard's answer; `GuardFault` for one that is unknown, silent or says too much."""
        url = self._urls.get(guard)
        if url is None:
            raise GuardFault(UNKNOWN)
        if self._http is None:  # most hosts know no guard
            self._http = httpx.AsyncClient(timeout=limits.GUARD_DEADLINE_S, trust_env=False)
        try:
            async with asyncio.timeout(limits.GUARD_DEADLINE_S):
                return await bounded_post(self._http, url, request, _HEADERS, most=limits.MAX_GUARD_ANSWER_BYTES)
        except AnswerTooLarge:
            raise GuardFault("guard-answer-size") from None
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise GuardFault("guard-unreachable", type(error).__name__) from None
