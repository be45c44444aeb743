"""Grants through the wire: shown before they are signed, signed as they were shown, listed, and taken back."""

import asyncio
from typing import Any

import pytest
from eth_account import Account as EthAccount
from eth_account.messages import encode_typed_data
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from enclave.accounts import Accounts
from enclave.delegations.grants import GrantRecords
from enclave.delegations.limits import MAX_GRANT_BYTES, MAX_GRANTS, MAX_OFFERS, OFFER_S, RELEASE_AFTER_S
from enclave.errors import Refusal
from enclave.login.notices import Notice
from evm.address import Address, checksum, parse_address
from evm.delegations.context import disable_call, parse_context
from evm.delegations.deployment import METAMASK
from evm.delegations.terms import Targets
from evm.signature import parse_signature
from protocol import errors
from tests.appliance import World, config
from tests.evm_delegations.samples import COIN_TERMS, TOKEN_TERMS, delegation, swapped
from tests.evm_delegations.test_delegations_permissions import DATA, EXPIRY, PAYS, with_data

from .delegation_support import (
    CAPS,
    CHAIN,
    DAY_S,
    EXECUTOR,
    NOW_S,
    PAYEE,
    USDC,
    Delegator,
    asked,
    cause_of,
    hex_of,
    pinned,
    scopes,
    standing_world,
)


async def test_request_shows_in_words_and_at_its_worst_what_grant_then_signs(user: Delegator) -> None:
    shown = await user.ask("Request", permission=asked())
    assert shown["understood"]["exposure"] == "3000"
    assert shown["understood"]["words"][1:] == [
        f"Sent only to {checksum(PAYEE)}",
        "Valid until 2027-02-14 08:00:00 UTC",
        f"At the most, this costs 3000 base units of token {checksum(USDC)}",
        "Can be taken back before that",
    ]
    assert shown["outstanding"] == {"account": "0", "atMost": "15000"}
    assert (shown["granted"], shown["adjusted"]) == (asked(), False)
    granted = await user.ask("Grant", hash=shown["hash"])
    [link] = parse_context(granted["context"])
    assert hex_of(link.delegation.hash) == shown["hash"] == granted["hash"]
    digest = link.delegation.digest(METAMASK.manager, CHAIN)
    assert hex_of(digest) == shown["digest"]
    assert parse_signature(link.signature).recover(digest) == user.account == link.delegation.delegator
    document = shown["delegation"]
    signed = EthAccount.recover_message(encode_typed_data(full_message=document), signature=link.signature)
    assert parse_address(signed) == user.account


@pytest.mark.parametrize("kind", DATA)
async def test_every_kind_of_permission_is_granted_and_listed_as_it_was_answered(user: Delegator, kind: str) -> None:
    granted = await user.granted(asked(kind))
    answer = granted["permission"]
    assert {name: answer[name] for name in asked(kind)} == asked(kind)
    assert (answer["from"], answer["context"]) == (checksum(user.account), granted["context"])
    listed = await user.ask("List")
    assert listed["permissions"] == [answer]
    assert [(one["hash"], one["state"]) for one in listed["delegations"]] == [(granted["hash"], "signed")]
    assert listed["delegations"][0]["words"][0].startswith(f"{checksum(EXECUTOR)} may act for {checksum(user.account)}")


async def test_delegation_with_conditions_of_the_caller_is_granted_with_a_salt_of_ours(user: Delegator) -> None:
    draft = user.draft(delegation(*TOKEN_TERMS))
    hashes, salts = set(), set()
    for _ in range(2):
        shown = await user.ask("Request", delegation=draft, chainId=hex(CHAIN))
        granted = await user.ask("Grant", hash=shown["hash"])
        assert granted["permission"] is None
        assert all(caveat["args"] == "0x" for caveat in granted["delegation"]["caveats"])
        hashes.add(granted["hash"])
        salts.add(int(granted["delegation"]["salt"], 16))
    assert len(hashes) == len(salts) == 2
    assert min(salts) > 2**128
    assert (await user.ask("List"))["permissions"] == []


async def test_request_that_may_not_be_adjusted_is_answered_exactly_or_refused(user: Delegator) -> None:
    value = asked(rules=[EXPIRY])
    assert await cause_of(user.ask("Request", permission=value)) == "delegation-recipient-open"
    value["permission"]["isAdjustmentAllowed"] = True
    shown = await user.ask("Request", permission=value)
    assert shown["adjusted"] is True
    assert shown["granted"]["rules"][1] == {"type": "payee", "data": {"addresses": [checksum(EXECUTOR)]}}


