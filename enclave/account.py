"""What an account is: a wallet's shares, the logins that lead to it, its devices, and whether it is frozen.

Values only. The record lies under the wallet's address; each login has a slot of its own that names the account, so
that no identity can have two wallets, and several identities can have one (ADR 0035). A login that was taken off, and
every login of a deleted account, leaves its slot closed.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from attestation.session import identity_hash
from enclave.errors import Refusal
from enclave.identity import Identity, IdentityKind, read_identity
from enclave.shards import Owner, ShardSet, read_shard_set
from protocol import errors
from protocol.services import RecordKey

_DELETED: Final = "deleted"
_SHARED: Final = "client:"
"""Begins what stands for a scope in accounts that several tenants share; scopes begin with `@`."""


def shared_scope(issuer: str, audience: str) -> str:
    """What stands for the scope of users of a client that tenants share on purpose (ADR 56)."""
    return _SHARED + hashlib.sha256(f"{issuer}\n{audience}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Freeze:
    """Frozen since `since_s`; from `thaw_s` on no longer, where somebody has asked for that."""

    since_s: int
    thaw_s: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An opened account record. `address` is the wallet's, lower case; `devices` are `keyType:address` texts, with a
    scope before them where tenants share the account (`device_name`).

    `founder` is the identity at whose first login the wallet was made: its shares are bound to it for good, whether it
    is still among `logins` or not.
    """

    key: RecordKey
    version: int
    scope: str
    address: str
    salt: bytes
    founder: Identity
    shards: ShardSet
    logins: tuple[Identity, ...]
    devices: tuple[str, ...]
    freeze: Freeze | None = None
    owner: Owner = field(init=False, repr=False, compare=False)
    """What the wallet's shares are bound to."""
    _subjects: dict[bytes, Identity] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        owner = Owner("wallet", self.scope, self.key.id, self.subject(self.founder))
        object.__setattr__(self, "owner", owner)
        object.__setattr__(self, "_subjects", {self.subject(login): login for login in self.logins})

    def subject(self, identity: Identity) -> bytes:
        """The subject of session attestations of `identity` in this account: a salted hash, 32 bytes."""
        return identity_hash(self.salt, self.scope, identity.text)

    @property
    def shared(self) -> bool:
        """Whether it belongs to no one tenant, but to all that share a provider's client."""
        return self.scope.startswith(_SHARED)

    def device_name(self, scope: str, device: str) -> str:
        """Under what name a device of a scope is in the list."""
        return device if scope == self.scope else f"{scope}|{device}"

    def device_place(self, name: str) -> tuple[str, str]:
        """Scope and key of a device in the list."""
        scope, _, device = name.rpartition("|")
        return scope or self.scope, device

    def login(self, subject: bytes) -> Identity | None:
        """The login that `subject` stands for, or None when it does not lead to this account (any more)."""
        return self._subjects.get(subject)

    def has(self, identity: Identity) -> bool:
        """Whether `identity` is a login of this account. What mail address a provider tells does not matter."""
        return any(login.text == identity.text for login in self.logins)

    def first_login(self, kind: IdentityKind) -> Identity | None:
        """The oldest login of a kind."""
        return next((login for login in self.logins if login.kind == kind), None)

    def require_login(self, subject: bytes) -> Identity:
        """The login that `subject` stands for; KEY_NOT_FOUND when it was taken off this account."""
        login = self.login(subject)
        if login is None:
            raise Refusal(errors.KEY_NOT_FOUND)
        return login

    def is_frozen(self, now_s: int) -> bool:
        """Whether nothing may be signed."""
        return self.freeze is not None and (self.freeze.thaw_s is None or now_s < self.freeze.thaw_s)

    def require_active(self, now_s: Callable[[], int]) -> None:
        """ACCOUNT_FROZEN while frozen. What time it is matters, and is asked for, after a freeze alone."""
        if self.freeze is not None and self.is_frozen(now_s()):
            raise Refusal(errors.ACCOUNT_FROZEN)

    def without(self, login: Identity) -> "Account":
        """The account without one of its logins."""
        return replace(self, logins=tuple(other for other in self.logins if other.text != login.text))

    def body(self) -> list[Any]:
        """What the record keeps."""
        frozen = None if self.freeze is None else [self.freeze.since_s, self.freeze.thaw_s]
        logins = [login.body() for login in self.logins]
        return [self.scope, self.address, self.founder.body(), self.shards.body(), logins, list(self.devices), frozen]


@dataclass(frozen=True, slots=True)
class LoginSlot:
    """Where a login leads: the id of an account's record, or None once it is closed."""

    version: int
    scope: str
    identity: Identity
    account_id: bytes | None

    def body(self) -> list[Any]:
        """What the record keeps."""
        return [self.scope, self.identity.body(), self.account_id]


def deleted_body(scope: str, address: str, now_s: int) -> list[Any]:
    """What is left of a deleted account."""
    return [_DELETED, scope, address, now_s]


def is_deleted(body: Any) -> bool:
    """Whether a record is what is left of a deleted account."""
    return isinstance(body, list) and len(body) == 4 and body[0] == _DELETED


def read_account(
    key: RecordKey, version: int, body: Any, *, shape: tuple[int, int], salt: Callable[[RecordKey], bytes]
) -> Account:
    """The account that `Account.body` wrote; DATA_INTEGRITY_ERROR. `shape` is (threshold, count) of the holders."""
    threshold, count = shape
    match body:
        case [str(scope), str(address), founder, shards, list(logins), list(devices), frozen] if _all_text(devices):
            return Account(
                key=key,
                version=version,
                scope=scope,
                address=address,
                salt=salt(key),
                founder=read_identity(founder),
                shards=read_shard_set(shards, threshold=threshold, count=count),
                logins=tuple(map(read_identity, logins)),
                devices=tuple(devices),
                freeze=_read_freeze(frozen),
            )
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def read_slot(version: int, body: Any, scope: str, identity: Identity) -> LoginSlot:
    """The slot that `LoginSlot.body` wrote for `identity` in `scope`; DATA_INTEGRITY_ERROR."""
    match body:
        case [str(stored_scope), stored, bytes() | None as account_id] if stored_scope == scope:
            known = read_identity(stored)
            if known.text == identity.text:
                return LoginSlot(version, scope, known, account_id)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _read_freeze(body: Any) -> Freeze | None:
    match body:
        case None:
            return None
        case [int(since_s), int() | None as thaw_s]:
            return Freeze(since_s, thaw_s)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _all_text(values: list[Any]) -> bool:
    return all(type(value) is str for value in values)
