"""Rotation of holder keys: a new generation, records renewed batch by batch, earlier generations retired (KM-16).

Every step is a conditional write and can be repeated; a crash between any two of them leaves everything readable. What
the store lists is a hint: a record that it leaves out is renewed at its owner's next login, as long as its generation
is in use. A generation goes only after a whole pass that began when every enclave had long known of a newer one
(ADR 0037).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from enclave import log
from enclave.accounts import Accounts
from enclave.deployment import Deployment, DeploymentSecrets, Founded
from enclave.errors import BootError, Refusal, StoreError
from enclave.ports import Store
from protocol import errors, limits
from protocol.services import Page, RecordKey

_TABLE: Final = "account"


@dataclass(slots=True)
class _Pass:
    """A walk over all accounts: when it began, up to which id it has come, and whether it reached the end."""

    began_s: int
    after: bytes = b""
    done: bool = False


class Rotation:
    """The three steps. What is remembered between them lives in this boot; afterwards they begin anew."""

    def __init__(
        self,
        deployment: Deployment,
        secrets: DeploymentSecrets,
        accounts: Accounts,
        store: Store,
        now_s: Callable[[], int],
    ) -> None:
        self._deployment = deployment
        self._secrets = secrets
        self._accounts = accounts
        self._store = store
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
        """Renew the next accounts, looking at `batch` at most; whether all of them have been looked at."""
        founded = await self._founded(number)
        if number == founded.current:
            raise Refusal(errors.ENDPOINT_ERROR, "cipher key is in use")
        walk = self._passes.get(number)
        if walk is None or walk.done:
            walk = self._passes[number] = _Pass(self._now_s())
        try:
            ids = await self._store.ids(Page(_TABLE, walk.after, batch))
        except StoreError:
            raise Refusal(errors.DATABASE_ERROR) from None
        for id_ in ids:
            await self._accounts.renew(RecordKey(_TABLE, id_))
            walk.after = id_
        walk.done = len(ids) < batch
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
