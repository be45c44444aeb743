"""Recovery by the login's key: queued for the module, done after the delay, made void by the nonce or a new tree."""

from dataclasses import replace
from typing import Any

import pytest

from evm.address import parse_address
from evm.wallet.compact import parse_compact
from evm.wallet.operation_hash import Operation, RecoveryPayload, operation_hash
from evm.wallet.payload import CallsPayload
from evm.wallet.payload_json import parse_payload
from evm.wallet.recovery.queue import QueueRequest, verify_queue_request
from evm.wallet.recovery.timelock import Recovery, queue
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.verifying import verify_signature
from tests.appliance import World

from .wallet_support import (
    CHAIN_ID,
    DAY,
    GUARD,
    SmartUser,
    call,
    calls,
    handed_over,
    refused,
    verify,
    wallet_scopes,
)

PAYLOAD = calls(call(value="5"), nonce="2")


def request_of(user: SmartUser, chain_id: int = CHAIN_ID) -> QueueRequest:
    payload = parse_payload(PAYLOAD)
    assert isinstance(payload, CallsPayload)
    return QueueRequest(user.wallet, parse_address(user.signer), payload, chain_id)


@pytest.mark.parametrize("chain_id", [CHAIN_ID, 0])
async def test_queued_calls_are_taken_by_the_module_and_then_by_the_wallet(user: SmartUser, chain_id: int) -> None:
    answer = await user.ask("QueueRecovery", chainId=chain_id, payload=PAYLOAD)
    request = request_of(user, chain_id)
    signature = bytes.fromhex(answer["signature"][2:])
    assert answer["digest"] == "0x" + request.digest.hex()
    calldata = bytes.fromhex(answer["queue"]["data"][2:])
    [compact] = [
        calldata[at : at + 64] for at in range(4, len(calldata), 32) if calldata[at : at + 32] == signature[:32]
    ]
    verified = verify_queue_request(request, compact)
    assert request.calldata(compact) == calldata
    # The wallet asks the module; before the delay it refuses, after it the calls are approved of by nobody else.
    queued = queue({}, verified, now_s=1000)
    execute = bytes.fromhex(answer["execute"]["data"][2:])
    signed = execute_signature(execute)
    operation = Operation(request.payload, user.wallet, CHAIN_ID, no_chain_id=chain_id == 0)
    module = parse_address(answer["queue"]["to"])
    image_hash = (await user.configuration()).image_hash
    ready = KnownContracts(CHAIN_ID, compact={module: Recovery(queued, 1000 + 90 * DAY)})
    assert verify_signature(signed, operation, image_hash, ready)
    early = replace(ready, compact={module: Recovery(queued, 999 + 90 * DAY)})
    with pytest.raises(Exception, match="wallet-recovery-not-ready"):
        verify_signature(signed, operation, image_hash, early)


def execute_signature(data: bytes) -> bytes:
    """The second argument of `execute`."""
    at = 4 + int.from_bytes(data[36:68], "big")
    size = int.from_bytes(data[at : at + 32], "big")
    return data[at + 32 : at + 32 + size]


async def test_recovery_is_told_in_words_with_its_time(user: SmartUser) -> None:
    words = (await user.ask("QueueRecovery", chainId=1, payload=PAYLOAD))["understood"]["words"]
    assert any("90 days after it said in public" in sentence for sentence in words)
    assert words[-1].startswith("Queued now, anyone may have it done from ")


async def test_login_that_is_no_recovery_key_queues_nothing(pki_folder: Any) -> None:
    world = World(pki_folder, scopes=wallet_scopes(recovery=[{"key": "device", "delay_s": DAY}]))
    await world.boot()
    try:
        user = await SmartUser.with_wallet(world)
        error = await refused(user.ask("QueueRecovery", chainId=1, payload=PAYLOAD))
        assert error.cause == "wallet-recovery-signer (InvalidSignature)"
    finally:
        await world.stop()


async def test_queued_calls_keep_to_the_rules_of_all_calls(user: SmartUser, monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[object] = []
    monkeypatch.setattr("enclave.curve.sign", lambda *arguments: signed.append(arguments))
    forbidden = calls(call(delegateCall=True))
    assert (await refused(user.ask("QueueRecovery", chainId=1, payload=forbidden))).cause == "wallet-call-delegate"
    parented = PAYLOAD | {"parentWallets": [user.signer]}
    error = await refused(user.ask("QueueRecovery", chainId=1, payload=parented))
    assert error.cause == "wallet-packed-calls-parents"
    message = {"type": "message", "message": "0x00"}
    assert (await refused(user.ask("QueueRecovery", chainId=1, payload=message))).cause == "wallet-asked-kind"
    assert signed == []


async def test_cancelling_signs_calls_of_nothing_with_the_same_nonce(user: SmartUser) -> None:
    half = await user.ask("CancelRecovery", chainId=CHAIN_ID, space="0", nonceUsed="2")
    guard = [handed_over(GUARD, half["digest"])]
    whole = await user.ask("CancelRecovery", chainId=CHAIN_ID, space="0", nonceUsed="2", signatures=guard)
    operation = Operation(CallsPayload((), 0, 2), user.wallet, CHAIN_ID)
    verify(whole["partial"], operation, await user.configuration())
    assert whole["understood"]["words"][0] == "Do nothing but use up the nonce"


async def test_voided_recovery_cannot_be_executed_under_the_new_configuration(user: SmartUser) -> None:
    voided = await user.update("UpdateConfiguration", change={"type": "void-queued"})
    now_s = user.world.clock.wall_ms() // 1000
    found = [int(leaf["minTimestamp"]) for leaf in voided["recovery"]]
    assert len(found) == 2
    assert all(now_s - 60 <= at <= now_s for at in found)


async def test_recovery_signature_is_of_another_domain_than_that_of_the_calls(user: SmartUser) -> None:
    answer = await user.ask("QueueRecovery", chainId=CHAIN_ID, payload=PAYLOAD)
    payload: Any = parse_payload(PAYLOAD)
    assert answer["digest"] == "0x" + operation_hash(RecoveryPayload(payload), user.wallet, CHAIN_ID).hex()
    assert answer["payloadHash"] == "0x" + operation_hash(payload, user.wallet, CHAIN_ID).hex() != answer["digest"]
    data = bytes.fromhex(answer["signature"][2:])
    own = parse_compact(data[:32] + bytes([data[32] | (data[64] - 27) << 7]) + data[33:64])
    assert own.recover(bytes.fromhex(answer["payloadHash"][2:])) != parse_address(user.signer)
