"""A corpus of hostile delegations, permission requests and account code, each refused on the wire with its reason."""

from typing import Any

import pytest

from evm.address import ZERO_ADDRESS, checksum
from evm.delegations.deployment import METAMASK
from evm.delegations.terms import PerPeriod, Redeemers
from tests.appliance import World
from tests.evm_delegations.samples import STRANGER, TOKEN_TERMS, delegation, swapped
from tests.evm_delegations.test_delegations_grants import HOSTILE as DELEGATIONS
from tests.evm_delegations.test_delegations_permissions import HOSTILE as PERMISSIONS
from tests.evm_delegations.test_delegations_permissions import PAYS, with_data

from .delegation_support import (
    CHAIN,
    CODE,
    DAY_S,
    EXECUTOR,
    NOW_S,
    USDC,
    Delegator,
    asked,
    cause_of,
    hex_of,
    standing_world,
)


def ends(at_s: int) -> list[dict[str, Any]]:
    return [{"type": "expiry", "data": {"timestamp": at_s}}, PAYS]


def paid(*payees: str) -> list[dict[str, Any]]:
    return [*ends(NOW_S + DAY_S)[:1], {"type": "payee", "data": {"addresses": list(payees)}}]


STREAM = "erc20-token-stream"
REQUESTS: dict[str, tuple[Any, str]] = {
    "a chain that is not served": (asked(chainId="0x1"), "delegation-chain-id"),
    "of another account": (asked(**{"from": checksum(STRANGER)}), "permission-from"),
    "for a stranger": (asked(to=checksum(STRANGER)), "delegation-delegate"),
    "for nobody": (asked(to=checksum(ZERO_ADDRESS)), "delegation-delegate"),
    "for a stranger among redeemers": (
        asked(rules=[*ends(NOW_S + DAY_S), {"type": "redeemer", "data": {"addresses": [checksum(STRANGER)]}}]),
        "delegation-delegate",
    ),
    "for whoever comes": (asked(to="0x" + "a11".zfill(40)), "delegation-open-delegate"),
    "over": (asked(rules=ends(NOW_S)), "delegation-expired"),
    "over in a moment": (asked(rules=ends(NOW_S + 1)), "delegation-expired"),
    "longer than anybody may": (asked(rules=ends(NOW_S + 366 * DAY_S + 1)), "delegation-lifetime"),
    "nearly for ever": (asked(rules=ends(2**40)), "delegation-lifetime"),
    "to whomever": (asked(rules=ends(NOW_S + DAY_S)[:1]), "delegation-recipient-open"),
    "to the zero address": (asked(rules=paid(checksum(ZERO_ADDRESS))), "delegation-recipient"),
    "to two, of a token": (asked(rules=paid(checksum(STRANGER), checksum(EXECUTOR))), "permission-payees"),
    "a token without a cap": (with_data(tokenAddress=checksum(STRANGER)), "delegation-asset"),
    "a little too much in all": (with_data(periodAmount=hex(334)), "delegation-exposure"),
    "everything": (with_data(periodAmount=hex(2**256 - 1)), "delegation-exposure"),
    "so much that it would wrap around": (with_data(periodAmount=hex(2**255)), "delegation-exposure"),
    "a little each second": (with_data(periodDuration=1), "delegation-exposure"),
    "begun long ago, with all that would have come since": (
        with_data(STREAM, startTime=1, maxAmount=None), "delegation-exposure",
    ),
    "a stream without a maximum": (with_data(STREAM, maxAmount=None), "delegation-exposure"),
    "a stream that gives all at once": (
        with_data(STREAM, initialAmount="0x2711", maxAmount="0x2712"), "delegation-exposure",
    ),
    "too many coins": (
        with_data("native-token-allowance", allowanceAmount=hex(10**18 + 1)), "delegation-exposure",
    ),
}  # fmt: skip


async def test_hostile_delegations_are_refused_with_their_reasons(user: Delegator) -> None:
    found = {
        name: await cause_of(user.ask("Request", delegation=user.draft(made), chainId=hex(CHAIN)))
        for name, (made, _) in DELEGATIONS.items()
    }
    assert found == {name: code for name, (_, code) in DELEGATIONS.items()}
    assert len(found) >= 60


