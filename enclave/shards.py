"""Scalars split over the share holders: sealed share by share, opened from any t of them (design section 6).

Share i is sealed under a key derived from holder key H_i; the AAD names version, scope, owner, holder, index, t, n,
identity hash, generation and record version, so a share opens nowhere but in its own place. `Shards` knows no policy:
who may open what is decided by its two callers, `wallets` (only with a `VerifiedSession`) and `deployment` (only at
boot).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from enclave import sealing, shamir
from enclave.errors import Refusal
from enclave.generations import Generations
from enclave.holders import HolderKeys
from enclave.secret import Secret
from protocol import errors

_FORMAT: Final = "chancery/share/1"


@dataclass(frozen=True, slots=True)
class Owner:
    """What a set of shares belongs to; part of the AAD of each."""

    purpose: str
    """`wallet`, `identity` or `record`."""
    scope: str
    id: bytes
    identity_hash: bytes


@dataclass(frozen=True, slots=True)
class SealedShare:
    """One share and the version of the record it was sealed for."""

    record_version: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class ShardSet:
    """A scalar in pieces. `shares[i]` is holder i + 1's, or None while that holder was away when it was due."""

    generation: int
    commitments: tuple[bytes, ...]
    shares: tuple[SealedShare | None, ...]

    @property
    def public_key(self) -> bytes:
        """The compressed public key of the scalar."""
        return self.commitments[0]

    def body(self) -> list[Any]:
        """What a record keeps."""
        shares = [None if share is None else [share.record_version, share.sealed] for share in self.shares]
        return [self.generation, list(self.commitments), shares]


def read_shard_set(body: Any, *, threshold: int, count: int) -> ShardSet:
    """The set that `ShardSet.body` wrote; anything of another shape is DATA_INTEGRITY_ERROR."""
    match body:
        case [int(generation), list(commitments), list(shares)]:
            points = all(type(point) is bytes and len(point) == 33 for point in commitments)
            if points and len(commitments) == threshold and len(shares) == count:
                return ShardSet(generation, tuple(commitments), tuple(map(_read_share, shares)))
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _read_share(body: Any) -> SealedShare | None:
    match body:
        case None:
            return None
        case [int(version), bytes(sealed)]:
            return SealedShare(version, sealed)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


class Shards:
    """Splits, seals, opens and renews. Holder keys are asked for under their lease; no call to KMS on the hot path."""

    def __init__(self, generations: Generations, deployment: str, random: Callable[[int], bytes]) -> None:
        self._generations = generations
        self._deployment = deployment
        self._random = random

    def is_current(self, shards: ShardSet) -> bool:
        """Whether the set lies under the current generation."""
        return shards.generation == self._generations.current.generation

    async def split(
        self, scalar: Secret, owner: Owner, record_version: int, holders: HolderKeys | None = None
    ) -> ShardSet:
        """Seal a share for every holder whose key is at hand; at least t of them, or HOLDERS_UNAVAILABLE.

        `holders` is the generation to seal under, the current one without it.
        """
        holders = holders or self._generations.current
        keys = await holders.available()
        parts = shamir.split(scalar, holders.threshold, holders.count, self._random)
        try:
            shares = tuple(
                self._seal(holders, share, owner, index, record_version) if index in keys else None
                for index, share in enumerate(parts.shares, start=1)
            )
        finally:
            for share in parts.shares:
                share.wipe()
        return ShardSet(holders.generation, parts.commitments, shares)

    async def open(self, shards: ShardSet, owner: Owner) -> Secret:
        """The scalar, checked against its public key. Wrong shares name their holder and are left out."""
        holders = await self._generations.of(shards.generation)
        wrong: set[int] = set()
        while True:
            shares = await self._open_shares(holders, shards, owner, wrong)
            try:
                return shamir.combine(shares, shards.commitments)
            except shamir.WrongShare as error:
                _blame(holders, error.indices, wrong)
            finally:
                for share in shares.values():
                    share.wipe()

    async def renew(self, shards: ShardSet, owner: Owner, record_version: int) -> ShardSet:
        """The set as it would be made today: split anew if its generation is an earlier one, and with missing shares of
        returned holders filled in. The same set when there is nothing to do.
        """
        if self.is_current(shards):
            return await self._mend(self._generations.current, shards, owner, record_version)
        with await self.open(shards, owner) as scalar:
            return await self.split(scalar, owner, record_version)

    async def _mend(self, holders: HolderKeys, shards: ShardSet, owner: Owner, record_version: int) -> ShardSet:
        keys = await holders.available()
        due = [index for index, share in enumerate(shards.shares, start=1) if share is None and index in keys]
        if not due:
            return shards
        present = await self._open_shares(holders, shards, owner, set())
        shares = list(shards.shares)
        try:
            for index in due:
                with shamir.interpolate(present, shards.commitments, at=index) as share:
                    if shamir.find_wrong({index: share}, shards.commitments):
                        raise Refusal(errors.DATA_INTEGRITY_ERROR)
                    shares[index - 1] = self._seal(holders, share, owner, index, record_version)
        finally:
            for share in present.values():
                share.wipe()
        return replace(shards, shares=tuple(shares))

    async def _open_shares(
        self, holders: HolderKeys, shards: ShardSet, owner: Owner, wrong: set[int]
    ) -> dict[int, Secret]:
        """Exactly t opened shares of holders not in `wrong`; a share that does not open puts its holder there."""
        while True:
            held = {i for i, share in enumerate(shards.shares, start=1) if share is not None} - wrong
            keys = await holders.available(among=held)
            opened: dict[int, Secret] = {}
            for index in sorted(held & keys):
                try:
                    opened[index] = self._open(holders, shards, owner, index)
                except sealing.SealError:
                    _blame(holders, (index,), wrong)
                if len(opened) == holders.threshold:
                    return opened
            for share in opened.values():
                share.wipe()

    def _seal(self, holders: HolderKeys, share: Secret, owner: Owner, index: int, record_version: int) -> SealedShare:
        with holders.sealing_key(index, owner.purpose, owner.id, holders.generation) as key:
            aad = self._aad(holders, owner, index, record_version)
            return SealedShare(record_version, sealing.seal(key, share.view, aad, self._random))

    def _open(self, holders: HolderKeys, shards: ShardSet, owner: Owner, index: int) -> Secret:
        sealed = shards.shares[index - 1]
        if sealed is None:
            raise sealing.SealError
        with holders.sealing_key(index, owner.purpose, owner.id, holders.generation) as key:
            return sealing.open_secret(key, sealed.sealed, self._aad(holders, owner, index, sealed.record_version))

    def _aad(self, holders: HolderKeys, owner: Owner, index: int, record_version: int) -> list[Any]:
        return [
            _FORMAT,
            self._deployment,
            owner.purpose,
            owner.scope,
            owner.id,
            owner.identity_hash,
            holders.name(index),
            index,
            holders.threshold,
            holders.count,
            holders.generation,
            record_version,
        ]


def _blame(holders: HolderKeys, indices: tuple[int, ...], wrong: set[int]) -> None:
    if not indices:
        raise Refusal(errors.DATA_INTEGRITY_ERROR)
    wrong.update(indices)
    for index in indices:
        holders.report_wrong_share(index)
