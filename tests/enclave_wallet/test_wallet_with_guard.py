"""Two enclaves, one wallet: what the login's enclave signed and its guard's rules allow, the wallet takes; no more."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from evm.address import Address, checksum, parse_address
from evm.signature import parse_signature
from evm.wallet.configuration_json import parse_configuration
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import Call, CallsPayload
from evm.wallet.payload_json import payload_to_json
from tests.appliance import World
from tests.enclave_guard.guard_rules import PAYROLL, USD
from tests.evm_effects.made import THIEF, calldata
from tests.guard_wire.guard_world import CHAIN, GuardWorld, RefusedByGuard, request_for

from .wallet_support import FALLBACK, GUARD_OF_SESSIONS, SmartUser, address_of, verify, wallet_scopes


@pytest.fixture
async def guard(tmp_path: Path) -> AsyncIterator[GuardWorld]:
    made = GuardWorld(tmp_path / "guard")
    await made.boot()
    yield made
    await made.stop()


@pytest.fixture
async def guarded(tmp_path: Path, guard: GuardWorld) -> AsyncIterator[SmartUser]:
    """A user whose wallets are under this guard, as the other image's measured template says."""
    keys = {
        "wallet": checksum(await guard.address()),
        "sessions": checksum(address_of(GUARD_OF_SESSIONS)),
        "fallback": checksum(address_of(FALLBACK)),
    }
    world = World(tmp_path / "instrument", scopes=wallet_scopes(guard=keys))
    await world.boot()
    yield await SmartUser.with_wallet(world)
    await world.stop()


def payment(to: Address, nonce: int = 0) -> CallsPayload:
    return CallsPayload((Call(USD, data=calldata("transfer(address,uint256)", to, 5)),), nonce=nonce)


async def by_guard(guard: GuardWorld, payload: CallsPayload, answer: dict[str, Any]) -> dict[str, Any]:
    """The guard's leaf, asked for with the login's signature, as published clients ask."""
    ours = {"address": answer["signer"], "type": "Hash", "data": answer["signature"]}
    wallet = parse_address(answer["wallet"])
    signed = await guard.sign(request_for(payload, chain_id=CHAIN, wallet=wallet, signatures=[ours]))
    by = parse_signature(bytes.fromhex(signed[2:]))
    r, s = ("0x" + number.to_bytes(32, "big").hex() for number in (by.r, by.s))
    signature = {"type": "hash", "r": r, "s": s, "yParity": by.y_parity}
    return {"address": checksum(await guard.address()), "signature": signature}


async def test_wallet_takes_what_login_and_guard_signed(guard: GuardWorld, guarded: SmartUser) -> None:
    payload = payment(PAYROLL, nonce=1)
    half = await guarded.sign_payload(payload_to_json(payload), CHAIN)
    leaf = await by_guard(guard, payload, half)
    whole = await guarded.sign_payload(payload_to_json(payload), CHAIN, signatures=[leaf])
    assert (half["complete"], whole["complete"]) == (False, True)
    configuration = parse_configuration((await guarded.ask("Configuration"))["configuration"])
    operation = Operation(payload, guarded.wallet, CHAIN)
    verify(whole["partial"], operation, configuration)
    with pytest.raises(WalletError, match="wallet-signature-weight-low"):
        verify(half["partial"], operation, configuration)


async def test_what_the_guard_does_not_allow_stays_half(guard: GuardWorld, guarded: SmartUser) -> None:
    payload = payment(THIEF)
    half = await guarded.sign_payload(payload_to_json(payload), CHAIN)
    with pytest.raises(RefusedByGuard) as caught:
        await by_guard(guard, payload, half)
    assert caught.value.cause == "guard:deny:thieves"
    assert half["complete"] is False
