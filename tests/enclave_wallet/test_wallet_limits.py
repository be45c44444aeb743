"""Wallets at their caps and one beyond, and a record that still fits when everything in it is at its cap."""

from dataclasses import replace
from typing import Any

import pytest

from enclave.errors import Refusal
from enclave.records import Record, Records
from enclave.rpc.wallet_call import wallet_rules
from enclave.secret import Secret
from enclave.sequence.asked import asked_calls
from enclave.sequence.attesting import parse_attestation_request
from enclave.sequence.changes import with_session
from enclave.sequence.plan import WalletPlan, read_plan
from enclave.sequence.rules import validate_plan
from enclave.sequence.signing import parse_cosigners, verify_update
from enclave.sequence.wallet_records import IssuedAttestation, SmartWallet, WalletRecords, _read
from evm.address import Address, checksum
from evm.errors import EvmError
from evm.wallet.context import DEFAULT_CONTEXT
from evm.wallet.default_wallet import DEFAULT_GUARD
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.passkeys.public_key import PasskeyPublicKey
from evm.wallet.payload import Call, CallsPayload, ConfigUpdatePayload
from evm.wallet.recovery.tree import RecoveryLeaf, flat
from evm.wallet.sessions.configuration import new_tree
from evm.wallet.sessions.permission import Permission, SessionPermissions
from evm.wallet.sessions.tree_encoding import encode_tree
from protocol import cbor, limits
from tests.appliance import ORIGIN, MemoryStore

from .wallet_support import GUARD, handed_over

DAY = 86_400
IDENTITY = Address(b"\x01" * 20)
WALLET = Address(b"\x0f" * 20)


def addresses(count: int, first: int) -> tuple[Address, ...]:
    return tuple(Address(bytes([first]) + number.to_bytes(19, "big")) for number in range(count))


def plan(**changes: Any) -> WalletPlan:
    found = WalletPlan(
        DEFAULT_CONTEXT, IDENTITY, (), (), DEFAULT_GUARD, new_tree([IDENTITY]), flat([RecoveryLeaf(IDENTITY, DAY)])
    )
    return replace(found, **changes)


def passkeys(count: int) -> tuple[PasskeyPublicKey, ...]:
    return tuple(PasskeyPublicKey(n.to_bytes(32, "big"), b"\x02" * 32, True, b"\x03" * 32) for n in range(count))


def refuses(found: WalletPlan) -> str:
    with pytest.raises(WalletError) as caught:
        validate_plan(found)
    return caught.value.code


def test_devices() -> None:
    validate_plan(plan(devices=addresses(limits.MAX_WALLET_DEVICES, 2)))
    assert refuses(plan(devices=addresses(limits.MAX_WALLET_DEVICES + 1, 2))) == "wallet-plan-devices"


def test_passkeys() -> None:
    validate_plan(plan(passkeys=passkeys(limits.MAX_WALLET_PASSKEYS)))
    assert refuses(plan(passkeys=passkeys(limits.MAX_WALLET_PASSKEYS + 1))) == "wallet-plan-passkeys"


def test_recovery_keys() -> None:
    def tree(count: int) -> Any:
        return flat([RecoveryLeaf(address, DAY) for address in addresses(count, 3)])

    validate_plan(plan(recovery=tree(limits.MAX_WALLET_RECOVERY_KEYS)))
    assert refuses(plan(recovery=tree(limits.MAX_WALLET_RECOVERY_KEYS + 1))) == "wallet-plan-unrecoverable"


def test_recovery_delay() -> None:
    validate_plan(plan(recovery=RecoveryLeaf(IDENTITY, limits.MIN_RECOVERY_DELAY_S)))
    early = plan(recovery=RecoveryLeaf(IDENTITY, limits.MIN_RECOVERY_DELAY_S - 1))
    assert refuses(early) == "wallet-plan-recovery-delay"


