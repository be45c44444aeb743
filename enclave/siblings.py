"""The other workers, as one of them reaches them: requests are handed to the worker that owns their key, in memory.

The socket between two workers was made before they parted and nobody else holds an end of it. When it ends, so has the
other worker, and this one must not go on alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Final

from enclave.auth_key import Key
from enclave.errors import Refusal
from enclave.frame_link import FrameLink
from enclave.ownership import owner_of, require_own
from enclave.workers import Worker
from protocol import errors
from protocol.errors import ProtocolError
from protocol.frames import Request, Response

Answer = Callable[[Request], Awaitable[Response]]
_BOOT_S: Final = 0.01


class Siblings:
    """Links to all other workers of an enclave."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._links: dict[int, _SiblingLink] = {}
        self._listening: dict[str, Callable[[bytes], None]] = {}

    def listen(self, what: str, take: Callable[[bytes], None]) -> None:
        """`take` gets what others `tell`."""
        self._listening[what] = take

    async def connect(self, answer: Answer) -> None:
        """From now on what others hand over is answered by `answer`, which never raises."""

        async def answered(request: Request) -> Response:
            take = self._listening.get(request.method)
            if take is None:
                return await answer(request)
            take(request.body)
            return Response(request.id, HTTPStatus.OK)

        loop = asyncio.get_running_loop()
        for number, sock in self._worker.sockets.items():
            sock.setblocking(False)
            lost = partial(self._worker.lost, number)
            _, self._links[number] = await loop.create_connection(partial(_SiblingLink, answered, lost), sock=sock)

    def elsewhere(self, request: Request) -> int | None:
        """The other worker that has to answer `request`; None if this one can."""
        owner = owner_of(request, self._worker.count)
        return None if owner == self._worker.number else owner

    def require_own(self, path: str, key: Key) -> None:
        """See `ownership.require_own`."""
        require_own(self._worker, path, key)

    async def ask(self, number: int, method: str, request: Request) -> Response:
        """The answer of worker `number` to `request`, sent as `method`. `Refusal` BUSY when it has too much to do."""
        try:
            response = await self._links[number].call(method, request.body, request.headers)
        except (ConnectionError, KeyError, ProtocolError):
            raise Refusal(errors.BUSY) from None
        return Response(request.id, response.status, response.headers, response.body)

    async def tell(self, number: int, what: str, data: bytes) -> None:
        """Return once worker `number` has taken `data`. `Refusal` BUSY."""
        if (await self.ask(number, what, Request(0, what, {}, data))).status != HTTPStatus.OK:
            raise Refusal(errors.BUSY)

    async def all_booted(self, opened: bytes) -> None:
        """Say that this worker could serve, and return when all could. `BootError` when they must not."""
        if self._worker.shared is not None:
            board = self._worker.shared.board
            board.say_booted(self._worker.number, opened)
            while not board.all_booted():  # noqa: ASYNC110  no event of another process wakes this loop
                await asyncio.sleep(_BOOT_S)

    def halted(self) -> None:
        """Tell the others that this worker must not go on."""
        if self._worker.shared is not None:
            self._worker.shared.board.say_halted(self._worker.number)


class _SiblingLink(FrameLink):
    """Both ends ask and answer."""

    def __init__(self, answer: Answer, lost: Callable[[], None]) -> None:
        super().__init__()
        self._answer = answer
        self._lost = lost
        self._answering: set[asyncio.Task[None]] = set()

    def asked(self, request: Request) -> None:
        task = asyncio.get_running_loop().create_task(self._run(request))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost()

    async def _run(self, request: Request) -> None:
        response = await self._answer(request)
        if self._writer is not None and not self.closed:
            self._writer.answer(response)