async def test_hostile_permission_requests_are_refused_with_their_reasons(user: Delegator) -> None:
    corpus = PERMISSIONS | REQUESTS
    found = {name: await cause_of(user.ask("Request", permission=value)) for name, (value, _) in corpus.items()}
    assert found == {name: code for name, (_, code) in corpus.items()}
    assert len(found) == len(PERMISSIONS) + len(REQUESTS)


DRAFTS: dict[str, tuple[dict[str, Any], str]] = {
    "a salt of the caller's": ({"salt": "0x01"}, "delegation-salt"),
    "a signature": ({"signature": "0x01"}, "delegation-signature"),
    "a member more": ({"digest": "0x" + "11" * 32}, "delegation-members"),
    "arguments": ({"caveats": [{"enforcer": hex_of(USDC), "terms": "0x", "args": "0x01"}]}, "delegation-arguments"),
    "two bytes of arguments": (
        {"caveats": [{"enforcer": hex_of(USDC), "terms": "0x", "args": "0x0000"}]}, "delegation-arguments",
    ),
    "terms without end": (
        {"caveats": [{"enforcer": hex_of(USDC), "terms": "0x" + "00" * 4097}]}, "delegation-terms",
    ),
    "more conditions than are read": (
        {"caveats": [{"enforcer": hex_of(USDC), "terms": "0x"}] * 17}, "delegation-caveats",
    ),
    "an authority that is short": ({"authority": "0xffff"}, "delegation-authority"),
    "a delegate that is no address": ({"delegate": "0x12"}, "delegation-parties"),
    "a delegate with a wrong checksum": ({"delegate": checksum(USDC).replace("A0", "a0")}, "address-checksum"),
}  # fmt: skip


async def test_drafts_that_bring_more_than_conditions_are_refused(user: Delegator) -> None:
    draft = user.draft(delegation(*TOKEN_TERMS))
    found = {
        name: await cause_of(user.ask("Request", delegation=draft | changes, chainId=hex(CHAIN)))
        for name, (changes, _) in DRAFTS.items()
    }
    assert found == {name: code for name, (_, code) in DRAFTS.items()}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "delegation-members"),
        ({"permission": asked(), "delegation": {}}, "delegation-members"),
        ({"permission": asked(), "chainId": "0x89"}, "delegation-members"),
        ({"permission": asked(), "revocationNonce": "5"}, "delegation-nonce"),
        ({"permission": asked(), "digest": "0x" + "11" * 32}, "invalid params: unknown member"),
        ({"permission": asked(), "salt": "0x" + "11" * 32}, "invalid params: unknown member"),
        ({"permission": asked(), "manager": checksum(STRANGER)}, "invalid params: unknown member"),
        ({"delegation": {}, "revocationNonce": 1, "chainId": "0x89"}, "delegation-members"),
    ],
    ids=str,
)
async def test_request_has_one_form_and_nothing_that_decides_for_us(
    user: Delegator, members: dict[str, Any], code: str
) -> None:
    assert await cause_of(user.ask("Request", **members)) == code


@pytest.mark.parametrize("chain", ["0x0", "0x1", 0, hex(2**63), None, "137"])
async def test_chain_that_is_not_configured_is_refused(user: Delegator, chain: Any) -> None:
    draft = user.draft(delegation(*TOKEN_TERMS))
    assert await cause_of(user.ask("Request", delegation=draft, chainId=chain)) == "delegation-chain-id"


@pytest.mark.parametrize("manager", [METAMASK.manager.address, STRANGER])
@pytest.mark.parametrize("name", ["DelegationManager", "Another"])
async def test_delegation_is_never_signed_as_a_document(user: Delegator, manager: bytes, name: str) -> None:
    """Whatever manager or domain it names: rules and caps would be passed by."""
    document = delegation(*TOKEN_TERMS).document(METAMASK.manager, CHAIN)
    document["domain"] |= {"verifyingContract": hex_of(manager), "name": name}
    assert await cause_of(user.sign("SignTypedData", typedData=document)) == "delegation-as-document"


