"""The sealed record of a smart wallet: where it is, who acts for it now, and what it is about to become (design 8).

Whatever the enclave signs about a wallet's configuration is in the record before the signature exists.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from enclave.errors import Refusal
from enclave.records import Change, Conflict, Record, Records
from enclave.sequence.plan import WalletPlan, read_plan
from evm.address import ADDRESS_BYTES, Address
from evm.errors import EvmError
from evm.wallet.values import HASH_BYTES
from protocol import errors, limits
from protocol.services import RecordKey

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Update:
    """A finished step to the next configuration: its image hash, and the signature of the one before it."""

    image_hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class IssuedAttestation:
    """An implicit session that was attested: its key, for which origin, and when (Unix time in seconds)."""

    signer: Address
    origin: str
    issued_at: int


@dataclass(frozen=True, slots=True)
class SmartWallet:
    """An opened record. `first` is the image hash that the address is made of; `pending` are signed updates.

    `checkpoint` is the highest that was ever signed for: the next update has a higher one, whatever became of others.
    """

    key: RecordKey
    version: int
    first: bytes
    plan: WalletPlan
    checkpoint: int
    pending: tuple[WalletPlan, ...] = ()
    updates: tuple[Update, ...] = ()
    attested: tuple[IssuedAttestation, ...] = ()

    @property
    def address(self) -> Address:
        """Where the wallet is, or will be once it is deployed, on every chain."""
        return self.plan.context.wallet_address(self.first)

    def pending_plan(self, image_hash: bytes) -> WalletPlan | None:
        """The signed update to the configuration with this image hash."""
        return next((plan for plan in self.pending if plan.configuration.image_hash == image_hash), None)

    def with_pending(self, plan: WalletPlan) -> "SmartWallet":
        """After the update to `plan` is decided; the oldest of too many is forgotten."""
        kept = (*self.pending, plan)[-limits.MAX_WALLET_UPDATES_PENDING :]
        return replace(self, pending=kept, checkpoint=max(self.checkpoint, plan.checkpoint))

    def updated(self, plan: WalletPlan, signature: bytes) -> "SmartWallet":
        """After the update to `plan` was signed by enough signers of the configuration before it."""
        done = Update(plan.configuration.image_hash, signature)
        updates = (*self.updates, done)[-limits.MAX_WALLET_UPDATES_KEPT :]
        return replace(self, plan=plan, pending=(), updates=updates)

    def with_attested(self, issued: IssuedAttestation) -> "SmartWallet":
        """After an attestation was decided on."""
        attested = (*(old for old in self.attested if old.signer != issued.signer), issued)
        return replace(self, attested=attested[-limits.MAX_WALLET_ATTESTATIONS_KEPT :])

    def body(self) -> list[Any]:
        """What the record keeps."""
        return [
            _FORMAT,
            self.first,
            self.plan.body(),
            self.checkpoint,
            [plan.body() for plan in self.pending],
            [[update.image_hash, update.signature] for update in self.updates],
            [[issued.signer, issued.origin, issued.issued_at] for issued in self.attested],
        ]


class WalletRecords:
    """Finds, creates and changes the wallet of an account. Nothing is cached: what is signed is read first."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def load(self, account_id: bytes) -> SmartWallet | None:
        """The wallet of an account, or None if none was created."""
        key = self._key(account_id)
        [record] = await self._records.load(key)
        return None if record is None else _read(record)

    async def create(self, account_id: bytes, plan: WalletPlan) -> tuple[SmartWallet, bool]:
        """The wallet of an account and whether it is new; one that is there stays as it is."""
        key = self._key(account_id)
        wallet = SmartWallet(key, 0, plan.configuration.image_hash, plan, plan.checkpoint)
        write = self._records.change(key, 0, wallet.body())
        try:
            await self._records.save(write)
        except Conflict:
            found = await self.load(account_id)
            if found is None:  # the store says "not there", and yet there is something in the way
                raise Refusal(errors.STALE_RECORD) from None
            return found, False
        return replace(wallet, version=write.version), True

    async def change(self, wallet: SmartWallet, change: Callable[[SmartWallet], SmartWallet]) -> SmartWallet:
        """The changed wallet, durable on return. PRECONDITION_FAILED when it is not what was judged any more."""
        changed = change(wallet)
        version = self._records.next_version(wallet.version)
        try:
            await self._records.save(Change(wallet.key, wallet.version, version, changed.body()))
        except Conflict:
            raise Refusal(errors.PRECONDITION_FAILED, "the wallet was changed meanwhile") from None
        return replace(changed, version=version)

    def _key(self, account_id: bytes) -> RecordKey:
        return self._records.key("wallet", account_id)


def _read(record: Record) -> SmartWallet:
    try:
        match record.body:
            case [1, bytes(first), plan, int(checkpoint), list(pending), list(updates), list(attested)]:
                if len(first) == HASH_BYTES:
                    return SmartWallet(
                        key=record.key,
                        version=record.version,
                        first=first,
                        plan=read_plan(plan),
                        checkpoint=checkpoint,
                        pending=tuple(map(read_plan, pending)),
                        updates=tuple(map(_read_update, updates)),
                        attested=tuple(map(_read_attested, attested)),
                    )
    except EvmError:
        pass
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _read_update(body: Any) -> Update:
    match body:
        case [bytes(image_hash), bytes(signature)]:
            return Update(image_hash, signature)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _read_attested(body: Any) -> IssuedAttestation:
    match body:
        case [bytes(signer), str(origin), int(issued_at)] if len(signer) == ADDRESS_BYTES:
            return IssuedAttestation(Address(signer), origin, issued_at)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)
