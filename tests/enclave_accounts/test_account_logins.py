"""Linking and unlinking: several identities, one wallet, and no way in that its owner has closed."""

from types import SimpleNamespace
from typing import Any

import pytest

from enclave.errors import Refusal
from protocol import errors, limits
from tests.appliance import OTHER_SCOPE, SCOPE, Client, World, commit_params, complete_params, otp_answer
from tests.enclave_accounts.people import ADA, EVE, FRESH_S, WORK, Person, accounts_of, code_of, refused


async def linked(world: World) -> tuple[Person, Person, str]:
    """Ada's phone, her laptop that logged in by her other address, and her wallet."""
    phone, laptop = Person(world), Person(world)
    signer = await phone.log_in(ADA)
    await phone.link(WORK)
    assert await laptop.log_in(WORK) == signer
    return phone, laptop, signer


async def test_a_linked_login_leads_to_the_same_wallet(world: World) -> None:
    phone, laptop, signer = await linked(world)
    await laptop.sign(signer)
    await phone.sign(signer)
    shown = await laptop.account("Get")
    assert [(login["login"], login["current"]) for login in shown["logins"]] == [
        (f"Email:{ADA}", False),
        (f"Email:{WORK}", True),
    ]
    assert (shown["signer"], shown["state"]) == (signer, "active")
    assert len(shown["devices"]) == 2


async def test_a_session_attests_the_identity_that_logged_in_and_no_other(world: World) -> None:
    phone, laptop, _ = await linked(world)
    assert (await phone.client.session())["identity"] == f"Email:{ADA}"
    assert (await laptop.client.session())["identity"] == f"Email:{WORK}"


async def test_a_linked_login_outlives_a_restart(world: World) -> None:
    _, _, signer = await linked(world)
    await world.boot()
    again = Person(world)
    assert await again.log_in(WORK) == signer
    await again.sign()


async def test_a_session_of_another_scope_opens_nothing(world: World) -> None:
    """Its subject is salted for the scope already; the scope is compared all the same."""
    phone = Person(world)
    account = await accounts_of(world).find_by_address(SCOPE, await phone.log_in(ADA))
    subject = account.subject(account.founder)
    for scope, opens in ((SCOPE, True), (OTHER_SCOPE, False)):
        session = SimpleNamespace(scope=scope, identity_hash=subject)
        opening = accounts_of(world).open_wallet(session, account)
        if opens:
            (await opening).wipe()
            continue
        with pytest.raises(Refusal) as caught:
            await opening
        assert caught.value.error is errors.SESSION_MISMATCH


async def test_an_account_in_another_place_is_refused(world: World) -> None:
    accounts = accounts_of(world)
    account = await accounts.find_by_address(SCOPE, await Person(world).log_in(ADA))
    elsewhere = accounts._key(SCOPE, "0x" + "11" * 20)
    await accounts._records.save(accounts._records.change(elsewhere, 0, account.body()))
    with pytest.raises(Refusal) as caught:
        await accounts.load(elsewhere)
    assert caught.value.error is errors.DATA_INTEGRITY_ERROR


async def test_linking_twice_changes_nothing(world: World) -> None:
    phone, _, _ = await linked(world)
    assert len((await phone.link(WORK))["logins"]) == 2


async def test_an_account_takes_so_many_logins_and_no_more(world: World) -> None:
    phone = Person(world)
    await phone.log_in(ADA)
    for number in range(limits.MAX_LOGINS_PER_ACCOUNT - 1):
        shown = await phone.link(f"ada+{number}@example.com")
    assert len(shown["logins"]) == limits.MAX_LOGINS_PER_ACCOUNT
    assert await code_of(phone.link("one-more@example.com")) == 7205


# --- both identities are proven, by one key, now ---


async def test_linking_needs_a_recent_login(world: World) -> None:
    phone = Person(world)
    await phone.log_in(ADA)
    await world.pass_time(FRESH_S + 1)
    assert await code_of(phone.link(WORK)) == 7334
    await phone.log_in(ADA)
    assert len((await phone.link(WORK))["logins"]) == 2


