"""Holders that fail and holders that lie (KM-02, KM-15)."""

import base64
from typing import Any

import pytest

from simulator.kms.faults import Fault
from tests.simulator_kms.kms_world import (
    CONTEXT,
    HOLDERS,
    PCRS,
    World,
    decrypt,
    opened,
)

REGION, OTHER_REGION, _ = HOLDERS


async def test_lies_are_told_and_stop_when_healed(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    truth, call = opened(made), decrypt(made, Recipient=world.recipient())

    async def lie(fault: Fault | None) -> dict[str, Any]:
        world.service.set_fault(world.keys[REGION], fault)
        status, body = await world.call(REGION, "Decrypt", call)
        assert status == 200
        return body

    body = await lie(Fault.WRONG_KEY_BYTES)
    assert len(opened(body)) == 32
    assert opened(body) != truth
    body = await lie(Fault.WRONG_KEY_ID)
    assert opened(body) == truth
    assert body["KeyId"] != world.keys[REGION]
    body = await lie(Fault.PLAINTEXT)
    assert "CiphertextForRecipient" not in body
    assert base64.b64decode(body["Plaintext"]) == truth
    body = await lie(Fault.PLAINTEXT_BESIDE)
    assert opened(body) == base64.b64decode(body["Plaintext"]) == truth
    body = await lie(Fault.FOREIGN_ENVELOPE)
    with pytest.raises(ValueError):
        opened(body)
    body = await lie(Fault.GARBAGE_ENVELOPE)
    with pytest.raises(ValueError):
        opened(body)
    assert opened(await lie(None)) == truth


async def test_liar_still_refuses_the_wrong_image(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    world.service.set_fault(REGION, Fault.PLAINTEXT)
    call = decrypt(made, Recipient=world.recipient(world.document(world.nsm(PCRS | {0: b"\xee" * 48}))))
    assert await world.refused(REGION, "Decrypt", call) == "AccessDeniedException"


async def test_failing_holder_leaves_the_others_alone(world: World) -> None:
    request = world.signed(REGION, "DescribeKey", {"KeyId": world.keys[REGION]}, world.holder[REGION])
    for fault, status in ((Fault.UNAVAILABLE, 503), (Fault.THROTTLED, 400), (Fault.SLOW, 200)):
        world.service.set_fault(world.keys[REGION], fault)
        answer = await world.service.answer(request)
        assert answer is not None
        assert answer.status == status
    world.service.set_fault(world.keys[REGION], Fault.DOWN)
    assert await world.service.answer(request) is None
    assert world.service.is_down(f"kms.{REGION}.amazonaws.com")
    assert not world.service.is_down(f"kms.{OTHER_REGION}.amazonaws.com")
    await world.data_key(OTHER_REGION, CONTEXT)
