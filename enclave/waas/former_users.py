"""Users that a scope had before, with wallets of the second generation: who they are, and what became of their wallets.

Which login is which user is a list whose root is measured. Anybody may show entries of it, which are kept from then on;
at the first login an account takes over the wallet of the user that its login is, for good.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from enclave.account import Account
from enclave.config import Scope
from enclave.config.parent import ParentWallet
from enclave.errors import Refusal
from enclave.records import Conflict, Record, Records
from enclave.sharded_key import ShardedKey
from enclave.shards import Owner, Shards
from enclave.waas.wallet_v2 import Adoption, ChildOfParent
from evm.address import ADDRESS_BYTES, Address, parse_address
from evm.errors import EvmError
from evm.intents.user_wallet import verify_parent
from evm.wallet.configuration_json import parse_configuration
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.v2_configuration import V2Configuration
from protocol import errors
from protocol.errors import ProtocolError
from protocol.services import RecordKey
from protocol.user_list import Entry, verify_entry

_USERS, _WALLETS = "former-user", "former-wallet"


@dataclass(frozen=True, slots=True)
class _Kept:
    """An account's wallet of before."""

    version: int
    user: str
    adoption: Adoption | None


class FormerUsers:
    """Keeps who they are, and gives their wallets. The enclave's key of a scope is made when it is first asked for."""

    def __init__(
        self, records: Records, shards: Shards, shape: tuple[int, int], random: Callable[[int], bytes]
    ) -> None:
        """`shape` is (threshold, count) of the holders."""
        self._records = records
        self._shards = shards
        self._shape = shape
        self._random = random

    def key(self, scope: str) -> ShardedKey:
        """The enclave's key of a scope: one of the two signers of its parent wallet."""
        key = self._records.key("parent-key", scope)
        owner = Owner("parent", scope, key.id, bytes(32))
        return ShardedKey(self._records, self._shards, self._shape, self._random, key=key, owner=owner)

    async def show(self, scope: Scope, entry: Entry, index: int, count: int, proof: list[bytes]) -> None:
        """Keep an entry of the scope's list; INVALID_REQUEST for one that is not in it."""
        parent = _parent_of(scope)
        try:
            verify_entry(entry, index, count, proof, bytes.fromhex(parent.users_root[2:]))
        except ProtocolError:
            raise Refusal(errors.INVALID_REQUEST, "not in the list of users") from None
        login, user = entry
        key = self._records.key(_USERS, scope.scope, login)
        try:
            await self._records.save(self._records.change(key, 0, [user]))
        except Conflict:  # it is there already
            return

    async def find(self, scope: Scope, account: Account) -> ChildOfParent | None:
        """The wallet that an account has from before, or None."""
        if scope.embedded is None or scope.embedded.parent is None:
            return None
        [record] = await self._records.load(self._wallet_key(account))
        return None if record is None else await self._wallet(scope, _read(record))

    async def take_over(self, scope: Scope, account: Account) -> ChildOfParent | None:
        """The wallet of the user that one of the account's logins was; None if none of them was anybody."""
        if scope.embedded is None or scope.embedded.parent is None:
            return None
        keys = [self._records.key(_USERS, scope.scope, login.text) for login in account.logins]
        found = [record for record in await self._records.load(*keys) if record is not None]
        if not found:
            return None
        match found[0].body:
            case [str(user)]:
                change = self._records.change(self._wallet_key(account), 0, [user, None])
            case _:
                raise Refusal(errors.DATA_INTEGRITY_ERROR)
        try:
            await self._records.save(change)
        except Conflict:
            raise Refusal(errors.BUSY) from None
        return await self._wallet(scope, _Kept(change.version, user, None))

    async def adopt(self, account: Account, adoption: Adoption) -> None:
        """Remember an adoption; PRECONDITION_FAILED where there is one already."""
        key = self._wallet_key(account)
        [record] = await self._records.load(key)
        kept = None if record is None else _read(record)
        if kept is None or kept.adoption is not None:
            raise Refusal(errors.PRECONDITION_FAILED, "the wallet was adopted before")
        body = [kept.user, [adoption.adopter, adoption.checkpoint, adoption.approval]]
        try:
            await self._records.save(self._records.change(key, kept.version, body))
        except Conflict:
            raise Refusal(errors.PRECONDITION_FAILED, "the wallet was changed meanwhile") from None

    async def _wallet(self, scope: Scope, kept: _Kept) -> ChildOfParent:
        """With the parent, which is checked before every use (waas-guard-intents.md 1.16 no. 10)."""
        parent, enclave = _parent_of(scope), await self.key(scope.scope).address()
        guard = parse_address(parent.guard)
        try:
            shown = parse_configuration(msgspec.json.decode(parent.configuration))
            configuration = V2Configuration(shown.threshold, shown.checkpoint, shown.topology)
            verified = verify_parent(
                configuration,
                V2.wallet_address(configuration.image_hash),
                enclave=enclave,
                guard=guard,
                user_salt=bytes.fromhex(parent.user_salt[2:]),
            )
        except EvmError as error:
            raise Refusal(errors.ENDPOINT_ERROR, error.code) from None
        return ChildOfParent(verified, configuration, enclave, guard, kept.user, kept.adoption)

    def _wallet_key(self, account: Account) -> RecordKey:
        return self._records.key(_WALLETS, account.key.id)


def _parent_of(scope: Scope) -> ParentWallet:
    if scope.embedded is None or scope.embedded.parent is None:
        raise Refusal(errors.RIGHT_NOT_GRANTED)
    return scope.embedded.parent


def _read(record: Record) -> _Kept:
    match record.body:
        case [str(user), None]:
            return _Kept(record.version, user, None)
        case [str(user), [bytes(adopter), int(checkpoint), bytes(approval)]] if len(adopter) == ADDRESS_BYTES:
            return _Kept(record.version, user, Adoption(Address(adopter), checkpoint, approval))
    raise Refusal(errors.DATA_INTEGRITY_ERROR)
