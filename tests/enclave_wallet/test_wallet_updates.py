"""From one configuration to the next: in two steps, never to a wallet that nobody or anybody could use."""

from typing import Any

import coincurve
import pytest

from evm.address import checksum
from evm.wallet.configuration_json import parse_configuration
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import ConfigUpdatePayload
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import key_signature
from evm.wallet.signature.merging import assemble
from tests.appliance import World, config

from .wallet_support import (
    CHAIN_ID,
    DAY,
    DEVICE,
    GUARD,
    STRANGER,
    TOKEN,
    SmartUser,
    address_of,
    call,
    calls,
    handed_over,
    permissions,
    refused,
    sign,
    template,
    transfer,
    verify,
    wallet_scopes,
)

NEW_DEVICE = checksum(address_of(STRANGER))
OLD_DEVICE = checksum(address_of(DEVICE))
ADD = {"type": "add-device", "address": NEW_DEVICE}
PASSKEY = {"requireUserVerification": True, "x": "0x" + "01" * 32, "y": "0x" + "02" * 32}


def deadline(user: SmartUser) -> int:
    return user.world.clock.wall_ms() // 1000 + DAY


async def test_first_step_says_what_would_be_and_signs_nothing(user: SmartUser) -> None:
    described = await user.ask("UpdateConfiguration", change=ADD)
    assert described["signed"] is False
    assert "update" not in described
    assert f"Signers: Added: weight 1: {NEW_DEVICE} a device" in "\n".join(described["words"]).replace('"', "")
    found = await user.ask("Configuration")
    assert (found["imageHash"], found["pending"]) == (user.created["imageHash"], [])


async def test_second_step_signs_exactly_what_was_described(user: SmartUser) -> None:
    described = await user.ask("UpdateConfiguration", change=ADD)
    signed = await user.ask("UpdateConfiguration", change=ADD, imageHash=described["imageHash"])
    update = ConfigUpdatePayload(bytes.fromhex(described["imageHash"][2:]))
    operation = Operation(update, user.wallet, 0, no_chain_id=True)
    assert signed["update"]["digest"] == "0x" + operation.digest.hex()
    whole = await user.with_guard(signed["update"])
    verify(whole, Operation(update, user.wallet, 5), await user.configuration())
    pending = (await user.ask("Configuration"))["pending"]
    assert [entry["imageHash"] for entry in pending] == [described["imageHash"]]


async def replayed(user: SmartUser, method: str, **members: Any) -> None:
    """The same bytes are taken once."""
    path = f"/rpc/Wallet/{method}"
    envelope = user.client.envelope(user.client.own_params(path, session=user.session, **members))
    await user.client.send(path, envelope)
    assert (await refused(user.client.send(path, envelope))).code == 7206


async def test_no_step_is_taken_twice_by_the_same_request(user: SmartUser) -> None:
    await replayed(user, "UpdateConfiguration", change=ADD)
    described = await user.ask("UpdateConfiguration", change=ADD)
    signed = await user.ask("UpdateConfiguration", change=ADD, imageHash=described["imageHash"])
    whole = await user.with_guard(signed["update"])
    await replayed(user, "ConfirmUpdate", imageHash=described["imageHash"], signature=whole)
    await replayed(user, "Configuration")


async def test_spent_nonce_confirms_nothing(user: SmartUser) -> None:
    described = await user.ask("UpdateConfiguration", change=ADD)
    signed = await user.ask("UpdateConfiguration", change=ADD, imageHash=described["imageHash"])
    whole = await user.with_guard(signed["update"])
    params = {"imageHash": described["imageHash"], "signature": whole, "nonce": "0x1"}
    assert (await refused(user.ask("ConfirmUpdate", **params))).code == 7206
    assert (await user.ask("Configuration"))["imageHash"] == user.created["imageHash"]


async def test_what_happens_to_recovery_is_said(user: SmartUser) -> None:
    added = (await user.ask("UpdateConfiguration", change=ADD))["words"]
    assert any(line.startswith(f"Recovery: From now on: The key {NEW_DEVICE} alone") for line in added)
    change = {"type": "rotate-device", "from": OLD_DEVICE, "to": NEW_DEVICE}
    rotated = (await user.ask("UpdateConfiguration", change=change))["words"]
    assert any(line.startswith(f"Recovery: No longer: The key {OLD_DEVICE} alone") for line in rotated)
    assert any(f"No longer: The key {OLD_DEVICE} may attest" in line for line in rotated)