async def test_linking_needs_the_right_answer_and_counts_tries(world: World) -> None:
    phone = Person(world)
    await phone.log_in(ADA)
    proof = await phone.start_link(WORK)
    wrong = proof | {"answer": otp_answer("0x00", "000000")}
    codes = [await code_of(phone.account("Link", **wrong)) for _ in range(3)]
    assert codes == [7003, 7003, 7005]
    assert await code_of(phone.account("Link", **proof)) == 7005
    assert len((await phone.account("Get"))["logins"]) == 1


async def test_a_code_that_another_key_asked_for_links_nothing(world: World) -> None:
    """A thief of Eve's session cannot use the code that Ada's device asked for."""
    ada, eve = Person(world), Person(world)
    await ada.log_in(ADA)
    await eve.log_in(EVE)
    proof = await ada.start_link(WORK)
    assert await refused(eve.account("Link", **proof)) == (7200, "commitment not found")


async def test_an_answer_links_once(world: World) -> None:
    phone = Person(world)
    await phone.log_in(ADA)
    proof = await phone.start_link(WORK)
    await phone.account("Link", **proof)
    assert await refused(phone.account("Link", **proof)) == (7200, "commitment not found")


async def test_a_login_with_a_wallet_of_its_own_is_not_taken_over(world: World) -> None:
    ada, eve = Person(world), Person(world)
    mine, theirs = await ada.log_in(ADA), await eve.log_in(EVE)
    assert await code_of(ada.link(EVE)) == 7332
    assert (await Person(world).log_in(ADA), await Person(world).log_in(EVE)) == (mine, theirs)


async def test_linking_needs_a_session(world: World) -> None:
    stranger = Person(world)
    assert await code_of(stranger.link(WORK)) == 7202
    phone = Person(world)
    await phone.log_in(ADA)
    listed = await phone.client.own("/rpc/Session/List")
    await phone.client.own("/rpc/Session/Revoke", session=listed["devices"][0]["sessions"][0]["session"])
    assert await code_of(phone.account("Get")) == 7303


# --- unlinking ---


async def test_an_unlinked_login_gets_in_no_more_and_no_other_wallet_by_surprise(world: World) -> None:
    phone, _, signer = await linked(world)
    shown = await phone.account("Unlink", login=f"Email:{WORK}")
    assert [login["login"] for login in shown["logins"]] == [f"Email:{ADA}"]
    assert await code_of(Person(world).log_in(WORK)) == 7331
    await world.boot()
    assert await code_of(Person(world).log_in(WORK)) == 7331
    assert await Person(world).log_in(WORK, newWallet=True) != signer
    assert await Person(world).log_in(ADA) == signer


async def test_asking_for_a_new_wallet_takes_none_from_a_login_that_has_one(world: World) -> None:
    signer = await Person(world).log_in(ADA)
    assert await Person(world).log_in(ADA, newWallet=True) == signer
    assert await Person(world).log_in(ADA, newWallet=False) == signer
    assert await code_of(Person(world).log_in(ADA, newWallet="yes")) == -4


async def test_unlinking_ends_what_the_login_s_devices_hold_and_leaves_the_others(world: World) -> None:
    phone, laptop, signer = await linked(world)
    session = (await laptop.client.session())["session"]
    await phone.account("Unlink", login=f"Email:{WORK}")
    assert await code_of(laptop.sign(signer)) == 7202
    sign_message = laptop.client.own("/rpc/Signer/SignMessage", session=session, message={"text": "x"})
    assert await code_of(sign_message) == 7202
    assert await code_of(laptop.client.session()) == 7202
    await phone.sign(signer)


async def test_a_login_that_is_unlinked_while_it_comes_in_is_worth_nothing(world: World, monkeypatch: Any) -> None:
    """The account was found for it, then its owner took it off, then the device was enrolled."""
    phone, _, signer = await linked(world)
    accounts = accounts_of(world)
    add_device, taken_off = accounts.add_device, []

    async def overtaken(account: Any, device: str, evict: Any) -> Any:
        if not taken_off:
            taken_off.append(await phone.account("Unlink", login=f"Email:{WORK}"))
        return await add_device(account, device, evict)

    monkeypatch.setattr(accounts, "add_device", overtaken)
    late = Person(world)
    await late.log_in(WORK)
    assert taken_off
    calls = [late.client.session(), late.account("Get"), late.account("Freeze"), late.account("RemoveDevices")]
    assert [await code_of(call) for call in calls] == [7202] * len(calls)
    assert await code_of(late.sign(signer)) == 7304
    await phone.sign(signer)


