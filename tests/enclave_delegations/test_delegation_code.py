"""The account of the login's key takes on pinned code: on one chain, after a fresh login, with its nonce named."""

from typing import Any

import pytest

from enclave.login.notices import Notice
from evm.address import ZERO_ADDRESS, checksum
from evm.authorization import Authorization, authorization_from_json
from tests.appliance import World

from .delegation_support import CHAIN, CODE, Delegator, cause_of, hex_of, scopes
from .test_delegation_hostile import authorization


async def test_pinned_code_is_taken_on_in_words_and_by_the_accounts_key(user: Delegator) -> None:
    answer = await user.sign("SignAuthorization", **authorization())
    signed = authorization_from_json(answer["authorization"])
    assert (signed.authority, signed.authorization) == (user.account, Authorization(CHAIN, CODE, 5))
    assert answer["digest"] == hex_of(signed.authorization.digest)
    [sentence] = answer["understood"]["words"]
    assert sentence.startswith(f"This account hands full control of itself to the code at {checksum(CODE)}")
    assert sentence.endswith("on chain 137 (authorization nonce 5)")


async def test_owner_is_told_by_mail_of_other_code(world: World, user: Delegator) -> None:
    await user.sign("SignAuthorization", **authorization())
    assert world.mailer.sent[-1]["Subject"] == Notice.CODE.value


async def test_account_that_sends_it_itself_signs_the_nonce_after(user: Delegator) -> None:
    own = authorization(nonce="0x6") | {"sendsItself": True}
    assert (await user.sign("SignAuthorization", **own))["authorization"]["nonce"] == "0x6"


async def test_code_takes_a_login_of_the_last_minutes_and_giving_it_up_does_not(world: World, user: Delegator) -> None:
    await world.pass_time(301)
    assert await cause_of(user.sign("SignAuthorization", **authorization())) == "LoginNotFresh"
    given_up = authorization(address=checksum(ZERO_ADDRESS))
    answer = await user.sign("SignAuthorization", **given_up)
    assert "ends its delegation" in answer["understood"]["words"][0]


async def test_frozen_account_takes_on_nothing(user: Delegator) -> None:
    await user.client.own("/rpc/Account/Freeze")
    assert await cause_of(user.sign("SignAuthorization", **authorization())) == "AccountFrozen"


@pytest.mark.parametrize("rights", [["grant_delegation"], ["sign_transaction"]])
async def test_code_takes_a_right_of_its_own(pki_folder: Any, rights: list[str]) -> None:
    first, second = scopes()
    world = World(pki_folder, scopes=[first | {"rights": rights}, second])
    await world.boot()
    user = await Delegator.logged_in(world)
    assert await cause_of(user.sign("SignAuthorization", **authorization())) == "RightNotGranted"
    await world.stop()