@pytest.mark.parametrize("other", ["0x" + "11" * 32, None])
async def test_another_image_hash_than_the_one_described_is_not_signed(user: SmartUser, other: str | None) -> None:
    described = await user.ask("UpdateConfiguration", change=ADD)
    wrong = other or user.created["imageHash"]
    error = await refused(user.ask("UpdateConfiguration", change=ADD, imageHash=wrong))
    assert (error.code, error.cause) == (7206, "imageHash is not what the change leads to")
    changed = {"type": "add-device", "address": checksum(TOKEN)}
    error = await refused(user.ask("UpdateConfiguration", change=changed, imageHash=described["imageHash"]))
    assert error.code == 7206
    assert (await user.ask("Configuration"))["pending"] == []


async def test_confirmed_update_is_the_configuration_from_then_on(user: SmartUser) -> None:
    confirmed = await user.update("UpdateConfiguration", change=ADD)
    found = await user.ask("Configuration")
    assert found["imageHash"] == confirmed["imageHash"] != user.created["imageHash"]
    assert found["address"] == user.created["address"]
    assert (found["checkpoint"], found["pending"]) == ("1", [])
    assert len(found["updates"]) == 1


async def test_update_that_the_guard_did_not_sign_is_not_taken_up(user: SmartUser) -> None:
    described = await user.ask("UpdateConfiguration", change=ADD)
    signed = await user.ask("UpdateConfiguration", change=ADD, imageHash=described["imageHash"])
    alone = user.ask("ConfirmUpdate", imageHash=described["imageHash"], signature=signed["update"]["partial"])
    assert (await refused(alone)).cause == "wallet-signature-weight-low (InvalidSignatureWeight)"
    whole = await user.with_guard(signed["update"])
    foreign = user.ask("ConfirmUpdate", imageHash="0x" + "11" * 32, signature=whole)
    assert (await refused(foreign)).code == 7206
    garbage = user.ask("ConfirmUpdate", imageHash=described["imageHash"], signature="0x80")
    assert (await refused(garbage)).cause == "wallet-update-signature"
    assert await user.ask("ConfirmUpdate", imageHash=described["imageHash"], signature=whole)
    again = user.ask("ConfirmUpdate", imageHash=described["imageHash"], signature=whole)
    assert (await refused(again)).code == 7206


async def test_update_that_is_signed_for_one_chain_is_not_taken_up(user: SmartUser) -> None:
    described = await user.ask("UpdateConfiguration", change=ADD)
    await user.ask("UpdateConfiguration", change=ADD, imageHash=described["imageHash"])
    update = ConfigUpdatePayload(bytes.fromhex(described["imageHash"][2:]))
    operation = Operation(update, user.wallet, CHAIN_ID)
    leaves = [key_signature(address_of(key), sign(key, operation.digest)) for key in (GUARD, DEVICE)]
    whole = encode_signature(assemble(await user.configuration(), operation, leaves))
    verify("0x" + whole.hex(), operation, await user.configuration())
    confirming = user.ask("ConfirmUpdate", imageHash=described["imageHash"], signature="0x" + whole.hex())
    assert (await refused(confirming)).cause == "wallet-chain-id"


async def test_checkpoint_rises_even_over_updates_that_came_to_nothing(user: SmartUser) -> None:
    for expected in ("1", "2", "3"):
        described = await user.ask("UpdateConfiguration", change=ADD)
        assert described["checkpoint"] == expected
        await user.ask("UpdateConfiguration", change=ADD, imageHash=described["imageHash"])


