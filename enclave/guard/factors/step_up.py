"""The second factor that a signature needs: asked for, shown once, taken before the key is opened.

An attempt is counted durably before anything is compared, and what was right is used up durably before its effect, so a
crash at any point leaves it counted or used (RB-03). Recovery codes are too many to guess and are not counted: whoever
uses up attempts locks nobody out who has one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from enclave.errors import Refusal
from enclave.guard.factors.attempts import Attempts
from enclave.guard.factors.book import FactorBook
from enclave.guard.factors.bound import BoundFactors
from enclave.guard.factors.pins import Pins
from enclave.guard.factors.record import Factors, Totp
from enclave.guard.factors.recovery_codes import RecoveryCodes
from enclave.guard.factors.totp import find_step
from evm.address import Address
from protocol import guard_errors


@dataclass(frozen=True, slots=True)
class AuthToken:
    """A factor that was shown with a request: its published name, what was typed, and whether to reset the others."""

    id: Literal["TOTP", "PIN", "recovery", "Email", "Passkey", "OIDC"]
    token: str = field(repr=False)
    reset_auth: bool = False


class StepUp:
    """Verifies factors and uses them up."""

    def __init__(
        self, book: FactorBook, pins: Pins, codes: RecoveryCodes, bound: BoundFactors, now_s: Callable[[], int]
    ) -> None:
        """`now_s` is trusted time in seconds, which refuses when there is none."""
        self._book = book
        self._pins = pins
        self._codes = codes
        self._bound = bound
        self._now_s = now_s

    async def is_enrolled(self, wallet: Address) -> bool:
        """Whether there is a factor to be asked for."""
        return (await self._book.load(wallet)).active

    async def require(self, wallet: Address, digest: bytes, by: str, token: AuthToken | None) -> None:
        """Return once a factor of the wallet's was shown for `digest`; it is used up. `by` names what asks.

        `Refusal` as `refusal` says where none or a wrong one is shown; RATE_LIMITED.
        """
        if token is None:
            raise await self.refusal(wallet, by)
        if not await self._take(wallet, digest, token):
            raise await self.refusal(wallet, "wrong")

    async def refusal(self, wallet: Address, by: str) -> Refusal:
        """What tells the client which factor to ask its user for; PERMISSION_DENIED where the wallet has none."""
        factors = await self._book.load(wallet)
        error = guard_errors.PERMISSION_DENIED
        if factors.totp:
            error = guard_errors.REQUIRES_TOTP
        elif factors.pin:
            error = guard_errors.REQUIRES_PIN
        return Refusal(error, f"guard:second-factor:{by}")

    async def _take(self, wallet: Address, digest: bytes, token: AuthToken) -> bool:
        match token.id:
            case "TOTP":
                return await self.take_totp(wallet, token.token)
            case "PIN":
                return await self._take_pin(wallet, token.token)
            case "recovery":
                return await self.take_recovery_code(wallet, token.token, reset=token.reset_auth)
            case "Email" | "Passkey" | "OIDC" as kind:
                return await self._bound.take(kind, wallet, digest, token.token)

    async def take_totp(self, wallet: Address, code: str) -> bool:
        """Whether it is the code of a step that was not used, which it now is."""
        await self.count_attempt(wallet)

        def used(factors: Factors) -> Factors:
            kept = factors.totp
            step = None if kept is None else find_step(kept.seed, kept.last_step, code, self._now_s())
            if kept is None or step is None:
                raise _Wrong
            return msgspec.structs.replace(factors, totp=Totp(kept.seed, step), attempts=Attempts())

        return await self._changed(wallet, used)

    async def _take_pin(self, wallet: Address, pin: str) -> bool:
        kept = (await self.count_attempt(wallet)).pin
        right = kept is not None and await self._pins.is_right(kept, pin)

        def cleared(factors: Factors) -> Factors:
            if not right or factors.pin != kept:
                raise _Wrong
            return msgspec.structs.replace(factors, attempts=Attempts())

        return await self._changed(wallet, cleared)

    async def take_recovery_code(self, wallet: Address, code: str, *, reset: bool) -> bool:
        """Whether it is an unused code, which is then used; `reset` takes every factor off, and the codes."""

        def used(factors: Factors) -> Factors:
            kept = factors.recovery
            index = None if kept is None else self._codes.find(wallet, kept, code)
            if kept is None or index is None:
                raise _Wrong
            if reset:
                return factors.without_factors()
            return msgspec.structs.replace(factors, recovery=kept.with_used(index), attempts=Attempts())

        return await self._changed(wallet, used)

    async def count_attempt(self, wallet: Address) -> Factors:
        """Count one, durably. `Refusal` RATE_LIMITED."""
        now_s = self._now_s()
        return await self._book.change(
            wallet, lambda factors: msgspec.structs.replace(factors, attempts=factors.attempts.counted(now_s))
        )

    async def _changed(self, wallet: Address, change: Callable[[Factors], Factors]) -> bool:
        try:
            await self._book.change(wallet, change)
        except _Wrong:
            return False
        return True


class _Wrong(Exception):
    """What was shown is not it."""
