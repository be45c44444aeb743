"""Holder keys under a lease: asked for in parallel, used from the fastest t, wiped at its end (design section 6).

Trust side: enclave. A holder key never leaves this module; others get keys derived from it. What KMS returned counts
only after its key check, which binds it to holder, key ARN and generation (KM-02): anybody can encrypt to the
recipient key. Each holder has at most one call under way, so any number of waiting requests makes one round (KM-15). A
holder that is down, hung or lying is named with a stable code and asked again later; the others decide.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from enclave import sealing
from enclave.config import Holder
from enclave.errors import BootError, KmsError, Refusal
from enclave.holder_key import FIRST_GENERATION, WrappedHolderKey, encryption_context, key_check, validate_set
from enclave.kms.recipient import WRONG_KEY
from enclave.ports import Clock, Kms
from enclave.secret import Secret
from protocol import errors, limits

_T = TypeVar("_T")

_SEALING_LABEL: Final = "chancery/share-key/1"


@dataclass(frozen=True, slots=True)
class HolderHealth:
    """How the holders did when last asked, by name.

    `failing` also names a holder whose key is right but under whose key a share was wrong (`holder-wrong-share`); that
    alone takes it out of neither `available` nor `may_still_fail`, for it may be the store that lies.
    """

    available: tuple[str, ...]
    failing: Mapping[str, str]
    may_still_fail: int
    """How many more holders may fail before requests do; negative: requests fail already."""


@dataclass(slots=True)
class _Seat:
    """What is known of one holder in this boot."""

    holder: Holder
    wrapped: WrappedHolderKey | None = None
    key: Secret | None = None
    lease_ends_ms: int = 0
    lease_timer: asyncio.TimerHandle | None = None
    failure: str | None = None  # code of the last call; empty after success, None before any
    retry_at_ms: int = 0
    asking: asyncio.Task[None] | None = None
    wrong_share: bool = False

    def end_lease(self) -> None:
        if self.lease_timer is not None:
            self.lease_timer.cancel()
        if self.key is not None:
            self.key.wipe()
        self.lease_timer = self.key = None


class HolderKeys:
    """The n holders of the measured configuration, index i (1 to n) being the i-th. One instance per event loop."""

    def __init__(
        self,
        kms: Kms,
        *,
        deployment: str,
        holders: Sequence[Holder],
        threshold: int,
        clock: Clock,
        lease_s: float,
        generation: int = FIRST_GENERATION,
    ) -> None:
        self._kms = kms
        self._deployment = deployment
        self._clock = clock
        self._lease_s = lease_s
        self._seats = {index: _Seat(holder) for index, holder in enumerate(holders, start=1)}
        self.threshold: Final = threshold
        self.count: Final = len(holders)
        self.generation: Final = generation

    def name(self, index: int) -> str:
        """The configured name of holder `index`."""
        return self._seats[index].holder.name

    def holds(self, wrapped: Sequence[WrappedHolderKey]) -> bool:
        """Whether these are the wrapped keys in use."""
        return {seat.wrapped for seat in self._seats.values()} == set(wrapped)

    def adopt(self, wrapped: Sequence[WrappedHolderKey]) -> None:
        """Take this generation's wrapped keys, one of each holder; nothing is opened. `BootError("holder-keys")`."""
        validate_set(wrapped, [seat.holder.name for seat in self._seats.values()], self.generation)
        by_name = {key.name: key for key in wrapped}
        self.close()
        for seat in self._seats.values():
            seat.wrapped = by_name[seat.holder.name]
            seat.retry_at_ms = 0

    async def provision(self) -> list[WrappedHolderKey]:
        """New keys of all n holders, opened once more to prove that they can be. `BootError("holders-unavailable")`."""
        made = await asyncio.gather(*(self._attempt(seat, self._make(seat), calls=2) for seat in self._seats.values()))
        pairs = [pair for pair in made if pair is not None]
        if len(pairs) < self.count:
            for _, key in pairs:
                key.wipe()
            failing = (f"{name}: {code}" for name, code in self.health().failing.items())
            raise BootError("holders-unavailable", ", ".join(failing))
        self.adopt([wrapped for wrapped, _ in pairs])
        for seat, (_, key) in zip(self._seats.values(), pairs, strict=True):
            self._begin_lease(seat, key)
        return [wrapped for wrapped, _ in pairs]

    async def available(self, among: Collection[int] | None = None) -> frozenset[int]:
        """The indices (of `among`, or of all) whose keys are under lease: at least t. `Refusal` HOLDERS_UNAVAILABLE.

        Asks nobody while all leases run. Derive with `sealing_key` before the next `await`: leases end on time.
        """
        wanted = self._seats.keys() if among is None else self._seats.keys() & among
        now_ms = self._clock.monotonic_ms()
        self._ask([index for index in wanted if self._is_due(self._seats[index], now_ms)])
        while len(held := self._held(wanted)) < self.threshold:
            calls = [call for index in wanted if (call := self._seats[index].asking)]
            if not calls or len(wanted) < self.threshold:
                raise Refusal(errors.HOLDERS_UNAVAILABLE)
            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        return held

    def sealing_key(self, index: int, purpose: str, owner_id: bytes, generation: int) -> Secret:
        """HKDF-SHA256 of holder key `index` for one purpose, owner and generation: 32 bytes that the caller wipes.

        `Refusal` HOLDERS_UNAVAILABLE when that key is not under lease.
        """
        key = self._seats[index].key
        if key is None:
            raise Refusal(errors.HOLDERS_UNAVAILABLE)
        return sealing.derive(key, _SEALING_LABEL, purpose, owner_id, generation)

    def report_wrong_share(self, index: int) -> None:
        """Name holder `index` in `health`: a share under its key was wrong. Until its key is next opened."""
        self._seats[index].wrong_share = True

    async def refresh(self) -> HolderHealth:
        """Ask every holder now, renew the leases of those that answer, and say how they did. Bounded by the deadline.

        Called at intervals, it lets `health` tell of a failure before a user meets it.
        """
        self._ask(self._seats)
        if calls := [seat.asking for seat in self._seats.values() if seat.asking]:
            await asyncio.wait(calls)
        return self.health()

    def health(self) -> HolderHealth:
        """What is known without asking anybody."""
        seats = self._seats.values()
        available = tuple(seat.holder.name for seat in seats if seat.failure == "")
        failing = {seat.holder.name: "holder-wrong-share" for seat in seats if seat.wrong_share}
        failing |= {seat.holder.name: seat.failure for seat in seats if seat.failure}
        return HolderHealth(available, failing, len(available) - self.threshold)

    def close(self) -> None:
        """End all calls and leases."""
        for seat in self._seats.values():
            if seat.asking is not None:
                seat.asking.cancel()
                seat.asking = None
            seat.end_lease()

    def _held(self, wanted: Collection[int]) -> frozenset[int]:
        return frozenset([index for index in wanted if self._seats[index].key is not None])

    def _is_due(self, seat: _Seat, now_ms: int) -> bool:
        """Whether to ask: no key under lease, and no fresh failure. Ends a lease that the timer has yet to end."""
        if seat.key is not None and now_ms >= seat.lease_ends_ms:
            seat.end_lease()
        return seat.key is None and now_ms >= seat.retry_at_ms

    def _ask(self, indices: Iterable[int]) -> None:
        """Start a call to each of the holders that has none under way."""
        for index in indices:
            seat = self._seats[index]
            if seat.wrapped is not None and seat.asking is None:
                seat.asking = asyncio.create_task(self._renew(seat, seat.wrapped))

    async def _renew(self, seat: _Seat, wrapped: WrappedHolderKey) -> None:
        try:
            key = await self._attempt(seat, self._open(seat.holder, wrapped))
            if key is not None:
                self._begin_lease(seat, key)
        finally:
            if seat.asking is asyncio.current_task():
                seat.asking = None

    async def _attempt(self, seat: _Seat, call: Awaitable[_T], *, calls: int = 1) -> _T | None:
        """The outcome of `call` within the deadline of so many KMS calls; None, and the seat knows why, on failure."""
        try:
            async with asyncio.timeout(calls * limits.KMS_DEADLINE_S):
                result = await call
        except KmsError as error:
            seat.failure = error.code
        except TimeoutError:
            seat.failure = "kms-deadline"
        except Exception:  # noqa: BLE001  a fault in one holder's call must not take the others along
            seat.failure = "kms-fault"
        else:
            seat.failure = ""
            return result
        seat.retry_at_ms = self._clock.monotonic_ms() + int(limits.HOLDER_RETRY_S * 1000)
        return None

    async def _make(self, seat: _Seat) -> tuple[WrappedHolderKey, Secret]:
        holder = seat.holder
        context = encryption_context(self._deployment, holder.name, self.generation)
        made = await self._kms.generate_data_key(holder, context)
        check = key_check(made.key, holder, context)
        wrapped = WrappedHolderKey(holder.name, made.ciphertext_blob, self.generation, check)
        try:
            (await self._open(holder, wrapped)).wipe()
        except BaseException:  # cancelled as well
            made.key.wipe()
            raise
        return wrapped, made.key

    async def _open(self, holder: Holder, wrapped: WrappedHolderKey) -> Secret:
        context = encryption_context(self._deployment, holder.name, wrapped.generation)
        key = await self._kms.decrypt(holder, wrapped.ciphertext_blob, context)
        if not hmac.compare_digest(key_check(key, holder, context), wrapped.key_check):
            key.wipe()
            raise KmsError(WRONG_KEY)
        return key

    def _begin_lease(self, seat: _Seat, key: Secret) -> None:
        seat.end_lease()
        seat.key = key
        seat.wrong_share = False
        seat.lease_ends_ms = self._clock.monotonic_ms() + int(self._lease_s * 1000)
        seat.lease_timer = asyncio.get_running_loop().call_later(self._lease_s, seat.end_lease)