async def test_newest_configuration_signs_for_a_chain_that_knows_the_first(user: SmartUser) -> None:
    first = await user.configuration()
    await user.update("UpdateConfiguration", change=ADD)
    await user.update("UpdateConfiguration", change={"type": "remove-device", "address": OLD_DEVICE})
    payload = calls(call(data=transfer(TOKEN, 1)))
    digest = user.operation(payload).digest
    answer = await user.sign_payload(payload, signatures=[handed_over(GUARD, digest)])
    assert answer["chained"]["from"] == user.created["imageHash"]
    verify(answer["chained"]["signature"], user.operation(payload), first)
    message = {"text": "hello"}
    half = await user.ask("SignPayload", chainId=CHAIN_ID, message=message)
    whole = await user.ask(
        "SignPayload", chainId=CHAIN_ID, message=message, signatures=[handed_over(GUARD, half["digest"])]
    )
    assert whole["erc6492"].endswith("6492" * 16)


async def test_removed_device_loses_all_that_it_could_do(user: SmartUser) -> None:
    removed = {"type": "remove-device", "address": OLD_DEVICE}
    await user.update("UpdateConfiguration", change=removed)
    found = await user.ask("Configuration")
    assert OLD_DEVICE.lower() not in str(found["configuration"]).lower()
    assert OLD_DEVICE.lower() not in str(found["sessions"]).lower()
    assert OLD_DEVICE.lower() not in str(found["recovery"]).lower()
    assert (await refused(user.ask("UpdateConfiguration", change=removed))).cause == "wallet-change-signer-unknown"


async def test_rotated_device_takes_the_place_of_the_old_one(user: SmartUser) -> None:
    change = {"type": "rotate-device", "from": OLD_DEVICE, "to": NEW_DEVICE}
    confirmed = await user.update("UpdateConfiguration", change=change)
    recovery = confirmed["recovery"]
    assert recovery[0] == {
        "type": "leaf",
        "signer": NEW_DEVICE,
        "requiredDeltaTime": str(30 * DAY),
        "minTimestamp": "0",
    }
    assert OLD_DEVICE.lower() not in str(confirmed["service"]).lower()


async def test_passkey_is_added_and_removed(user: SmartUser) -> None:
    added = await user.update("UpdateConfiguration", change={"type": "add-passkey", "passkey": PASSKEY})
    leaf = next(leaf for leaf in leaves_of(added["configuration"]["topology"]) if "5204" in str(leaf))
    await user.update("UpdateConfiguration", change={"type": "remove-passkey", "root": leaf["imageHash"]})
    gone = {"type": "remove-passkey", "root": leaf["imageHash"]}
    assert (await refused(user.ask("UpdateConfiguration", change=gone))).cause == "wallet-change-signer-unknown"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"type": "set-recovery", "keys": []}, "wallet-plan-unrecoverable"),
        ({"type": "set-recovery", "keys": [{"address": NEW_DEVICE, "delay": "0"}]}, "wallet-plan-recovery-delay"),
        (
            {"type": "set-recovery", "keys": [{"address": NEW_DEVICE, "delay": "2592000"}] * 2},
            "wallet-plan-recovery-twice",
        ),
        (
            {"type": "set-recovery", "keys": [{"address": NEW_DEVICE, "delay": str(2**24)}]},
            "wallet-change",
        ),
        ({"type": "add-device", "address": OLD_DEVICE}, "wallet-change-signer-twice"),
        ({"type": "add-device", "address": checksum(address_of(GUARD))}, "wallet-plan-signer-twice"),
        ({"type": "rotate-device", "from": OLD_DEVICE, "to": checksum(address_of(GUARD))}, "wallet-plan-signer-twice"),
        ({"type": "remove-device", "address": NEW_DEVICE}, "wallet-change-signer-unknown"),
        ({"type": "adopt-guard"}, "wallet-plan-unchanged"),
        ({"type": "set-threshold", "threshold": 0}, "wallet-change-type"),
        ({"type": "add-device"}, "wallet-change"),
        (None, "wallet-change-type"),
    ],
)
async def test_step_to_a_wallet_that_nobody_or_anybody_could_use_is_refused(
    user: SmartUser, change: object, cause: str
) -> None:
    assert (await refused(user.ask("UpdateConfiguration", change=change))).cause == cause


