"""Rotation of holder keys: a new generation, records renewed batch by batch, earlier generations retired (KM-16).

An instrument renews accounts, a guard its one signing key. Every step is a conditional write and can be repeated; a
crash between any two of them leaves everything readable. What the store lists is a hint: an account that it leaves out
is renewed at its owner's next login, as long as its generation is in use. A generation goes only after a whole pass
that began when every enclave had long known of a newer one (ADR 0037).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from enclave import log
from enclave.deployment import Deployment, DeploymentSecrets, Founded
from enclave.errors import BootError, Refusal, StoreError
from enclave.ports import Store
from protocol import errors, limits
from protocol.services import Page, RecordKey

Renewing = Callable[[bytes, int], AsyncIterator[bytes]]
"""Renews what lies under holder keys: at most so many records after an id, and gives the id of each once it is done.
Fewer than asked for: the end is reached.
"""


def renewing_table(store: Store, table: str, renew: Callable[[RecordKey], Awaitable[None]]) -> Renewing:
    """A walk over all records of a table, as far as the store lists them."""

    async def renewing(after: bytes, most: int) -> AsyncIterator[bytes]:
        for id_ in await store.ids(Page(table, after, most)):
            await renew(RecordKey(table, id_))
            yield id_

    return renewing


@dataclass(slots=True)
class _Pass:
    """A walk over all records: when it began, up to which id it has come, and whether it reached the end."""

    began_s: int
    after: bytes = b""
    done: bool = False


class Rotation:
    """The three steps. What is remembered between them lives in this boot; afterwards they begin anew."""

    def __init__(
        self,
        deployment: Deployment,
        secrets: DeploymentSecrets,
        renewing: Renewing,
        now_s: Callable[[], int],
    ) -> None:
        self._deployment = deployment
        self._secrets = secrets
        self._renewing = renewing
        self._now_s = now_s
        self._passes: dict[int, _Pass] = {}

    async def rotate(self, number: int) -> None:
        """Put a new generation in the place of generation `number`. Nothing happens if there is one already."""
        founded = await self._founded(number)
        if number != founded.current:
            return
        if len(founded.generations) >= limits.MAX_GENERATIONS:
            raise Refusal(errors.ENDPOINT_ERROR, "too many cipher keys; clean up first")
        try:
            await self._deployment.rotate(founded, self._secrets, self._now_s())
        except BootError as error:  # a holder is away, or its key policy does not allow a new generation
            log.event("rotation", code=error.code, detail=str(error))
            raise Refusal(errors.HOLDERS_UNAVAILABLE) from None
        except StoreError:
            raise Refusal(errors.DATABASE_ERROR) from None

    async def refresh(self, number: int, batch: int) -> bool:
        """Renew the next records, looking at `batch` at most; whether all of them have been looked at."""
        founded = await self._founded(number)
        if number == founded.current:
            raise Refusal(errors.ENDPOINT_ERROR, "cipher key is in use")
        walk = self._passes.get(number)
        if walk is None or walk.done:
            walk = self._passes[number] = _Pass(self._now_s())
        count = 0
        try:
            async for id_ in self._renewing(walk.after, batch):
                walk.after = id_
                count += 1
        except StoreError:
            raise Refusal(errors.DATABASE_ERROR) from None
        walk.done = count < batch
        return walk.done

    async def cleanup(self) -> int:
        """Retire every earlier generation that a whole pass has shown to be unused; how many."""
        founded = await self._founded()
        unused = [made.number for made in founded.generations[:-1] if self._is_unused(made.number, made.superseded_s)]
        if unused:
            try:
                await self._deployment.retire(founded, unused)
            except StoreError:
                raise Refusal(errors.DATABASE_ERROR) from None
        return len(unused)

    def _is_unused(self, number: int, superseded_s: int | None) -> bool:
        walk = self._passes.get(number)
        if walk is None or not walk.done or superseded_s is None:
            return False
        return walk.began_s >= superseded_s + limits.GENERATION_QUARANTINE_S

    async def _founded(self, number: int | None = None) -> Founded:
        """The deployment's record as it is now; ENDPOINT_ERROR unless generation `number` is in use."""
        try:
            founded = await self._deployment.load()
        except StoreError:
            raise Refusal(errors.DATABASE_ERROR) from None
        except BootError:
            raise Refusal(errors.DATA_INTEGRITY_ERROR) from None
        if founded is None:
            raise Refusal(errors.STALE_RECORD)
        if number is not None and number not in {made.number for made in founded.generations}:
            raise Refusal(errors.ENDPOINT_ERROR, "cipher key not found")
        return founded