async def test_the_login_that_made_the_wallet_can_go_as_well(world: World) -> None:
    phone, laptop, signer = await linked(world)
    await laptop.account("Unlink", login=f"Email:{ADA}")
    assert await code_of(phone.sign(signer)) == 7202
    assert await code_of(Person(world).log_in(ADA)) == 7331
    await world.boot()
    assert await laptop.log_in(WORK) == signer
    await laptop.sign()


async def test_a_login_by_signer_goes_to_a_login_that_is_still_there(world: World) -> None:
    _, laptop, signer = await linked(world)
    await laptop.account("Unlink", login=f"Email:{ADA}")
    client = Client(world)
    key = {"keyType": "Ethereum_Secp256k1", "address": signer}
    started = await client.call("CommitVerifier", commit_params("") | {"signer": key})
    assert world.mailer.sent[-1]["To"] == WORK
    answer = otp_answer(started["challenge"], world.mailer.last_code())
    done = await client.call("CompleteAuth", complete_params(started["verifier"], answer))
    assert done["signer"]["address"] == signer


async def test_the_last_login_stays(world: World) -> None:
    phone = Person(world)
    await phone.log_in(ADA)
    assert await code_of(phone.account("Unlink", login=f"Email:{ADA}")) == 7333


@pytest.mark.parametrize("name", [f"Email:{EVE}", "", "Email:", "nonsense"])
async def test_only_logins_of_the_account_are_unlinked(world: World, name: str) -> None:
    phone, _, _ = await linked(world)
    await Person(world).log_in(EVE)
    assert await refused(phone.account("Unlink", login=name)) == (7200, "no such login")


async def test_unlinking_needs_a_recent_login(world: World) -> None:
    phone, laptop, signer = await linked(world)
    await world.pass_time(FRESH_S + 1)
    assert await code_of(phone.account("Unlink", login=f"Email:{WORK}")) == 7334
    await laptop.sign(signer)


async def test_a_closed_login_can_be_linked_again(world: World) -> None:
    phone, _, signer = await linked(world)
    await phone.account("Unlink", login=f"Email:{WORK}")
    await phone.link(WORK)
    assert await Person(world).log_in(WORK) == signer


# --- what a host can do with the records ---


async def test_an_old_slot_alone_is_found_out(world: World) -> None:
    """The host shows the slot from before the unlinking, over a restart: the account knows better."""
    phone, _, _ = await linked(world)
    before = {place: row for place, row in world.store.rows.items() if place[0] == "login"}
    await phone.account("Unlink", login=f"Email:{WORK}")
    world.store.rows |= before
    await world.boot()
    assert await code_of(Person(world).log_in(WORK)) == 7307


async def test_an_old_account_alone_lets_nobody_in(world: World) -> None:
    phone, _, _ = await linked(world)
    before = {place: row for place, row in world.store.rows.items() if place[0] == "account"}
    await phone.account("Unlink", login=f"Email:{WORK}")
    world.store.rows |= before
    await world.boot()
    assert await code_of(Person(world).log_in(WORK)) == 7331
    await phone.log_in(ADA)
    assert await code_of(phone.account("Unlink", login=f"Email:{WORK}")) == 7307, (
        "the two records contradict each other"
    )


async def test_old_records_are_refused_in_the_boot_that_wrote_newer_ones(world: World) -> None:
    phone, laptop, signer = await linked(world)
    before = world.store.snapshot()
    await phone.account("Unlink", login=f"Email:{WORK}")
    world.store.rows = before
    assert await code_of(Person(world).log_in(WORK)) == 7307
    assert await code_of(laptop.sign(signer)) == 7202


async def test_over_a_restart_a_host_can_bring_back_a_login_with_both_records(world: World) -> None:
    """What the design cannot do (ADR 0035): nothing outside the store remembers."""
    phone, laptop, signer = await linked(world)
    before = world.store.snapshot()
    await phone.account("Unlink", login=f"Email:{WORK}")
    world.store.rows = before
    await world.boot()
    assert await code_of(laptop.sign(signer)) == 7203, "sessions of before are over all the same"
    assert await laptop.log_in(WORK) == signer