async def test_login_cannot_leave_its_own_wallet(user: SmartUser) -> None:
    for change in (
        {"type": "remove-device", "address": user.signer},
        {"type": "rotate-device", "from": user.signer, "to": NEW_DEVICE},
    ):
        assert (await refused(user.ask("UpdateConfiguration", change=change))).cause == "wallet-plan-identity"


async def test_last_recovery_key_cannot_leave(pki_folder: Any) -> None:
    world = World(pki_folder, scopes=wallet_scopes(recovery=[{"key": "device", "delay_s": DAY}]))
    await world.boot()
    try:
        user = await SmartUser.with_wallet(world)
        change = {"type": "remove-device", "address": OLD_DEVICE}
        assert (await refused(user.ask("UpdateConfiguration", change=change))).cause == "wallet-plan-unrecoverable"
    finally:
        await world.stop()


async def test_wallet_follows_the_guard_of_a_new_image(pki_folder: Any) -> None:
    world = World(pki_folder, scopes=wallet_scopes())
    await world.boot()
    user = await SmartUser.with_wallet(world)
    other = coincurve.PrivateKey(b"\x55" * 32)
    keys = template()["guard"] | {"wallet": checksum(address_of(other))}
    scopes = wallet_scopes(guard=keys)
    world.config = config(scopes=scopes)
    await world.boot()
    try:
        later = await SmartUser.logged_in(world)
        later.created = user.created
        confirmed = await later.update("UpdateConfiguration", change={"type": "adopt-guard"})
        assert checksum(address_of(other)) in str(confirmed["configuration"])
        assert checksum(address_of(GUARD)) not in str(confirmed["configuration"])
    finally:
        await world.stop()


async def test_update_by_a_wallet_changed_meanwhile_is_refused(user: SmartUser) -> None:
    described = await user.ask("UpdateConfiguration", change=ADD)
    await user.ask("UpdateConfiguration", change=ADD, imageHash=described["imageHash"])
    again = user.ask("UpdateConfiguration", change=ADD, imageHash=described["imageHash"])
    assert (await refused(again)).code == 7206


