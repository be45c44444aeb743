"""Targets for records of accounts: the one that the host may write as it likes, and those that only we can seal."""

from typing import Any

from enclave.account import Account, Freeze, LoginSlot, deleted_body, is_deleted, read_account, read_slot
from enclave.deployment import Deployment, Founded
from enclave.errors import BootError, Refusal
from enclave.generations import Generation, Generations
from enclave.holder_key import WrappedHolderKey
from enclave.holders import HolderKeys
from enclave.identity import email_identity
from enclave.shards import SealedShare, Shards, ShardSet
from enclave.versions import SeenVersions
from protocol import cbor
from protocol.errors import ProtocolError
from protocol.services import Page, RecordKey, StoredRecord, Write
from tests.appliance import HOLDERS, FakeClock, FakeKms, config
from tests.fuzz.loop import run
from tests.fuzz.target import Target

ADA, WORK = email_identity("ada@example.com"), email_identity("ada@work.example")
KEY = RecordKey("account", bytes(32))
SHARDS = ShardSet(1, (b"\x02" * 33, b"\x03" * 33), (SealedShare(1, b"sealed"), None, SealedShare(2, b"sealed")))
ACCOUNT = Account(KEY, 1, "@1", "0x" + "11" * 20, bytes(16), ADA, SHARDS, (ADA, WORK), ("a:b",), Freeze(1, 2))


class _Shown:
    """A store that shows one record, whatever is asked for."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    async def get(self, _: Any) -> list[StoredRecord | None]:
        return [StoredRecord(1, self._value)]

    async def put(self, _: list[Write]) -> None:
        """Says yes."""

    async def ids(self, _: Page) -> list[bytes]:
        return []


def _deployment_record(data: bytes) -> object:
    """Nothing but its shape protects this record: the host writes it as it likes."""
    settings = config()
    kms, clock = FakeKms(), FakeClock()

    def make(generation: int) -> HolderKeys:
        return HolderKeys(
            kms,
            deployment="test",
            holders=settings.holders,
            threshold=2,
            clock=clock,
            lease_s=60,
            generation=generation,
        )

    generations = Generations(make)
    shards = Shards(generations, "test", bytes)
    return run(Deployment("test", _Shown(data), generations, shards, bytes, SeenVersions()).load())


def _founded() -> bytes:
    def made(number: int, superseded_s: int | None) -> Generation:
        keys = (WrappedHolderKey(name, b"blob", number, bytes(32)) for name in HOLDERS)
        return Generation(tuple(keys), superseded_s)

    return Founded(1, (made(1, 1000), made(2, None)), SHARDS, SHARDS).encode()


def _account(data: bytes) -> object:
    body = cbor.loads(data)
    if is_deleted(body):
        return None
    return read_account(KEY, 1, body, shape=(2, 3), salt=lambda _: bytes(16)).owner


TARGETS = {
    "deployment_record": Target(_deployment_record, (BootError, Refusal), lambda: [_founded()]),
    "account_record": Target(
        _account,
        (Refusal, ProtocolError),
        lambda: [cbor.dumps(ACCOUNT.body()), cbor.dumps(deleted_body("@1", "0x", 1))],
    ),
    "login_slot": Target(
        lambda data: read_slot(1, cbor.loads(data), "@1", ADA),
        (Refusal, ProtocolError),
        lambda: [cbor.dumps(LoginSlot(1, "@1", ADA, id_).body()) for id_ in (None, bytes(32))],
    ),
}
