"""Users who had a wallet of the second generation keep it: found by their login, signed for by enclave and guard."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import coincurve
import pytest

from enclave.errors import BootError
from evm.address import Address, address_from_public_key, checksum, parse_address
from evm.intents.bundle import bundle_of
from evm.intents.names import parse_intent_data
from evm.message import PersonalMessage
from evm.wallet.deploy import parse_erc6492
from evm.wallet.legacy.digests import approval_digest
from evm.wallet.legacy.embedded import adopted_configuration, embedded_configuration, unique_signer
from evm.wallet.legacy.execution import GUEST_MODULE
from evm.wallet.legacy.v2_signature import verify_v2
from protocol.errors import ProtocolError
from protocol.guarding import GUARD_PATH
from protocol.user_list import proof_of, root_of, verify_entry
from tests.appliance import OTHER_SCOPE, config
from tests.evm_intents.samples import TYPED_DATA, R1Key
from tests.guard_wire.guard_world import RefusedByGuard, approval, said
from tests.waas.embedded import CHAIN, Application, embedded, hash_text, scopes
from tests.waas.former import ADA, LISTED, SALT, Former, moved_over, parent_config
from tests.waas.guarded import THIEF, payment
from tests.waas.relays import dynamic_at
from tests.waas.test_waas_guard import sending

ADOPTER = coincurve.PrivateKey(b"\x61" * 32)
ADOPTER_ADDRESS = address_from_public_key(ADOPTER.public_key.format(compressed=False))


@pytest.fixture
async def former(pki_folder: Path) -> AsyncIterator[Former]:
    async with moved_over(pki_folder) as made:
        yield made


async def ada(former: Former) -> Application:
    """Ada's entry is shown, and she logs in."""
    await former.show(LISTED.index(ADA))
    app = Application(former.both.world)
    await app.sign_in_by_mail("ada@example.com")
    return app


def verify(former: Former, wallet: str, digest: bytes, signature: bytes) -> None:
    """As the wallet's contract does it, which asks its parent's."""
    child = former.wallet()

    def ask(signer: Address, asked: bytes, data: bytes) -> bool:
        assert signer == former.address
        verify_v2(data, asked, former.address, CHAIN, former.parent.image_hash)
        return True

    assert parse_address(wallet) == child.address
    first = embedded_configuration(former.address, unique_signer(ADA[1], SALT))
    verify_v2(signature, digest, child.address, CHAIN, first.image_hash, ask)


async def test_user_from_before_has_the_wallet_of_before_and_a_new_one_has_a_new_one(former: Former) -> None:
    app = await ada(former)
    assert parse_address(app.wallet) == former.wallet().address
    former.both.world.clock.advance_s(2)
    new = Application(former.both.world, R1Key())
    await new.sign_in_by_mail("grace@example.com")
    assert parse_address(new.wallet) != former.wallet().address
    await former.both.world.boot()
    former.both.world.clock.advance_s(2)
    await app.sign_in_by_mail("ada@example.com")
    assert parse_address(app.wallet) == former.wallet().address, "after a restart, too"


async def test_who_comes_before_the_list_is_shown_keeps_a_new_wallet(former: Former) -> None:
    app = Application(former.both.world)
    await app.sign_in_by_mail("ada@example.com")
    wallet = app.wallet
    await former.show(LISTED.index(ADA))
    former.both.world.clock.advance_s(2)
    await app.sign_in_by_mail("ada@example.com")
    assert app.wallet == wallet


async def test_bundle_of_the_intent_is_signed_by_both_for_the_parent(former: Former) -> None:
    app = await ada(former)
    data = sending(payment())
    answer = await app.of_wallet("sendTransaction", **data)
    [sent] = former.both.relay.sent
    intent: Any = parse_intent_data("sendTransaction", {"wallet": app.wallet, **data})
    bundle = bundle_of(intent)
    child = former.wallet()
    assert answer["data"]["metaTxHash"] == sent.id.hex() == child.own_digest(CHAIN, bundle.legacy_digest).hex()
    [execute] = sent.execute
    assert (execute.to, sent.create_and_execute.to) == (child.address, GUEST_MODULE)
    verify(former, app.wallet, bundle.legacy_digest, dynamic_at(execute.data[4:], 64))


async def test_messages_and_documents_are_signed_for_verifiers_before_the_wallet_is_deployed(former: Former) -> None:
    app = await ada(former)
    message = await app.of_wallet("signMessage", network=str(CHAIN), message="0x68656c6c6f")
    signature, _ = parse_erc6492(bytes.fromhex(message["data"]["signature"][2:]))
    verify(former, app.wallet, PersonalMessage(b"hello", None).digest, signature)
    document = await app.of_wallet("signTypedData", network=str(CHAIN), typedData=TYPED_DATA)
    assert document["cause"].startswith("guard:deny:"), "by the guard's reading of it"


