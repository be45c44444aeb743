"""Enrolling factors and taking them off, for users whose wallet has signed (`authorizing.py`)."""

from collections.abc import Callable
from typing import Final

import msgspec

from enclave.errors import Refusal
from enclave.guard.factors.attempts import Attempts
from enclave.guard.factors.authorizing import Authorized
from enclave.guard.factors.book import FactorBook
from enclave.guard.factors.pins import Pins
from enclave.guard.factors.record import Factors, StartedTotp, Totp
from enclave.guard.factors.recovery_codes import RecoveryCodes
from enclave.guard.factors.step_up import StepUp
from enclave.guard.factors.totp import SEED_BYTES, STEP_S, enrolment_uri, find_step
from evm.address import Address, checksum
from protocol import guard_errors

ENROLMENT_S: Final = 600  # from the seed's being shown to the first code
_replace = msgspec.structs.replace


class Enrolment:
    """Changes what a wallet has enrolled."""

    def __init__(
        self,
        book: FactorBook,
        step_up: StepUp,
        pins: Pins,
        codes: RecoveryCodes,
        now_s: Callable[[], int],
        random: Callable[[int], bytes],
        *,
        service: str,
    ) -> None:
        """`service` is what authenticator apps call the guard."""
        self._book = book
        self._step_up = step_up
        self._pins = pins
        self._codes = codes
        self._now_s = now_s
        self._random = random
        self._service = service

    async def factors(self, wallet: Address) -> Factors:
        """What a wallet has."""
        return await self._book.load(wallet)

    async def start_totp(self, who: Authorized) -> str:
        """The URI of a new seed, which counts once a code of it was shown. REQUEST_CONFLICT if there is one already."""
        seed, expires_s = self._random(SEED_BYTES), self._now_s() + ENROLMENT_S

        def started(factors: Factors) -> Factors:
            if factors.totp:
                raise Refusal(guard_errors.REQUEST_CONFLICT, "guard:enrolled")
            return _replace(factors, user=who.user, started=StartedTotp(seed, expires_s))

        await self._book.change(who.wallet, started)
        return enrolment_uri(seed, self._service, checksum(who.wallet))

    async def commit_totp(self, wallet: Address, code: str) -> list[tuple[str, bool]]:
        """The recovery codes, each with whether it was used, once a code of the started seed was shown.

        `Refusal` REQUIRES_TOTP for a wrong code, NOT_FOUND `guard:enrolment` where nothing was started in time.
        """
        await self._step_up.count_attempt(wallet)

        def committed(factors: Factors) -> Factors:
            started, now_s = factors.started, self._now_s()
            if started is None or now_s >= started.expires_s or factors.totp:
                raise Refusal(guard_errors.NOT_FOUND, "guard:enrolment")
            step = find_step(started.seed, now_s // STEP_S - 2, code, now_s)
            if step is None:
                raise Refusal(guard_errors.REQUIRES_TOTP, "guard:second-factor:wrong")
            return _replace(
                factors,
                totp=Totp(started.seed, step),
                started=None,
                recovery=factors.recovery or self._codes.new_set(),
                attempts=Attempts(),
            )

        return self._shown(wallet, await self._book.change(wallet, committed))

    async def set_pin(self, who: Authorized, pin: str) -> None:
        """A PIN, in place of the one before. INVALID_ARGUMENT."""
        hashed = await self._pins.hash(pin)
        await self._book.change(who.wallet, lambda factors: _replace(factors, user=who.user, pin=hashed))

    async def reset_pin(self, wallet: Address) -> None:
        """No PIN any more."""
        await self._book.change(wallet, lambda factors: _replace(factors, pin=None).settled())

    async def reset_totp(self, wallet: Address) -> None:
        """No TOTP any more, nor one that was started."""
        await self._book.change(wallet, lambda factors: _replace(factors, totp=None, started=None).settled())

    async def reset_all(self, wallet: Address, recovery_code: str) -> None:
        """No factors any more, for a recovery code. UNAUTHORIZED `guard:recovery-code`."""
        if not await self._step_up.take_recovery_code(wallet, recovery_code, reset=True):
            raise Refusal(guard_errors.UNAUTHORIZED, "guard:recovery-code")

    async def recovery_codes(self, wallet: Address) -> list[tuple[str, bool]]:
        """The codes, each with whether it was used; none where no factor brought them along."""
        return self._shown(wallet, await self._book.load(wallet))

    async def new_recovery_codes(self, wallet: Address) -> list[tuple[str, bool]]:
        """Other codes in place of those before. NOT_FOUND `guard:enrolment` for a wallet without factors."""

        def renewed(factors: Factors) -> Factors:
            if not factors.active:
                raise Refusal(guard_errors.NOT_FOUND, "guard:enrolment")
            return _replace(factors, recovery=self._codes.new_set())

        return self._shown(wallet, await self._book.change(wallet, renewed))

    def _shown(self, wallet: Address, factors: Factors) -> list[tuple[str, bool]]:
        kept = factors.recovery
        if kept is None:
            return []
        return [(code, kept.is_used(index)) for index, code in enumerate(self._codes.codes(wallet, kept))]
