"""JSON-RPC 2.0 over HTTP, as nodes and signers speak it: bounded, with a deadline, one answer for each request."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

import httpx

from host_proxy.bounded_post import AnswerTooLarge, bounded_post
from host_proxy.errors import RelayFault
from protocol import canonical_json, limits
from protocol.errors import ProtocolError

Request = tuple[str, list[Any]]
_HEADERS: Final = {"Content-Type": "application/json"}


class RpcRefusal(RelayFault):
    """The other side understood and said no; `reason` is its text, for an operator, and decides nothing."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__("relay-refused", str(number))
        self.reason = reason[: limits.MAX_LOG_FIELD_CHARS]


async def post(http: httpx.AsyncClient, url: str, value: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Status and JSON of an answer; `relay-unreachable` or `relay-answer`. Redirects are not followed."""
    body, headers = json.dumps(value).encode(), {**_HEADERS, **(headers or {})}
    try:
        async with asyncio.timeout(limits.RELAY_DEADLINE_S):
            status, data = await bounded_post(http, url, body, headers, most=limits.MAX_RELAY_ANSWER_BYTES)
    except AnswerTooLarge:
        raise RelayFault("relay-answer", "too large") from None
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise RelayFault("relay-unreachable", type(error).__name__) from None
    try:
        return status, canonical_json.parse(data, max_bytes=limits.MAX_RELAY_ANSWER_BYTES)
    except ProtocolError:
        raise RelayFault("relay-answer", "not JSON") from None


class JsonRpc:
    """A client of one URL, which may hold a secret of the operator and is not shown."""

    def __init__(self, url: str, *, http: httpx.AsyncClient | None = None) -> None:
        self._url = url
        self._http = http or httpx.AsyncClient(timeout=limits.RELAY_DEADLINE_S, trust_env=False)

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._http.aclose()

    async def call(self, method: str, *parameters: Any) -> Any:
        """The result of one call; `RpcRefusal` for an error of the other side."""
        [answer] = await self.batch([(method, list(parameters))])
        if isinstance(answer, RpcRefusal):
            raise answer
        return answer

    async def batch(self, requests: Sequence[Request]) -> list[Any]:
        """The results of several calls in one exchange, in order; an `RpcRefusal` stands where one was refused."""
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
            for number, (method, parameters) in enumerate(requests)
        ]
        _, answers = await post(self._http, self._url, body)
        by_id = {
            answer["id"]: answer
            for answer in (answers if isinstance(answers, list) else [])
            if isinstance(answer, dict) and type(answer.get("id")) is int
        }
        if by_id.keys() != set(range(len(requests))):
            raise RelayFault("relay-answer", "other ids")
        return [_result(by_id[number]) for number in range(len(requests))]


def _result(answer: dict[str, Any]) -> Any:
    if "error" in answer:
        error = answer["error"] if isinstance(answer["error"], dict) else {}
        number, reason = error.get("code"), error.get("message")
        return RpcRefusal(number if type(number) is int else 0, reason if isinstance(reason, str) else "")
    if "result" not in answer:
        raise RelayFault("relay-answer", "no result")
    return answer["result"]


def parse_quantity(value: object) -> int:
    """An integer as nodes write it; `relay-answer` otherwise."""
    if not isinstance(value, str) or not value.startswith("0x") or len(value) > 66:
        raise RelayFault("relay-answer", "not a quantity")
    try:
        return int(value, 16)
    except ValueError:
        raise RelayFault("relay-answer", "not a quantity") from None
