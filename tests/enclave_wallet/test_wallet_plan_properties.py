"""Whatever steps are taken in whatever order: the login and the guard can sign, somebody can recover, nobody stays."""

from dataclasses import replace
from typing import Any

import coincurve
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.config import GuardKeys, RecoveryKey, WalletTemplate
from enclave.sequence.changes import Around, changed, with_session, without_session
from enclave.sequence.new_wallet import NewSigners, guard_of, new_plan
from enclave.sequence.plan import WalletPlan, read_plan
from enclave.sequence.rules import validate_update
from evm.address import checksum
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import MessagePayload
from evm.wallet.sessions.configuration import explicit_signers, identity_signers, image_hash
from evm.wallet.sessions.session_json import permissions_from_json
from evm.wallet.sessions.tree_encoding import encode_tree, parse_tree
from evm.wallet.signature.contracts import NoContracts
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import key_signature
from evm.wallet.signature.merging import assemble
from evm.wallet.signature.verifying import verify_signature
from protocol import cbor

from .wallet_support import DAY, DEVICE, FALLBACK, GUARD, GUARD_OF_SESSIONS, address_of, permissions, sign

LOGIN = coincurve.PrivateKey(keccak256(b"login"))
POOL = [address_of(coincurve.PrivateKey(bytes([number]) * 32)) for number in range(1, 5)]
KEYS = GuardKeys(
    **{
        name: checksum(address_of(key))
        for name, key in (("wallet", GUARD), ("sessions", GUARD_OF_SESSIONS), ("fallback", FALLBACK))
    }
)
TEMPLATE = WalletTemplate(guard=KEYS, recovery=(RecoveryKey(key="device", delay_s=DAY),))
NOW_S = 1_750_000_000
PASSKEY = {"requireUserVerification": True, "y": "0x" + "02" * 32}

addresses = st.sampled_from([*POOL, address_of(DEVICE), address_of(GUARD), address_of(LOGIN)]).map(checksum)
words = st.integers(1, 3).map(lambda number: "0x" + number.to_bytes(32, "big").hex())
recovery_keys = st.lists(
    st.fixed_dictionaries({"address": addresses, "delay": st.sampled_from(["0", "86400", "2592000"])}), max_size=3
)
changes = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["add-device", "remove-device"]), "address": addresses}),
    st.fixed_dictionaries({"type": st.just("rotate-device"), "from": addresses, "to": addresses}),
    st.fixed_dictionaries({"type": st.just("add-passkey"), "passkey": words.map(lambda x: PASSKEY | {"x": x})}),
    st.fixed_dictionaries({"type": st.just("set-recovery"), "keys": recovery_keys}),
    st.sampled_from([{"type": "void-queued"}, {"type": "adopt-guard"}]),
    st.fixed_dictionaries({"type": st.just("approve"), "signer": addresses}),
    st.fixed_dictionaries({"type": st.just("revoke"), "signer": addresses}),
)


def step(plan: WalletPlan, change: dict[str, Any]) -> WalletPlan:
    """The next plan, or the old one where the step is refused."""
    wallet = plan.context.wallet_address(bytes(32))
    signer = next((address for address in _all() if checksum(address) == change.get("signer")), None)
    try:
        match change["type"], signer:
            case "approve", bytes():
                session = permissions_from_json(permissions(signer, deadline=2 * NOW_S))
                stepped = with_session(plan, session, wallet=wallet, now_s=NOW_S)
            case "revoke", bytes():
                stepped = without_session(plan, signer)
            case _:
                stepped = changed(plan, change, Around(TEMPLATE, NOW_S))
        stepped = replace(stepped, checkpoint=plan.checkpoint + 1)
        validate_update(plan, stepped)
    except EvmError:
        return plan
    return stepped


def _all() -> list[Any]:
    return [*POOL, address_of(DEVICE), address_of(GUARD), address_of(LOGIN)]


@given(st.lists(changes, max_size=8))
def test_wallet_stays_signable_recoverable_and_readable(steps: list[dict[str, Any]]) -> None:
    plan = new_plan(TEMPLATE, address_of(LOGIN), NewSigners(address_of(DEVICE), None, None))
    for change in steps:
        before, plan = plan, step(plan, change)
        if plan is before:
            continue
        assert plan.checkpoint == before.checkpoint + 1
        assert plan.configuration.image_hash != before.configuration.image_hash
        assert read_plan(cbor.loads(cbor.dumps(plan.body()))) == plan
        assert any(plan.recovery_keys)
        assert len({plan.identity, *plan.devices}) == 1 + len(plan.devices)
        assert set(identity_signers(plan.sessions)) <= {plan.identity, *plan.devices}
        assert image_hash(parse_tree(encode_tree(plan.sessions))) == image_hash(plan.sessions)
        assert plan.guard == guard_of(TEMPLATE)
        if change["type"] == "remove-device":
            assert change["address"] not in map(checksum, _everybody(plan))
        require_signable(plan)


def require_signable(plan: WalletPlan) -> None:
    """Login and guard are enough, and the login alone is not."""
    operation = Operation(MessagePayload(b"hello"), plan.context.wallet_address(bytes(32)), 1)
    given_ = [key_signature(address_of(key), sign(key, operation.digest)) for key in (LOGIN, GUARD)]
    whole = encode_signature(assemble(plan.configuration, operation, given_))
    assert verify_signature(whole, operation, plan.configuration.image_hash, NoContracts())
    alone = encode_signature(assemble(plan.configuration, operation, given_[:1]))
    with pytest.raises(EvmError, match="wallet-signature-weight-low"):
        verify_signature(alone, operation, plan.configuration.image_hash, NoContracts())


def _everybody(plan: WalletPlan) -> set[Any]:
    """Whoever can do something: sign, attest sessions, recover. Who holds a session was granted that by itself."""
    recovering = {key.signer for key in plan.recovery_keys}
    return {*plan.devices, *identity_signers(plan.sessions), *recovering} - set(explicit_signers(plan.sessions))
