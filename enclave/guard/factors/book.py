"""Where factors are kept: one sealed record for each wallet, and one for each user that says which wallet is theirs.

Everything changes by compare-and-set, so of requests that race each sees what the one before it used up.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from enclave.errors import Refusal
from enclave.guard.factors.record import Factors, User, body_of, read_factors
from enclave.records import Change, Conflict, Record, Records
from evm.address import ADDRESS_BYTES, Address
from protocol import errors, guard_errors
from protocol.services import RecordKey

_TRIES: Final = 8


class FactorBook:
    """Opens and changes them. One instance a worker."""

    def __init__(self, records: Records, boot_ms: int) -> None:
        """`boot_ms` is the trusted time at which this boot began: what was written before may be an older copy."""
        self._records = records
        self._boot_ms = boot_ms

    async def load(self, wallet: Address) -> Factors:
        """What a wallet has enrolled; nothing, if it never has."""
        return self._read((await self._records.load(self._key(wallet)))[0])

    async def wallet_of(self, user: User) -> Address | None:
        """The wallet of which this is the user."""
        [record] = await self._records.load(self._user_key(user))
        if record is None:
            return None
        if type(record.body) is not bytes or len(record.body) != ADDRESS_BYTES:
            raise Refusal(errors.DATA_INTEGRITY_ERROR)
        return Address(record.body)

    async def change(self, wallet: Address, change: Callable[[Factors], Factors]) -> Factors:
        """Write what `change` makes of the current value, durably; it may be called again and may refuse.

        `Refusal` REQUEST_CONFLICT `guard:user` where a new user has another wallet, BUSY.
        """
        key = self._key(wallet)
        for _ in range(_TRIES):
            [record] = await self._records.load(key)
            before = self._read(record)
            after = change(before)
            changes = [self._records.change(key, 0 if record is None else record.version, body_of(after))]
            if after.user is not None and before.user is None:
                changes += await self._index(after.user, wallet)
            try:
                await self._records.save(*changes)
            except Conflict:
                continue
            return after
        raise Refusal(errors.BUSY)

    async def _index(self, user: User, wallet: Address) -> list[Change]:
        known = await self.wallet_of(user)
        if known not in (None, wallet):
            raise Refusal(guard_errors.REQUEST_CONFLICT, "guard:user")
        return [] if known else [self._records.change(self._user_key(user), 0, bytes(wallet))]

    def _read(self, record: Record | None) -> Factors:
        if record is None:
            return Factors()
        factors = read_factors(record.body)
        if record.version >= self._boot_ms:
            return factors
        return msgspec.structs.replace(factors, attempts=factors.attempts.of_unknown_age(self._boot_ms // 1000))

    def _key(self, wallet: Address) -> RecordKey:
        return self._records.key("guard-factors", wallet)

    def _user_key(self, user: User) -> RecordKey:
        return self._records.key("guard-user", user.issuer, user.subject)