async def test_enforcer_that_is_not_pinned_on_a_chain_is_not_used_there(pki_folder: Any) -> None:
    enforcers = {
        name: {"address": checksum(address), "code_hash": "0x" + "c0" * 32}
        for name, address in METAMASK.enforcers.items()
        if name not in ("ERC20PeriodTransferEnforcer", "RedeemerEnforcer")
    }
    world = standing_world(pki_folder, enforcers=enforcers)
    await world.boot()
    user = await Delegator.logged_in(world)
    assert "erc20-token-periodic" not in (await user.ask("Supported"))["permissions"]
    assert await cause_of(user.ask("Request", permission=asked())) == "delegation-enforcer"
    with_redeemer = delegation(*TOKEN_TERMS, Redeemers((EXECUTOR,)))
    for made in (delegation(*TOKEN_TERMS), with_redeemer):
        draft = user.draft(made)
        assert await cause_of(user.ask("Request", delegation=draft, chainId=hex(CHAIN))) == "delegation-enforcer"
    await world.stop()


async def test_recipient_that_is_not_configured_is_refused(pki_folder: Any) -> None:
    world = standing_world(pki_folder, recipients=[checksum(STRANGER)])
    await world.boot()
    user = await Delegator.logged_in(world)
    assert await cause_of(user.ask("Request", permission=asked())) == "delegation-recipient"
    assert await cause_of(user.ask("Request", permission=asked(rules=paid(checksum(STRANGER))))) == "accepted"
    await world.stop()


# --- code for an account (EIP-7702) ---


def authorization(**changes: Any) -> dict[str, Any]:
    code: dict[str, Any] = {"chainId": hex(CHAIN), "address": checksum(CODE), "nonce": "0x5"} | changes
    return {"authorization": code, "accountNonce": "0x5"}


AUTHORIZATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "every chain": (authorization(chainId="0x0"), "authorization-chain-id"),
    "every chain, as a number": (authorization(chainId=0), "authorization-chain-id"),
    "a chain that is not served": (authorization(chainId="0x1"), "delegation-chain-id"),
    "a chain beyond all": (authorization(chainId=hex(2**63)), "authorization-chain-id"),
    "code that is not pinned": (authorization(address=checksum(STRANGER)), "authorization-code"),
    "a token's code": (authorization(address=checksum(USDC)), "authorization-code"),
    "the manager's code": (authorization(address=checksum(METAMASK.manager.address)), "authorization-code"),
    "no address": (authorization(address="0x63"), "authorization-address"),
    "a used nonce": (authorization(nonce="0x4"), "authorization-nonce"),
    "a later nonce": (authorization(nonce="0x6"), "authorization-nonce"),
    "the last nonce": (authorization(nonce=hex(2**64 - 1)), "authorization-nonce"),
    "a negative nonce": (authorization(nonce=-1), "authorization-nonce"),
    "a nonce of its own sending": (authorization() | {"sendsItself": True}, "authorization-nonce"),
    "no nonce of the account": (authorization() | {"accountNonce": None}, "authorization-nonce"),
    "nonces that differ": (authorization() | {"accountNonce": "0x7"}, "authorization-nonce"),
    "a signature along": (authorization(yParity="0x0"), "authorization-fields"),
    "no authorization": ({"authorization": None, "accountNonce": "0x5"}, "authorization-fields"),
    "a digest": ({"authorization": "0x" + "11" * 32, "accountNonce": "0x5"}, "authorization-fields"),
}


async def test_hostile_account_code_is_refused_with_its_reason(user: Delegator) -> None:
    found = {
        name: await cause_of(user.sign("SignAuthorization", **members)) for name, (members, _) in AUTHORIZATIONS.items()
    }
    assert found == {name: code for name, (_, code) in AUTHORIZATIONS.items()}


async def test_refusal_spends_no_nonce_and_reserves_nothing(world: World, user: Delegator) -> None:
    before = world.store.snapshot()
    for value, _ in REQUESTS.values():
        assert await cause_of(user.ask("Request", permission=value)) != "accepted"
    too_much = delegation(*swapped(TOKEN_TERMS, PerPeriod(USDC, 2**256 - 1, DAY_S, NOW_S)))
    await cause_of(user.ask("Request", delegation=user.draft(too_much), chainId=hex(CHAIN)))
    assert world.store.snapshot() == before