async def test_guard_refuses_for_old_wallets_what_it_refuses_for_new_ones(former: Former) -> None:
    app = await ada(former)
    theft = await app.of_wallet("sendTransaction", **sending(payment(to=THIEF)))
    assert theft["cause"] == "guard:deny:no-rule"
    assert former.both.relay.sent == []


async def test_weakness_1_session_of_one_user_signs_for_no_other_user_of_the_parent(former: Former) -> None:
    app = await ada(former)
    app.wallet = checksum(former.wallet(LISTED[0][1]).address)
    refused = await app.of_wallet("sendTransaction", **sending(payment()))
    assert refused["cause"] == "intent is invalid: intent-wallet"


async def test_hostile_instrument_moves_no_other_users_wallet_that_the_intent_does_not_name(former: Former) -> None:
    """It has the enclave's key of the parent, which is that of all users; the guard has each user's intent."""
    app = await ada(former)
    await app.of_wallet("sendTransaction", **sending(payment()))
    asked = json.loads(former.both.hosts.carried[-1])
    for changes, cause in (
        ({"user": LISTED[0][1]}, "guard:intent-wallet"),
        ({"userSalt": "0x" + "11" * 32}, "guard:intent-wallet"),
        ({"parent": asked["wallet"]["parent"] | {"threshold": "1"}}, "guard:intent-parent-threshold"),
    ):
        changed = asked | {"wallet": asked["wallet"] | changes}
        with pytest.raises(RefusedByGuard) as caught:
            await former.both.guard.ask(GUARD_PATH.rpartition("/")[2], changed, "GuardIntents")
        assert caught.value.cause == cause
    stranger = asked | {"signature": "0x" + _sign(ADOPTER, b"\x01" * 32).hex()}
    with pytest.raises(RefusedByGuard, match="guard:signature"):
        await former.both.guard.ask(GUARD_PATH.rpartition("/")[2], stranger, "GuardIntents")


@pytest.mark.parametrize(
    ("changes", "cause"),
    [({"threshold": 1}, "intent-parent-threshold"), ({"weights": (2, 1)}, "intent-parent-signers")],
)
async def test_weakness_10_parent_that_one_key_could_move_is_not_used(
    pki_folder: Path, changes: dict[str, Any], cause: str
) -> None:
    async with moved_over(pki_folder, **changes) as former:
        await former.show(LISTED.index(ADA))
        app = Application(former.both.world)
        verifier = f"ada@example.com;{app.key.id}"
        begun = await app.begin("Email", verifier)
        code = hash_text(begun["data"]["challenge"] + former.both.world.mailer.last_code())
        assert (await app.open("Email", verifier, code))["cause"] == cause


async def test_weakness_10_parent_of_other_keys_than_the_enclaves_is_not_used(pki_folder: Path) -> None:
    async with moved_over(pki_folder) as former:
        other = parent_config(former.parent, Address(b"\x13" * 20))
        shown = scopes()[0]["embedded"] | {"parent": other}
        former.both.world.config = config(scopes=scopes(embedded=shown))
        await former.both.world.boot()
        await former.show(LISTED.index(ADA))
        former.both.world.clock.advance_s(2)
        with pytest.raises(KeyError):
            await ada(former)


# --- who they are ---


async def test_entry_that_is_not_in_the_measured_list_is_refused(former: Former) -> None:
    assert await former.show(0) == {}
    assert await former.show(0) == {}, "again"
    thief = ("Email:eve@example.com", ADA[1])
    for index, entry, changes in (
        (0, thief, {}),
        (0, LISTED[1], {}),
        (1, None, {"index": 0}),
        (1, None, {"count": 0}),
        (1, None, {"proof": []}),
        (1, None, {"scope": OTHER_SCOPE}),
        (1, None, {"scope": "@9"}),
    ):
        assert "error" in await former.show(index, entry, **changes), (index, entry, changes)
    for wrong in ({"login": 1}, {"index": True}, {"proof": ["0x12"]}, {"more": 1}, {"proof": ["0x" + "11" * 32] * 41}):
        assert (await former.show(1, None, **wrong))["error"] == "WebrpcBadRequest"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 13])
def test_every_entry_of_a_list_is_in_it_and_at_its_place_alone(count: int) -> None:
    entries = [(f"Email:{number}@example.com", str(number)) for number in range(count)]
    root = root_of(entries)
    for index, entry in enumerate(entries):
        proof = proof_of(entries, index)
        verify_entry(entry, index, count, proof, root)
        wrong: list[Any] = [(("x", "y"), index, count, proof)]
        wrong += [(entry, (index + 1) % count, count, proof)] if count > 1 else [(entry, 1, 1, proof)]
        wrong += [(entry, index, count, [*proof, b"\x11" * 32]), (entry, index, count, proof[:-1])] if proof else []
        for each in wrong:
            with pytest.raises(ProtocolError):
                verify_entry(*each, root)


