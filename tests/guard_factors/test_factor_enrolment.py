"""Who enrols factors, and by which proofs: the published methods as their comments ask for."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.guard.factors import proofs
from evm.address import checksum, parse_address
from evm.wallet.payload import MessagePayload
from tests.enclave_guard.guard_rules import STRANGER
from tests.guard_factors.factor_world import SETTINGS, FactorWorld, Holder, ownership_digest, running, update_message
from tests.guard_wire.guard_world import RefusedByGuard, approval, hash_signature, request_for, said


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[FactorWorld]:
    async with running(pki_folder) as made:
        yield made


async def refused(asking: Any) -> tuple[int, str]:
    with pytest.raises(RefusedByGuard) as caught:
        await asking
    return caught.value.code, caught.value.cause


def test_proofs_have_the_digests_of_the_published_clients() -> None:
    """waas-guard-intents.md A.4."""
    wallet, time_s = parse_address("0xfedcbafedcbafedcbafedcbafedcbafedcbafe00"), 784_111_777
    ownership = "cacbdf8a23ff3171bbf351c13511ddfe9f36a9a5d97dba7564cb88ebca3a6c4c"
    update = "bfd7ec1596c766539a96aea93d0013bf43b78ee8630dbe962c57398c884c9dfe"
    assert proofs.ownership_digest(wallet, time_s).hex() == ownership == ownership_digest(wallet, time_s).hex()
    assert proofs.update_digest(time_s).hex() == update
    assert proofs.update_preimage(time_s) == update_message(time_s)
    assert proofs.is_update(update_message(time_s), time_s + 300)
    assert not proofs.is_update(update_message(time_s), time_s + 301)


async def test_totp_is_enrolled_by_token_and_wallet_and_counts_from_its_first_code_on(world: FactorWorld) -> None:
    user = await Holder.registered(world)
    proof = {"proof": user.ownership()}
    assert await world.ask("AuthMethods", proof) == {"methods": [], "active": False}
    created = await user.update("CreateTOTP")
    assert created["uri"].startswith("otpauth://totp/Wallet%20guard:0x")
    assert await world.ask("AuthMethods", {}, **user.bearer()) == {"methods": [], "active": False}
    await user.enrol_totp()
    assert len(set(user.codes)) == 10
    assert await world.ask("AuthMethods", {}, **user.bearer()) == {"methods": ["TOTP"], "active": True}
    shown = await user.update("RecoveryCodes", user.totp())
    assert shown["codes"] == [{"code": code, "used": False} for code in user.codes]


async def test_a_used_recovery_code_is_shown_as_used_and_new_ones_replace_all(world: FactorWorld) -> None:
    user = await Holder.registered(world)
    await user.enrol_totp()
    await user.pay({"id": "recovery", "token": user.codes[3].lower().replace("-", "")})
    assert (await refused(user.pay({"id": "recovery", "token": user.codes[3]})))[0] == 6600
    shown = await user.update("RecoveryCodes", user.totp())
    assert [code["used"] for code in shown["codes"]] == [index == 3 for index in range(10)]
    await world.pass_time(30)
    renewed = await user.update("ResetRecoveryCodes", user.totp())
    assert not {code["code"] for code in renewed["codes"]} & set(user.codes)
    assert (await refused(user.pay({"id": "recovery", "token": user.codes[4]})))[0] == 6600


async def test_a_pin_is_set_asked_for_and_taken_off(world: FactorWorld) -> None:
    user = await Holder.registered(world)
    assert (await refused(user.update("SetPIN", pin="12345"))) == (2001, "guard:pin")
    assert await user.update("SetPIN", pin="271828") == {}
    assert await world.ask("AuthMethods", {}, **user.bearer()) == {"methods": ["PIN"], "active": True}
    assert await refused(user.pay()) == (6601, "guard:second-factor:enrolled")
    assert await refused(user.pay({"id": "PIN", "token": "271829"})) == (6601, "guard:second-factor:wrong")
    await user.pay({"id": "PIN", "token": "271828"})
    await world.pass_time(1)
    await user.update("ResetPIN", {"id": "PIN", "token": "271828"})
    assert await world.ask("AuthMethods", {}, **user.bearer()) == {"methods": [], "active": False}
    await user.pay(nonce=1)


async def test_a_recovery_code_takes_everything_off_by_token_or_ownership(world: FactorWorld) -> None:
    user = await Holder.registered(world)
    for proof, header in (({"proof": user.ownership()}, {}), ({}, user.bearer())):
        await user.enrol_totp()
        assert await refused(world.ask("Reset2FA", {"code": "AAAAA-AAAAA"}, **user.bearer())) == (
            1000,
            "guard:recovery-code",
        )
        await world.ask("Reset2FA", {"code": user.codes[0]} | proof, **header)
        assert await world.ask("AuthMethods", {}, **user.bearer()) == {"methods": [], "active": False}
        assert await refused(world.ask("Reset2FA", {"code": user.codes[1]}, **user.bearer())) == (
            1000,
            "guard:recovery-code",
        )


async def test_totp_is_reset_with_its_own_code_and_not_without(world: FactorWorld) -> None:
    """The wallet's signature has the guard's in it, for which the guard asks for the factor."""
    user = await Holder.registered(world)
    await user.enrol_totp()
    assert await refused(user.update("ResetTOTP")) == (6600, "guard:second-factor:update")
    assert await refused(user.update("ResetTOTP", {"id": "TOTP", "token": "000000"})) == (
        6600,
        "guard:second-factor:wrong",
    )
    assert await refused(user.update("CreateTOTP", user.totp())) == (1004, "guard:enrolled")
    await world.pass_time(30)
    await user.update("ResetTOTP", user.totp())
    await user.pay()


async def test_the_logins_key_alone_changes_nothing(world: FactorWorld) -> None:
    """An instrument in the wrong hands signs for the wallet, and gets the guard's part; it is not the user."""
    user, thief = await Holder.registered(world), "mallory"
    await user.enrol_totp()
    for method in ("ResetTOTP", "RecoveryCodes", "SetPIN", "CreateTOTP"):
        assert await refused(user.update(method, pin="271828")) == (6600, "guard:second-factor:update")
    proof = await user.signed_update(user.totp())
    stolen = {"authorization": "Bearer " + world.provider.issue_token(thief, "guard-client")}
    assert await refused(world.ask("ResetTOTP", proof, **stolen)) == (1000, "guard:user")
    assert await refused(world.ask("ResetTOTP", proof)) == (1000, "guard:token")
    assert await refused(world.ask("SetPIN", proof | {"pin": "271828"}, **stolen)) == (1000, "guard:user")
    assert await refused(world.ask("Reset2FA", {"code": "AAAAA-AAAAA", "proof": user.ownership()})) == (
        1000,
        "guard:recovery-code",
    )
    assert await refused(user.pay()) == (6600, "guard:second-factor:enrolled")