async def test_nothing_is_granted_that_was_not_shown_to_this_device(world: World, user: Delegator) -> None:
    other = await Delegator.logged_in(world)  # the same account on another device
    assert other.account == user.account
    shown = await user.ask("Request", permission=asked())
    assert await cause_of(other.ask("Grant", hash=shown["hash"])) == "DelegationNotFound"
    assert await cause_of(user.ask("Grant", hash=hex_of(b"\x11" * 32))) == "DelegationNotFound"
    assert await cause_of(user.ask("Grant", hash="0x11")) == "delegation-hash"
    await user.ask("Grant", hash=shown["hash"])


async def test_offer_ends_with_its_time_with_the_boot_and_with_too_many_others(world: World, user: Delegator) -> None:
    shown = await user.ask("Request", permission=asked())
    await world.pass_time(OFFER_S)
    assert await cause_of(user.ask("Grant", hash=shown["hash"])) == "DelegationNotFound"
    shown = [await user.ask("Request", permission=asked()) for _ in range(MAX_OFFERS + 1)]
    assert await cause_of(user.ask("Grant", hash=shown[0]["hash"])) == "DelegationNotFound"
    await user.ask("Grant", hash=shown[1]["hash"])
    await world.boot()
    again = await Delegator.logged_in(world)
    again.client._nonce = 100
    assert await cause_of(again.ask("Grant", hash=shown[2]["hash"])) == "DelegationNotFound"


async def test_rules_are_judged_anew_when_it_is_granted(world: World, user: Delegator) -> None:
    value = asked(rules=[{"type": "expiry", "data": {"timestamp": NOW_S + 60}}, PAYS])
    shown = await user.ask("Request", permission=value)
    await world.pass_time(61)
    assert await cause_of(user.ask("Grant", hash=shown["hash"])) == "delegation-expired"


async def test_owner_is_told_by_mail_once_for_each_grant(world: World, user: Delegator) -> None:
    before = len(world.mailer.sent)
    granted = await user.granted()
    await user.ask("Grant", hash=granted["hash"])
    [told] = world.mailer.sent[before:]
    assert told["Subject"] == Notice.GRANTED.value
    assert told["To"] == "user@example.com"
    world.mailer.down = True
    assert (await user.granted())["state"] == "signed"  # nobody is held up by a mail server


async def test_scope_may_demand_a_login_of_the_last_minutes_for_each_grant(pki_folder: Any) -> None:
    world = standing_world(pki_folder, fresh_login=True)
    await world.boot()
    user = await Delegator.logged_in(world)
    granted = await user.granted()
    await world.pass_time(301)
    shown = await user.ask("Request", permission=asked())
    assert await cause_of(user.ask("Grant", hash=shown["hash"])) == "LoginNotFresh"
    assert await user.ask("Grant", hash=granted["hash"]) == granted
    await world.stop()


async def test_what_has_expired_is_no_granted_permission(world: World, user: Delegator) -> None:
    await user.granted(asked(rules=[{"type": "expiry", "data": {"timestamp": NOW_S + 60}}, PAYS]))
    await world.pass_time(60)
    listed = await user.ask("List")
    assert (listed["permissions"], len(listed["delegations"])) == ([], 1)
    await world.pass_time(RELEASE_AFTER_S)
    assert (await user.ask("List"))["delegations"] == []


async def test_lost_answer_is_given_again_and_costs_nothing_more(user: Delegator) -> None:
    first = await user.granted()
    assert await user.ask("Grant", hash=first["hash"]) == first
    assert (await user.ask("Request", permission=asked()))["outstanding"]["account"] == "3000"


async def test_outstanding_authority_of_an_account_is_capped_and_released_on_expiry(
    world: World, user: Delegator
) -> None:
    for _ in range(5):
        await user.granted()  # 3,000 of 15,000 each
    shown = await user.ask("Request", permission=with_data(periodAmount="0x1"))
    assert shown["outstanding"] == {"account": "15000", "atMost": "15000"}
    assert await cause_of(user.ask("Grant", hash=shown["hash"])) == "delegation-outstanding-account"
    # Taking one back frees nothing: it could be enabled again.
    taken = (await user.ask("List"))["delegations"][0]["hash"]
    revoked = await user.ask("Revoke", hash=taken)
    assert revoked["releasedAt"] == NOW_S + 30 * DAY_S + RELEASE_AFTER_S
    shown = await user.ask("Request", permission=with_data(periodAmount="0x1"))
    assert await cause_of(user.ask("Grant", hash=shown["hash"])) == "delegation-outstanding-account"
    await world.pass_time(30 * DAY_S + RELEASE_AFTER_S)
    user = await Delegator.logged_in(world)
    user.client._nonce = 100
    later = {"type": "expiry", "data": {"timestamp": NOW_S + 61 * DAY_S}}
    start = with_data(startTime=NOW_S + 31 * DAY_S)
    shown = await user.ask("Request", permission=start | {"rules": [later, PAYS]})
    assert shown["outstanding"]["account"] == "0"
    await user.ask("Grant", hash=shown["hash"])
    assert len((await user.ask("List"))["delegations"]) == 1


