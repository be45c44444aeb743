"""One POST whose answer is read up to a bound, for the services that the host asks on the enclave's behalf."""

import httpx

from host_proxy.errors import HostError


class AnswerTooLarge(HostError):
    """The other side says more than is read."""

    def __init__(self) -> None:
        super().__init__("answer-size")


async def bounded_post(
    http: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str], *, most: int
) -> tuple[int, bytes]:
    """Status and body of the answer, of `most` bytes at most; `AnswerTooLarge`, or what httpx raises."""
    data = bytearray()
    async with http.stream("POST", url, content=body, headers=headers) as answer:
        async for part in answer.aiter_bytes():
            data += part
            if len(data) > most:
                raise AnswerTooLarge
    return answer.status_code, bytes(data)