async def test_a_user_becomes_one_soon_after_the_wallet_is_registered_or_never(world: FactorWorld) -> None:
    early, late = await Holder.registered(world, "ada"), await Holder.registered(world, "grace")
    await early.update("SetPIN", pin="271828")
    await world.pass_time(86_401)
    assert await refused(late.update("CreateTOTP")) == (1001, "guard:enrolment-over")
    await early.update("SetPIN", {"id": "PIN", "token": "271828"}, pin="314159")


async def test_a_user_has_one_wallet(world: FactorWorld) -> None:
    first, second = await Holder.registered(world), await Holder.registered(world)
    await first.update("SetPIN", pin="271828")
    assert await refused(second.update("SetPIN", pin="271828")) == (1004, "guard:user")


@pytest.mark.parametrize("off_s", [-301, 301])
async def test_a_proof_of_another_time_counts_for_nothing(world: FactorWorld, off_s: int) -> None:
    user = await Holder.registered(world)
    await world.pass_time(600)
    proof = user.ownership(world.clock.wall_ms() + off_s * 1000)
    assert await refused(world.ask("AuthMethods", {"proof": proof})) == (1000, "guard:proof-time")
    inside = user.ownership(world.clock.wall_ms() + (off_s - off_s // 100) * 1000)
    await world.ask("AuthMethods", {"proof": inside})


async def test_a_proof_counts_once(world: FactorWorld) -> None:
    user = await Holder.registered(world)
    ownership, update = user.ownership(), await user.signed_update()
    await world.ask("AuthMethods", {"proof": ownership})
    assert await refused(world.ask("AuthMethods", {"proof": ownership})) == (1000, "guard:proof-used")
    await world.ask("SetPIN", update | {"pin": "271828"}, **user.bearer())
    for method in ("SetPIN", "ResetPIN"):
        assert await refused(world.ask(method, update | {"pin": "314159"}, **user.bearer())) == (
            1000,
            "guard:proof-used",
        )


async def test_a_proof_from_before_a_restart_counts_for_nothing(world: FactorWorld) -> None:
    """A host that restarts the guard over an older store could otherwise have it taken twice."""
    user = await Holder.registered(world)
    before = world.store.snapshot()
    ownership, update, token = user.ownership(), await user.signed_update(), user.token(iat=world.now_s() - 1)
    await world.ask("SetPIN", update | {"pin": "271828"}, **user.bearer(token))
    await world.pass_time(1)
    world.store.rows = before
    await world.boot()
    assert await refused(world.ask("AuthMethods", {"proof": ownership})) == (1000, "guard:proof-time")
    assert await refused(world.ask("SetPIN", update | {"pin": "1" * 6}, **user.bearer())) == (1000, "guard:proof-time")
    assert await refused(world.ask("AuthMethods", {}, **user.bearer(token))) == (1000, "guard:token")


async def test_only_signers_of_the_wallet_prove_that_it_is_theirs(world: FactorWorld) -> None:
    user, other = await Holder.registered(world), await Holder.registered(world, "grace")
    assert await refused(world.ask("AuthMethods", {"proof": user.ownership(by=other.owner)})) == (1000, "guard:proof")
    lent = user.ownership() | {"wallet": other.ownership()["wallet"]}
    assert await refused(world.ask("AuthMethods", {"proof": lent})) == (1000, "guard:proof")
    said = user.ownership() | {"signature": "0x" + "00" * 65}
    assert await refused(world.ask("AuthMethods", {"proof": said})) == (1000, "guard:proof")


async def test_a_wallets_signature_needs_the_weight_of_its_configuration(world: FactorWorld) -> None:
    """The login's part alone is none, nor is a whole one of another wallet or of another time."""
    user, other = await Holder.registered(world), await Holder.registered(world, "grace")
    proof = await user.signed_update()
    later = proof | {"timestamp": proof["timestamp"] + 1000}
    assert await refused(world.ask("SetPIN", later | {"pin": "271828"}, **user.bearer())) == (1000, "guard:proof")
    lent = proof | {"wallet": checksum(other.wallet), "pin": "271828"}
    assert await refused(world.ask("SetPIN", lent, **user.bearer())) == (1000, "guard:proof")
    half = await user.signed_update(guarded=False)
    assert await refused(world.ask("SetPIN", half | {"pin": "271828"}, **user.bearer())) == (1000, "guard:proof")


@pytest.mark.parametrize(
    "claims",
    [{"aud": "audience"}, {"iss": "https://other.example.test"}, {"exp": 1}, {"iat": 1}, {"sub": ""}, {"aud": None}],
)
async def test_a_token_that_is_not_for_this_guard_says_nothing(world: FactorWorld, claims: dict[str, Any]) -> None:
    user = await Holder.registered(world)
    await user.update("SetPIN", pin="271828")
    token = user.token(**claims)
    assert await refused(world.ask("AuthMethods", {}, **user.bearer(token))) == (1000, "guard:token")


@pytest.mark.parametrize("header", ["", "Basic x", "Bearer ", "Bearer a.b.c", "BEARER"])
async def test_a_header_without_a_token_says_nothing(world: FactorWorld, header: str) -> None:
    assert await refused(world.ask("AuthMethods", {}, authorization=header)) == (1000, "guard:token")


async def test_in_the_clear_nothing_is_taken_unless_the_configuration_says_so(pki_folder: Path) -> None:
    async with running(pki_folder, second_factors=SETTINGS | {"plain": False}) as world:
        user = await Holder.registered(world)
        for method in ("AuthMethods", "SetPIN", "CommitTOTP", "Reset2FA"):
            assert await refused(world.ask(method, {}, **user.bearer())) == (1001, "guard:unsealed")
        assert await refused(user.pay({"id": "TOTP", "token": "123456"})) == (1001, "guard:unsealed")
        await user.pay()


async def test_a_guard_without_providers_keeps_no_factors(pki_folder: Path) -> None:
    async with running(pki_folder, second_factors=None) as world:
        assert await world.ask("AuthMethods", {}) == {"methods": [], "active": False}
        for method in ("SetPIN", "ResetPIN", "CreateTOTP", "CommitTOTP", "ResetTOTP", "Reset2FA", "RecoveryCodes"):
            assert await refused(world.ask(method, {})) == (1003, "guard:not-offered")


async def test_only_an_update_of_the_wallets_own_on_its_chain_needs_no_rule(world: FactorWorld) -> None:
    user = await Holder.registered(world)
    update = MessagePayload(update_message(world.now_s()))
    named = MessagePayload(update.message, (STRANGER,))
    for payload, chain_id, refusal in ((update, 1, None), (update, 137, 1001), (named, 1, 1001)):
        request = request_for(payload, chain_id=chain_id, wallet=user.wallet)
        request["signatures"] = [hash_signature(bytes.fromhex(request["msg"][2:]), user.owner)]
        if refusal is None:
            await world.sign(request)
        else:
            assert (await refused(world.sign(request)))[0] == refusal


async def test_a_frozen_guard_signs_no_update(world: FactorWorld) -> None:
    user = await Holder.registered(world)
    document = (await world.ask("Get", {}, "GuardRules"))["document"].encode()
    await world.ask("Freeze", {"approval": approval(0, said("freeze guard", document, 1))}, "GuardRules")
    assert await refused(user.signed_update()) == (2002, "guard:frozen")


async def test_patch_is_nobodys(world: FactorWorld) -> None:
    assert await refused(world.ask("Patch", {"signer": "0x", "chainId": 1, "secret": "x"})) == (
        1003,
        "guard:not-offered",
    )
