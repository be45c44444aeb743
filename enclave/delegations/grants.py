"""The sealed record of what an account has granted: each delegation as it was signed, until it has expired.

A delegation is in the record before it is signed. One without a signature was about to be signed, and may have been.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from enclave.delegations.limits import MAX_GRANT_BYTES, MAX_GRANTS, RELEASE_AFTER_S
from enclave.errors import Refusal
from enclave.records import Change, Conflict, Record, Records
from evm.address import ADDRESS_BYTES, Address
from evm.delegations.context import SignedDelegation, encode_context, parse_context
from evm.delegations.model import Manager
from evm.errors import EvmError
from protocol import canonical_json, errors, limits
from protocol.errors import ProtocolError
from protocol.services import RecordKey

_FORMAT: Final = 1
_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class Granted:
    """A delegation that was signed, or was about to be, for a manager. `source` is the permission request as granted.

    The manager stays with it: a later configuration may name another.
    """

    chain_id: int
    manager: Manager
    signed: SignedDelegation
    source: Mapping[str, Any] | None
    expires_at_s: int
    exposure: int
    granted_at_s: int
    revoked_at_s: int | None = None

    @property
    def hash(self) -> bytes:
        """The name of the delegation, here and on the chain."""
        return self.signed.delegation.hash

    @property
    def state(self) -> str:
        """`revoked`, `signed`, or `pending`: decided on, and perhaps signed."""
        if self.revoked_at_s is not None:
            return "revoked"
        return "signed" if self.signed.signature else "pending"

    def with_signature(self, signature: bytes) -> "Granted":
        """Once it is signed."""
        return replace(self, signed=replace(self.signed, signature=signature))

    def revoked(self, now_s: int) -> "Granted":
        """Once it was revoked; the first time counts."""
        return self if self.revoked_at_s is not None else replace(self, revoked_at_s=now_s)

    def body(self) -> list[Any]:
        """What the record keeps; amounts as text, for they may have 256 bits."""
        source = b"" if self.source is None else canonical_json.canonicalize(self.source)
        context = encode_context([self.signed])
        times = [self.expires_at_s, self.granted_at_s, self.revoked_at_s]
        manager = [self.manager.address, self.manager.name, self.manager.version]
        return [self.chain_id, manager, context, source, str(self.exposure), *times]

    @property
    def size(self) -> int:
        """Bytes of what grows: delegation and request. The signature is counted, whether it is there or not."""
        _, _, context, source, *_ = self.body()
        return len(context) + len(source) + (0 if self.signed.signature else 96)


@dataclass(frozen=True, slots=True)
class AccountGrants:
    """An opened record, or none yet (version 0)."""

    key: RecordKey
    version: int
    grants: tuple[Granted, ...] = field(default=())

    def find(self, hash_: bytes) -> Granted | None:
        """The delegation of this hash."""
        return next((grant for grant in self.grants if grant.hash == hash_), None)

    def live(self, now_s: int) -> "AccountGrants":
        """Without those that nobody can redeem any more."""
        kept = tuple(grant for grant in self.grants if grant.expires_at_s + RELEASE_AFTER_S > now_s)
        return replace(self, grants=kept)

    def with_grant(self, grant: Granted, now_s: int) -> "AccountGrants":
        """With one more; a revoked one is forgotten for it if there has to be room. USAGE_LIMIT_EXCEEDED if full."""
        if self.find(grant.hash) is not None:
            return self
        if grant.size > MAX_GRANT_BYTES:
            raise Refusal(errors.DELEGATION_RULE, "delegation-size")
        kept = list(self.live(now_s).grants)
        revoked = next((old for old in kept if old.state == "revoked"), None)
        if len(kept) >= MAX_GRANTS and revoked is not None:
            kept.remove(revoked)
        if len(kept) >= MAX_GRANTS:
            raise Refusal(errors.DELEGATION_RULE, "delegation-grants-count")
        return replace(self, grants=(*kept, grant))

    def changed(self, hash_: bytes, change: Callable[[Granted], Granted]) -> "AccountGrants":
        """With one of them changed. DELEGATION_NOT_FOUND when it is not there."""
        if self.find(hash_) is None:
            raise Refusal(errors.DELEGATION_NOT_FOUND)
        return replace(self, grants=tuple(change(each) if each.hash == hash_ else each for each in self.grants))


class GrantRecords:
    """Finds and changes what accounts have granted. Nothing is cached."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def load(self, account_id: bytes) -> AccountGrants:
        """What the account has granted."""
        key = self._records.key("delegations", account_id)
        [record] = await self._records.load(key)
        return AccountGrants(key, 0) if record is None else _read(record)

    async def change(self, account_id: bytes, change: Callable[[AccountGrants], AccountGrants]) -> AccountGrants:
        """The record after the change, durable on return. BUSY where others keep changing it."""
        for _ in range(_TRIES):
            known = await self.load(account_id)
            changed = change(known)
            version = self._records.next_version(known.version)
            body = [_FORMAT, [grant.body() for grant in changed.grants]]
            try:
                await self._records.save(Change(known.key, known.version, version, body))
            except Conflict:
                continue
            return replace(changed, version=version)
        raise Refusal(errors.BUSY)


def _read(record: Record) -> AccountGrants:
    try:
        match record.body:
            case [1, list(listed)]:
                return AccountGrants(record.key, record.version, tuple(map(_read_grant, listed)))
    except (EvmError, ProtocolError, ValueError):
        pass
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _read_grant(body: Any) -> Granted:
    match body:
        case [int(chain), manager, bytes(context), bytes(source), str(exposure), int(expires), int(granted), revoked]:
            if revoked is None or type(revoked) is int:
                return Granted(
                    chain_id=chain,
                    manager=_read_manager(manager),
                    signed=_read_signed(context),
                    source=canonical_json.parse(source, max_bytes=limits.MAX_BODY_BYTES) if source else None,
                    expires_at_s=expires,
                    exposure=int(exposure),
                    granted_at_s=granted,
                    revoked_at_s=revoked,
                )
    raise ValueError("grant")


def _read_signed(context: bytes) -> SignedDelegation:
    [signed] = parse_context("0x" + context.hex())
    return signed


def _read_manager(body: Any) -> Manager:
    match body:
        case [bytes(address), str(name), str(version)] if len(address) == ADDRESS_BYTES:
            return Manager(Address(address), name, version)
    raise ValueError("manager")