async def test_outstanding_authority_of_a_scope_is_capped(world: World) -> None:
    users = [await Delegator.logged_in(world, f"user{number}@example.com") for number in range(3)]
    for user in users[:2]:
        for _ in range(5):
            await user.granted()  # 30,000 of 40,000
    for _ in range(3):
        await users[2].granted()
    assert await cause_of(users[2].granted()) == "delegation-outstanding-scope"


async def test_caps_are_exact_when_grants_race(world: World, user: Delegator) -> None:
    shown = [await user.ask("Request", permission=asked()) for _ in range(MAX_OFFERS)]
    found = await asyncio.gather(*(cause_of(user.ask("Grant", hash=one["hash"])) for one in shown))
    assert found.count("accepted") == 5
    assert set(found) - {"accepted"} == {"delegation-outstanding-account"}
    after = await user.ask("Request", permission=asked())
    assert after["outstanding"]["account"] == str(CAPS[USDC][1])


@pytest.mark.parametrize("ends", ["before the record", "before the key"])
async def test_what_ended_half_way_is_outstanding_and_can_be_finished(
    user: Delegator, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    shown = await user.ask("Request", permission=asked())

    async def end(*_: Any) -> Any:
        raise Refusal(errors.BUSY)

    with monkeypatch.context() as broken:
        if ends == "before the record":
            broken.setattr(GrantRecords, "change", end)
        else:
            broken.setattr(Accounts, "open_wallet", end)
        assert await cause_of(user.ask("Grant", hash=shown["hash"])) == "Busy"
    listed = [one["state"] for one in (await user.ask("List"))["delegations"]]
    assert listed == ([] if ends == "before the record" else ["pending"])
    after = await user.ask("Request", permission=asked())
    assert after["outstanding"]["account"] == "3000"
    finished = await user.ask("Grant", hash=shown["hash"])
    assert finished["state"] == "signed"
    after = await user.ask("Request", permission=asked())
    assert after["outstanding"]["account"] == "3000"


async def test_revoking_marks_lists_and_gives_the_call_that_disables(user: Delegator) -> None:
    granted = await user.granted()
    [link] = parse_context(granted["context"])
    revoked = await user.ask("Revoke", hash=granted["hash"])
    assert revoked["call"] == {
        "chainId": hex(CHAIN),
        "from": checksum(user.account),
        "to": checksum(METAMASK.manager.address),
        "value": "0x0",
        "data": hex_of(disable_call(link.delegation)),
    }
    listed = await user.ask("List")
    assert (listed["permissions"], [one["state"] for one in listed["delegations"]]) == ([], ["revoked"])
    assert await cause_of(user.ask("Grant", hash=granted["hash"])) == "DelegationNotFound"
    fees = {"nonce": "0x5", "gas": "0x186a0", "maxFeePerGas": "0x3b9aca00", "maxPriorityFeePerGas": "0x1"}
    signed = await user.ask("Revoke", hash=granted["hash"], fees=fees)
    raw = bytes.fromhex(signed["transaction"]["raw"][2:])
    assert parse_address(EthAccount.recover_transaction(raw)) == user.account
    sent = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    assert (sent["chainId"], sent["nonce"], sent["value"]) == (CHAIN, 5, 0)
    assert (hex_of(sent["to"]), hex_of(sent["data"])) == (hex_of(METAMASK.manager.address), revoked["call"]["data"])


async def test_grant_that_is_revoked_while_it_is_signed_is_not_handed_out(
    user: Delegator, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await user.ask("Request", permission=asked())
    opened = Accounts.open_wallet

    async def revoke_first(*arguments: Any) -> Any:
        await user.ask("Revoke", hash=shown["hash"])
        return await opened(*arguments)

    monkeypatch.setattr(Accounts, "open_wallet", revoke_first)
    assert await cause_of(user.ask("Grant", hash=shown["hash"])) == "DelegationNotFound"
    assert [one["state"] for one in (await user.ask("List"))["delegations"]] == ["revoked"]


@pytest.mark.parametrize(
    "fees", [{}, {"nonce": "0x5"}, {"to": "0x" + "44" * 20}, [], {"value": "0x1"}, {"data": "0x"}], ids=str
)
async def test_fees_say_nothing_but_fees(user: Delegator, fees: Any) -> None:
    granted = await user.granted()
    whole = {"nonce": "0x5", "gas": "0x186a0", "maxFeePerGas": "0x3b9aca00", "maxPriorityFeePerGas": "0x1"}
    sent = whole | fees if isinstance(fees, dict) and "nonce" not in fees and fees else fees
    assert await cause_of(user.ask("Revoke", hash=granted["hash"], fees=sent)) == "delegation-fees"
    assert (await user.ask("List"))["delegations"][0]["state"] == "signed"


async def test_account_has_so_many_grants_and_a_revoked_one_makes_room(pki_folder: Any) -> None:
    caps = [{"asset": checksum(USDC), "grant": "10000", "account": "1000000", "scope": "1000000"}]
    world = standing_world(pki_folder, caps=caps)
    await world.boot()
    user = await Delegator.logged_in(world)
    first = await user.granted()
    for _ in range(MAX_GRANTS - 1):
        await user.granted()
    assert await cause_of(user.granted()) == "delegation-grants-count"
    assert (await user.ask("Request", permission=asked()))["outstanding"]["account"] == str(3000 * MAX_GRANTS)
    await user.ask("Revoke", hash=first["hash"])
    await user.granted()
    assert first["hash"] not in [one["hash"] for one in (await user.ask("List"))["delegations"]]
    await world.stop()


async def test_grant_that_no_record_would_hold_is_refused(user: Delegator) -> None:
    words = {"justification": "x" * 1024}
    payees = {"type": "payee", "data": {"addresses": ["0x" + bytes([n] * 20).hex() for n in range(1, 17)]}}
    redeemers = {"type": "redeemer", "data": {"addresses": [checksum(EXECUTOR)]}}
    value = with_data("native-token-periodic", **words) | {"rules": [EXPIRY, payees, redeemers]}
    granted = await user.granted(value)
    assert len(granted["context"]) // 2 < MAX_GRANT_BYTES
    many = [Address(n.to_bytes(20, "big")) for n in range(1, 200)]
    draft = user.draft(delegation(*swapped(COIN_TERMS, Targets(tuple(many)))))
    shown = await user.ask("Request", delegation=draft, chainId=hex(CHAIN))
    assert await cause_of(user.ask("Grant", hash=shown["hash"])) == "delegation-size"


async def test_frozen_account_grants_nothing(user: Delegator) -> None:
    shown = await user.ask("Request", permission=asked())
    granted = await user.granted()
    await user.client.own("/rpc/Account/Freeze")
    assert await cause_of(user.ask("Grant", hash=shown["hash"])) == "AccountFrozen"
    assert (await user.ask("Revoke", hash=granted["hash"]))["state"] == "revoked"


@pytest.mark.parametrize("changes", [{"delegations": None}, {"rights": ["sign_message"]}], ids=str)
async def test_configuration_that_grants_no_more_leaves_what_was_granted_to_be_listed_and_revoked(
    world: World, user: Delegator, changes: dict[str, Any]
) -> None:
    granted = await user.granted()
    first, second = scopes()
    world.config = config(scopes=[first | changes, second])
    await world.boot()
    user = await Delegator.logged_in(world)
    for method in ("Supported", "Request", "Grant"):
        assert await cause_of(user.ask(method)) == "RightNotGranted"
    assert (await user.ask("List"))["permissions"] == [granted["permission"]]
    revoked = await user.ask("Revoke", hash=granted["hash"])
    assert revoked["call"]["to"] == checksum(METAMASK.manager.address)


async def test_grant_keeps_its_manager_when_the_configuration_names_another(world: World, user: Delegator) -> None:
    granted, shown = await user.granted(), await user.ask("Request", permission=asked())

    async def end(*_: Any) -> Any:
        raise Refusal(errors.BUSY)

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(Accounts, "open_wallet", end)
        await cause_of(user.ask("Grant", hash=shown["hash"]))
    world.config = config(scopes=scopes(manager=pinned(EXECUTOR)))
    await world.boot()
    user = await Delegator.logged_in(world)
    assert (await user.ask("Revoke", hash=granted["hash"]))["call"]["to"] == checksum(METAMASK.manager.address)
    assert await cause_of(user.ask("Grant", hash=shown["hash"])) == "delegation-manager"
    assert [one["words"] for one in (await user.ask("List"))["delegations"]] == [[], []]


async def test_supported_says_what_is_pinned_and_allowed(user: Delegator) -> None:
    found = await user.ask("Supported")
    assert set(found["permissions"]) == set(DATA)
    assert found["permissions"]["erc20-token-periodic"] == {
        "chainIds": ["0x89"],
        "ruleTypes": ["expiry", "payee", "redeemer"],
    }
    [chain] = found["chains"]
    assert chain["manager"]["address"] == checksum(METAMASK.manager.address)
    assert set(chain["enforcers"]) == set(METAMASK.enforcers)
    assert chain["delegates"] == [checksum(EXECUTOR)]