def test_parent_that_is_none_refuses_the_boot() -> None:
    good: dict[str, Any] = {"guard": "0x" + "11" * 20, "user_salt": "0x" + "11" * 32, "users_root": "0x" + "11" * 32}
    for wrong in ({"configuration": {}}, {"configuration": 5}, {"guard": "0x12"}, {"user_salt": "0x12"}, {}):
        with pytest.raises(BootError):
            config(scopes=scopes(embedded=embedded(parent=good | wrong)))


# --- adoption ---


def _sign(key: coincurve.PrivateKey, digest: bytes) -> bytes:
    made = key.sign_recoverable(digest, hasher=None)
    return made[:64] + bytes([27 + made[64]])


def adoption(app: Application, text: str | None = None, by: coincurve.PrivateKey = ADOPTER) -> dict[str, Any]:
    text = text or f"I act for {app.wallet}"
    signature = "0x" + _sign(by, PersonalMessage(text.encode(), None).digest).hex()
    proof = {"message": text, "signature": signature}
    return {"network": str(CHAIN), "adopter": checksum(ADOPTER_ADDRESS), "adopterProof": proof}


ALLOWED = {"id": "adoptions", "decision": "allow", "effects": ["account-change"], "every_chain": True,
           "by_signature": True, "counterparties": ["any"]}  # fmt: skip


async def test_guard_decides_about_adoptions(former: Former) -> None:
    app = await ada(former)
    assert (await app.of_wallet("adoptChildWallet", **adoption(app)))["cause"] == "guard:deny:no-rule"
    assert (await app.of_wallet("getAdopter"))["data"] == {"adopterAddress": ""}


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "I act for somebody"},
        {"by": coincurve.PrivateKey(b"\x62" * 32)},
    ],
)
async def test_adopter_that_has_not_signed_for_this_wallet_does_not_adopt_it(
    former: Former, wrong: dict[str, Any]
) -> None:
    app = await ada(former)
    refused = await app.of_wallet("adoptChildWallet", **adoption(app, **wrong))
    assert refused["cause"] == "intent is invalid: intent-adopter-proof"


async def test_wallet_of_the_third_generation_is_not_adopted(former: Former) -> None:
    app = Application(former.both.world)
    await app.sign_in_by_mail("grace@example.com")
    refused = await app.of_wallet("adoptChildWallet", **adoption(app))
    assert refused["cause"] == "intent is invalid: intent-adopt-generation"
    assert (await app.of_wallet("getAdopter"))["data"] == {"adopterAddress": ""}


async def test_adopted_wallet_signs_for_chains_that_know_either_configuration(former: Former) -> None:
    app = await ada(former)
    await _allow_adoptions(former)
    answer = await app.of_wallet("adoptChildWallet", **adoption(app))
    assert answer["code"] == "childWalletAdopted"
    assert answer["data"]["adopterAddress"] == checksum(ADOPTER_ADDRESS)
    assert (await app.of_wallet("getAdopter"))["data"] == {"adopterAddress": checksum(ADOPTER_ADDRESS)}
    adopted = adopted_configuration(former.address, ADOPTER_ADDRESS, answer["data"]["checkpoint"])
    approval = bytes.fromhex(answer["data"]["signature"][2:])

    def ask(_: Address, asked: bytes, data: bytes) -> bool:
        verify_v2(data, asked, former.address, 0, former.parent.image_hash)
        return True

    first = embedded_configuration(former.address, unique_signer(ADA[1], SALT))
    digest = approval_digest(adopted.image_hash)
    verify_v2(approval, digest, former.wallet().address, 0, first.image_hash, ask)
    await app.of_wallet("sendTransaction", **sending(payment()))
    [sent] = former.both.relay.sent
    assert len(sent.execute) == 2, "for a chain that knows the newest configuration, and for one that knows the first"
    former.both.world.clock.advance_s(1)
    former.both.guard.clock.advance_s(1)
    assert (await app.of_wallet("adoptChildWallet", **adoption(app)))["cause"] == "the wallet was adopted before"


async def _allow_adoptions(former: Former) -> None:
    """The officers put a rule in force for them."""
    now = json.loads((await former.both.guard.ask("Get", {}, "GuardRules"))["document"])
    now["version"] += 1
    now["rules"] = [*[rule for rule in now["rules"] if rule["id"] != "no-control-change"], ALLOWED]
    document = json.dumps(now).encode()
    statement = said("activate guard rules", document, now["version"])
    approvals = [approval(number, statement) for number in (0, 1)]
    await former.both.guard.ask("Activate", {"document": document.decode(), "approvals": approvals}, "GuardRules")