def full_of_sessions(size: int) -> WalletPlan:
    """A plan whose session tree has `size` bytes; a blacklist's address has 20, a count of more than 14 two."""
    grown = plan()
    while (left := size - len(encode_tree(grown.sessions))) > 400:
        signer = Address(left.to_bytes(20, "big"))
        targets = addresses(min(12, (left - 200) // 21), 4)
        session = SessionPermissions(signer, 1, 0, 10**10, tuple(map(Permission, targets)))
        grown = with_session(grown, session, wallet=WALLET, now_s=1)
    return grown


def test_session_tree_bytes() -> None:
    cap = limits.MAX_WALLET_SESSIONS_BYTES
    near = full_of_sessions(cap)
    validate_plan(near)
    assert len(encode_tree(near.sessions)) > cap - 400
    assert refuses(full_of_sessions(cap + 600)) == "wallet-plan-sessions-bytes"


def wallet(**changes: Any) -> SmartWallet:
    found = SmartWallet(_records().key("wallet", b"id"), 0, plan().configuration.image_hash, plan(), 0)
    return replace(found, **changes)


def _records() -> Records:
    secret = Secret.take(bytearray(32))
    return Records(MemoryStore(), secret, "test", lambda: 10**12, lambda size: bytes(size))


def test_pending_updates_and_finished_ones_and_attestations_leave_when_there_are_too_many() -> None:
    found = wallet()
    for number in range(1, limits.MAX_WALLET_UPDATES_PENDING + 2):
        found = found.with_pending(plan(checkpoint=number))
    assert len(found.pending) == limits.MAX_WALLET_UPDATES_PENDING
    assert found.checkpoint == limits.MAX_WALLET_UPDATES_PENDING + 1
    for number in range(limits.MAX_WALLET_UPDATES_KEPT + 1):
        found = found.updated(plan(checkpoint=number), bytes([number]))
    assert [len(found.updates), found.updates[0].signature] == [limits.MAX_WALLET_UPDATES_KEPT, b"\x01"]
    for address in addresses(limits.MAX_WALLET_ATTESTATIONS_KEPT + 1, 5):
        found = found.with_attested(IssuedAttestation(address, ORIGIN, 1))
    assert len(found.attested) == limits.MAX_WALLET_ATTESTATIONS_KEPT


def test_signature_of_an_update() -> None:
    found = wallet()
    update = Operation(ConfigUpdatePayload(b"\x01" * 32), found.address, 0, no_chain_id=True)
    at_cap = bytes([0x06]) + bytes(limits.MAX_WALLET_UPDATE_BYTES - 1)
    for data, code in ((at_cap, "wallet-update-bytes"), (at_cap + b"\0", "wallet-update-bytes")):
        with pytest.raises(EvmError) as caught:
            verify_update(found, update, data)
        assert (caught.value.code == code) == (len(data) > limits.MAX_WALLET_UPDATE_BYTES)


def test_cosigners() -> None:
    one = handed_over(GUARD, b"\x01" * 32)
    assert len(parse_cosigners([one] * limits.MAX_WALLET_COSIGNERS)) == limits.MAX_WALLET_COSIGNERS
    with pytest.raises(EvmError, match="wallet-cosigners"):
        parse_cosigners([one] * (limits.MAX_WALLET_COSIGNERS + 1))


def test_calls() -> None:
    def payload(count: int) -> CallsPayload:
        return CallsPayload((Call(WALLET),) * count)

    assert asked_calls(payload(limits.MAX_WALLET_CALLS), wallet(), 1)
    with pytest.raises(WalletError, match="wallet-calls-count"):
        asked_calls(payload(limits.MAX_WALLET_CALLS + 1), wallet(), 1)


def test_redirect_url() -> None:
    from enclave.identity import Identity

    def ask(size: int) -> Any:
        params = {"approvedSigner": checksum(WALLET), "redirectUrl": f"{ORIGIN}/".ljust(size, "x")}
        identity = Identity("Email", "", "a@example.com", None)
        return parse_attestation_request(params, wallet(), identity=identity, audience="", origin=ORIGIN, now_s=1)

    assert ask(limits.MAX_REDIRECT_URL_CHARS)
    with pytest.raises(WalletError, match="wallet-attestation-redirect-url"):
        ask(limits.MAX_REDIRECT_URL_CHARS + 1)


async def test_record_with_everything_at_its_cap_is_stored_and_read_back() -> None:
    full = replace(
        full_of_sessions(limits.MAX_WALLET_SESSIONS_BYTES),
        devices=addresses(limits.MAX_WALLET_DEVICES, 2),
        passkeys=passkeys(limits.MAX_WALLET_PASSKEYS),
        recovery=flat([RecoveryLeaf(a, DAY) for a in addresses(limits.MAX_WALLET_RECOVERY_KEYS, 3)]),
    )
    records = WalletRecords(_records())
    made, _ = await records.create(b"account", full)

    def fill(found: SmartWallet) -> SmartWallet:
        for _ in range(limits.MAX_WALLET_UPDATES_KEPT):
            found = found.updated(full, bytes(limits.MAX_WALLET_UPDATE_BYTES))
        for number in range(limits.MAX_WALLET_UPDATES_PENDING):
            found = found.with_pending(replace(full, checkpoint=number + 1))
        for address in addresses(limits.MAX_WALLET_ATTESTATIONS_KEPT, 5):
            found = found.with_attested(IssuedAttestation(address, "x" * limits.MAX_ORIGIN_CHARS, 2**40))
        return found

    changed = await records.change(made, fill)
    assert await records.load(b"account") == changed


def test_plan_is_read_back_and_damaged_ones_are_refused() -> None:
    full = plan(devices=addresses(2, 2), passkeys=passkeys(2), checkpoint=7)
    assert read_plan(cbor.loads(cbor.dumps(full.body()))) == full
    body = full.body()
    for at in range(len(body)):
        for wrong in (None, "x", b"x", [], [b"short"]):
            damaged = [*body[:at], wrong, *body[at + 1 :]]
            if (at == 4 and wrong is None) or (at in (2, 3) and wrong == []):
                continue  # no guard, no devices, no passkeys
            with pytest.raises(EvmError):
                read_plan(damaged)
    with pytest.raises(Refusal):
        _read(Record(_records().key("wallet", b"id"), 1, [1, b"short", body, 0, [], [], []]))
    with pytest.raises(Refusal):
        _read(Record(_records().key("wallet", b"id"), 1, [2, bytes(32), body, 0, [], [], []]))


def test_contracts_reason_is_told() -> None:
    with pytest.raises(Refusal) as caught, wallet_rules():
        raise WalletError("wallet-code", "TheirReason")
    assert caught.value.cause == "wallet-code (TheirReason)"