async def test_update_is_in_the_record_before_it_is_signed(user: SmartUser, monkeypatch: pytest.MonkeyPatch) -> None:
    described = await user.ask("UpdateConfiguration", change=ADD)

    def fails(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("enclave.curve.sign", fails)
        error = await refused(user.ask("UpdateConfiguration", change=ADD, imageHash=described["imageHash"]))
        assert error.code == 7100
    found = await user.ask("Configuration")
    assert [entry["imageHash"] for entry in found["pending"]] == [described["imageHash"]]
    assert (await user.ask("UpdateConfiguration", change=ADD))["checkpoint"] == "2"


async def test_update_that_cannot_be_written_is_not_signed(user: SmartUser, monkeypatch: pytest.MonkeyPatch) -> None:
    described = await user.ask("UpdateConfiguration", change=ADD)
    signed: list[object] = []
    monkeypatch.setattr("enclave.curve.sign", lambda *a: signed.append(a))
    original = user.world.store.put

    async def put(writes: Any) -> None:
        if writes[0].key.table == "wallet":
            user.world.store.down = True
        await original(writes)

    monkeypatch.setattr(user.world.store, "put", put)
    error = await refused(user.ask("UpdateConfiguration", change=ADD, imageHash=described["imageHash"]))
    assert (error.code, signed) == (7102, [])


async def test_rolled_back_wallet_is_refused_as_stale(user: SmartUser) -> None:
    old = user.world.store.snapshot()
    await user.update("UpdateConfiguration", change=ADD)
    keys = [key for key in user.world.store.rows if key[0] == "wallet"]
    for key in keys:
        user.world.store.rows[key] = old[key]
    assert (await refused(user.ask("Configuration"))).code == 7307


# --- sessions ---


async def test_explicit_session_is_shown_in_words_with_the_most_it_can_move(user: SmartUser) -> None:
    session = permissions(address_of(STRANGER), deadline=deadline(user))
    described = await user.ask("ApproveSession", permissions=session)
    assert described["signed"] is False
    assert described["worstCase"] == {
        "native": "0",
        "tokens": [{"token": checksum(TOKEN), "most": "500"}],
        "onEachChain": False,
    }
    assert any("at most 500 base units in all" in sentence for sentence in described["session"])
    assert any(line.startswith("From now on: ") for line in described["words"])


async def test_approved_session_is_in_the_tree_and_revoked_out_of_it(user: SmartUser) -> None:
    session = permissions(address_of(STRANGER), deadline=deadline(user))
    approved = await user.update("ApproveSession", permissions=session)
    assert session in flattened(approved["sessions"])
    revoked = await user.update("RevokeSession", signer=NEW_DEVICE)
    assert session not in flattened(revoked["sessions"])
    assert parse_configuration(revoked["configuration"]).checkpoint == 2


async def test_session_is_not_signed_for_other_rules_than_the_ones_described(user: SmartUser) -> None:
    session = permissions(address_of(STRANGER), deadline=deadline(user))
    described = await user.ask("ApproveSession", permissions=session)
    wider = session | {"valueLimit": "1"}
    error = await refused(user.ask("ApproveSession", permissions=wider, imageHash=described["imageHash"]))
    assert error.code == 7206


async def test_session_that_the_contract_would_never_serve_or_that_never_ends_is_refused(user: SmartUser) -> None:
    good = permissions(address_of(STRANGER), deadline=deadline(user))
    module = "0x00000000000030Bcc832F7d657f50D6Be35C92b3"
    refusals = (
        (good | {"deadline": "0"}, "wallet-session-expired (SessionExpired)"),
        (good | {"deadline": "1"}, "wallet-session-expired (SessionExpired)"),
        (good | {"permissions": []}, "wallet-session-permission-missing (MissingPermission)"),
        (
            good | {"permissions": [{"target": module, "rules": []}]},
            "wallet-session-module-call (InvalidLimitUsageIncrement)",
        ),
        (good | {"permissions": [{"target": checksum(user.wallet), "rules": []}]}, SELF_CALL),
        (good | {"signer": OLD_DEVICE}, "wallet-session-signer"),
        (good | {"surplus": 1}, "wallet-permission"),
    )
    for session, cause in refusals:
        assert (await refused(user.ask("ApproveSession", permissions=session))).cause == cause


SELF_CALL = "wallet-session-self-call (InvalidSelfCall)"


async def test_revoked_implicit_session_is_barred_and_not_attested_again(user: SmartUser) -> None:
    await user.ask("IssueAttestation", approvedSigner=NEW_DEVICE)
    revoked = await user.update("RevokeSession", signer=NEW_DEVICE)
    assert {"type": "implicit-blacklist", "blacklist": [NEW_DEVICE]} in flattened(revoked["sessions"])
    again = user.ask("IssueAttestation", approvedSigner=NEW_DEVICE)
    assert (await refused(again)).cause == "wallet-session-signer-blacklisted (BlacklistedAddress)"
    twice = user.ask("RevokeSession", signer=NEW_DEVICE)
    assert (await refused(twice)).cause == "wallet-session-signer-blacklisted (BlacklistedAddress)"


async def test_many_sessions_end_at_the_size_of_the_tree(user: SmartUser) -> None:
    causes = set()
    for number in range(40):
        key = coincurve.PrivateKey(bytes([number + 1]) * 32)
        session = permissions(address_of(key), deadline=deadline(user))
        session["permissions"] = session["permissions"] * 10
        described = user.ask("ApproveSession", permissions=session)
        try:
            found = await described
        except Exception as error:  # noqa: BLE001  told apart below
            causes.add(getattr(error, "cause", ""))
            break
        signed = await user.ask("ApproveSession", permissions=session, imageHash=found["imageHash"])
        whole = await user.with_guard(signed["update"])
        await user.ask("ConfirmUpdate", imageHash=found["imageHash"], signature=whole)
    assert causes == {"wallet-plan-sessions-bytes"}
    assert await user.ask("Configuration")


def leaves_of(topology: Any) -> list[Any]:
    match topology:
        case [left, right]:
            return leaves_of(left) + leaves_of(right)
        case {"type": "nested", "tree": tree}:
            return leaves_of(tree)
    return [topology]


def flattened(tree: Any) -> list[Any]:
    return [leaf for part in tree for leaf in flattened(part)] if isinstance(tree, list) else [tree]
