"""Typed documents to effects: what a signature alone hands over."""

from dataclasses import replace
from typing import Any

import pytest

from evm.address import Address
from evm.delegations.deployment import METAMASK
from evm.delegations.grant import read_grant
from evm.effects import Effect, Kind, Reason, all_effects, effects_of_typed_data
from evm.typed_data import parse_typed_data
from tests.evm_delegations.samples import delegation
from tests.evm_effects.made import (
    CHAIN,
    ENTRY_POINT,
    FRIEND,
    MAX,
    MULTI_SEND,
    PERMIT2,
    SAFE,
    THIEF,
    TOKEN,
    WALLET,
    calldata,
    document,
    multi_send,
)

PERMIT = {"Permit": "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline"}
DETAILS = {"PermitDetails": "address token,uint160 amount,uint48 expiration,uint48 nonce"}
PERMISSIONS = {"TokenPermissions": "address token,uint256 amount"}
TRANSFER = calldata("transfer(address,uint256)", THIEF, 5)
DETAIL = {"token": TOKEN, "amount": 5, "expiration": 99, "nonce": 0}
SAFE_TX = (
    "address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,"
    "address gasToken,address refundReceiver,uint256 nonce"
)
PACKED = (
    "address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,uint256 preVerificationGas,"
    "bytes32 gasFees,bytes paymasterAndData"
)


def read(found: dict[str, Any]) -> tuple[Effect, ...]:
    return effects_of_typed_data(parse_typed_data(found), WALLET)


def brief(effect: Effect) -> tuple[Any, ...]:
    return effect.kind.value, effect.account, effect.counterparty, effect.amount, effect.expires_s


def permit(value: int = MAX, **domain: Any) -> dict[str, Any]:
    message = {"owner": WALLET, "spender": THIEF, "value": value, "nonce": 0, "deadline": 99}
    return document("Permit", PERMIT, message, **domain)


def safe_tx(to: Address, data: bytes, operation: int = 0, gas_price: int = 0) -> dict[str, Any]:
    message = {
        "to": to,
        "value": 0,
        "data": data,
        "operation": operation,
        "safeTxGas": 0,
        "baseGas": 0,
        "gasPrice": gas_price,
        "gasToken": TOKEN,
        "refundReceiver": THIEF,
        "nonce": 0,
    }
    return document("SafeTx", {"SafeTx": SAFE_TX}, message, contract=SAFE, name=None)


def operation(**changes: Any) -> dict[str, Any]:
    call = calldata("execute(address,uint256,bytes)", TOKEN, 0, TRANSFER)
    message = {
        "sender": SAFE,
        "nonce": 0,
        "initCode": b"",
        "callData": call,
        "accountGasLimits": bytes(32),
        "preVerificationGas": 0,
        "gasFees": bytes(32),
        "paymasterAndData": b"",
    }
    return document("PackedUserOperation", {"PackedUserOperation": PACKED}, message | changes, contract=ENTRY_POINT)


def test_a_permit_is_an_approval_by_signature_and_its_deadline_is_not_the_approvals_end() -> None:
    [effect] = read(permit())
    assert brief(effect) == ("approval", WALLET, THIEF, MAX, None)
    assert effect.signed
    assert effect.unlimited
    assert (effect.chain_id, effect.contract) == (CHAIN, TOKEN)


def test_a_permit_of_dai_is_all_or_nothing() -> None:
    types = {"Permit": "address holder,address spender,uint256 nonce,uint256 expiry,bool allowed"}
    for allowed, kind in ((True, Kind.APPROVAL), (False, Kind.REVOCATION)):
        message = {"holder": WALLET, "spender": THIEF, "nonce": 0, "expiry": 0, "allowed": allowed}
        [effect] = read(document("Permit", types, message))
        assert effect.kind is kind
        assert effect.unlimited == allowed


def test_permit2_documents_are_approvals_each() -> None:
    single = {"PermitSingle": "PermitDetails details,address spender,uint256 sigDeadline", **DETAILS}
    batch = {"PermitBatch": "PermitDetails[] details,address spender,uint256 sigDeadline", **DETAILS}
    one = document("PermitSingle", single, {"details": DETAIL, "spender": THIEF, "sigDeadline": 9}, contract=PERMIT2)
    two = document(
        "PermitBatch", batch, {"details": [DETAIL] * 2, "spender": THIEF, "sigDeadline": 9}, contract=PERMIT2
    )
    assert [brief(effect) for effect in read(one)] == [("approval", WALLET, THIEF, 5, 99)]
    assert [brief(effect) for effect in read(two)] == [("approval", WALLET, THIEF, 5, 99)] * 2


def test_permit2_documents_of_another_contract_are_unknown() -> None:
    single = {"PermitSingle": "PermitDetails details,address spender,uint256 sigDeadline", **DETAILS}
    [effect] = read(document("PermitSingle", single, {"details": DETAIL, "spender": THIEF, "sigDeadline": 9}))
    assert effect.reason is Reason.IMPOSTOR


@pytest.mark.parametrize("witness", [False, True])
def test_a_permit2_transfer_lets_its_spender_choose_the_receiver_and_a_witness_is_not_understood(witness: bool) -> None:
    members = "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline"
    message: dict[str, Any] = {"permitted": {"token": TOKEN, "amount": 5}, "spender": THIEF, "nonce": 0, "deadline": 9}
    if witness:
        types = {"PermitWitnessTransferFrom": members + ",Witness witness", **PERMISSIONS, "Witness": "address user"}
        found = document("PermitWitnessTransferFrom", types, message | {"witness": {"user": FRIEND}}, contract=PERMIT2)
    else:
        found = document(
            "PermitTransferFrom", {"PermitTransferFrom": members, **PERMISSIONS}, message, contract=PERMIT2
        )
    [effect, *others] = read(found)
    assert [(other.kind, other.reason) for other in others] == [(Kind.UNKNOWN, Reason.TYPED_DATA)] * witness
    assert brief(effect) == ("approval", WALLET, THIEF, 5, 9)


def test_a_witness_type_that_only_looks_like_one_is_unknown() -> None:
    members = "TokenPermissions permitted,address spender,uint256 nonce,uint64 deadline,Witness witness"
    types = {"PermitWitnessTransferFrom": members, **PERMISSIONS, "Witness": "address user"}
    message = {
        "permitted": {"token": TOKEN, "amount": 5},
        "spender": THIEF,
        "nonce": 0,
        "deadline": 9,
        "witness": {"user": FRIEND},
    }
    [effect] = read(document("PermitWitnessTransferFrom", types, message, contract=PERMIT2))
    assert effect.reason is Reason.TYPED_DATA


def test_an_authorized_transfer_is_one() -> None:
    members = "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce"
    message = {"from": WALLET, "to": THIEF, "value": 5, "validAfter": 0, "validBefore": 9, "nonce": bytes(32)}
    for primary in ("TransferWithAuthorization", "ReceiveWithAuthorization"):
        [effect] = read(document(primary, {primary: members}, message))
        assert brief(effect) == ("transfer", WALLET, THIEF, 5, 9)


def test_a_safe_transaction_is_what_the_safe_will_do() -> None:
    [container] = read(safe_tx(TOKEN, TRANSFER))
    [moved] = container.effects
    assert (container.kind, container.contract) == (Kind.NESTED, SAFE)
    assert brief(moved)[:4] == ("transfer", SAFE, THIEF, 5)


def test_a_delegate_call_in_a_safe_transaction_shows_its_batch() -> None:
    [container] = read(safe_tx(MULTI_SEND, multi_send((0, TOKEN, 0, TRANSFER)), operation=1))
    kinds = [effect.kind for effect in container.walk()]
    assert kinds == [Kind.NESTED, Kind.DELEGATE_CALL, Kind.TRANSFER]


def test_a_gas_refund_of_a_safe_is_not_passed_over() -> None:
    [container] = read(safe_tx(TOKEN, TRANSFER, gas_price=1))
    assert container.effects[-1].kind is Kind.UNKNOWN
    assert container.effects[-1].counterparty == THIEF


def test_a_user_operation_in_a_document_is_decoded_like_one_on_chain() -> None:
    [found] = read(operation())
    assert (found.kind, found.account, found.contract) == (Kind.USER_OPERATION, SAFE, ENTRY_POINT)
    assert [effect.kind for effect in found.walk()] == [
        Kind.USER_OPERATION, Kind.NESTED, Kind.TRANSFER, Kind.FEE,
    ]  # fmt: skip


def test_a_user_operation_for_a_stranger_as_entry_point_is_unknown() -> None:
    found = operation()
    found["domain"]["verifyingContract"] = "0x" + THIEF.hex()
    assert read(found)[0].reason is Reason.IMPOSTOR


def test_an_operation_that_hands_the_account_over_says_so() -> None:
    [found] = read(operation(initCode=bytes.fromhex("7702") + bytes(18)))
    assert found.effects[0].kind is Kind.UNKNOWN
    assert "7702" in found.effects[0].function


def test_an_authorization_dressed_as_a_document_is_a_delegation() -> None:
    types = {"Authorization": "uint256 chainId,address address,uint256 nonce"}
    [effect] = read(document("Authorization", types, {"chainId": 10, "address": THIEF, "nonce": 0}))
    assert (effect.kind, effect.counterparty, effect.chain_id) == (Kind.DELEGATION, THIEF, 10)


def test_a_payload_of_another_sequence_wallet_is_decoded() -> None:
    types = {
        "Calls": "Call[] calls,uint256 space,uint256 nonce,address[] wallets",
        "Call": "address to,uint256 value,bytes data,uint256 gasLimit,bool delegateCall,bool onlyFallback,"
        "uint256 behaviorOnError",
    }
    call = {
        "to": TOKEN,
        "value": 0,
        "data": TRANSFER,
        "gasLimit": 0,
        "delegateCall": False,
        "onlyFallback": False,
        "behaviorOnError": 1,
    }
    message = {"calls": [call, call | {"delegateCall": True, "to": THIEF}], "space": 0, "nonce": 0, "wallets": []}
    [container] = read(document("Calls", types, message, contract=SAFE, name="Sequence Wallet", version="3"))
    moved, delegate = container.effects
    assert (moved.account, moved.counterparty) == (SAFE, THIEF)
    assert (delegate.kind, delegate.contract) == (Kind.DELEGATE_CALL, THIEF)


def test_a_payload_with_parents_in_a_document_is_the_outermost_parents() -> None:
    update = {"ConfigUpdate": "bytes32 imageHash,address[] wallets"}
    [effect] = read(document("ConfigUpdate", update, {"imageHash": bytes(32), "wallets": [FRIEND]}, contract=SAFE))
    assert (effect.kind, effect.account) == (Kind.ACCOUNT_CHANGE, FRIEND)
    message = {"Message": "bytes message,address[] wallets"}
    [container] = read(document("Message", message, {"message": b"hi", "wallets": [FRIEND]}, contract=SAFE))
    assert [inner.account for inner in container.walk()] == [FRIEND, FRIEND]


def test_a_configuration_update_of_another_wallet_is_a_change_of_its_control() -> None:
    types = {"ConfigUpdate": "bytes32 imageHash,address[] wallets"}
    [effect] = read(document("ConfigUpdate", types, {"imageHash": bytes(32), "wallets": []}, contract=SAFE))
    assert (effect.kind, effect.account) == (Kind.ACCOUNT_CHANGE, SAFE)


def test_a_delegation_of_erc_7710_is_a_grant_without_a_bound() -> None:
    types = {
        "Delegation": "address delegate,address delegator,bytes32 authority,Caveat[] caveats,uint256 salt",
        "Caveat": "address enforcer,bytes terms",
    }
    message = {"delegate": THIEF, "delegator": WALLET, "authority": b"\xff" * 32, "caveats": [], "salt": 1}
    [effect] = read(document("Delegation", types, message))
    assert brief(effect) == ("grant", WALLET, THIEF, None, None)


def test_a_forwarded_request_acts_for_its_from() -> None:
    types = {"ForwardRequest": "address from,address to,uint256 value,uint256 gas,uint256 nonce,bytes data"}
    message = {"from": WALLET, "to": TOKEN, "value": 0, "gas": 9, "nonce": 0, "data": TRANSFER}
    [container] = read(document("ForwardRequest", types, message, contract=FRIEND))
    assert brief(container.effects[0])[:4] == ("transfer", WALLET, THIEF, 5)


def order(*offer: dict[str, Any]) -> dict[str, Any]:
    types = {
        "OrderComponents": "address offerer,address zone,OfferItem[] offer,ConsiderationItem[] consideration,"
        "uint8 orderType,uint256 startTime,uint256 endTime,bytes32 zoneHash,uint256 salt,bytes32 conduitKey,"
        "uint256 counter",
        "OfferItem": "uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount",
        "ConsiderationItem": "uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,"
        "uint256 endAmount,address recipient",
    }
    message = {
        "offerer": WALLET,
        "zone": THIEF,
        "offer": list(offer),
        "consideration": [],
        "orderType": 0,
        "startTime": 0,
        "endTime": 99,
        "zoneHash": bytes(32),
        "salt": 0,
        "conduitKey": bytes(32),
        "counter": 0,
    }
    return document("OrderComponents", types, message, name="Seaport")


def test_what_an_order_offers_goes_to_whomever_pays() -> None:
    item = {"itemType": 2, "token": TOKEN, "identifierOrCriteria": 7, "startAmount": 1, "endAmount": 1}
    coin = {"itemType": 1, "token": TOKEN, "identifierOrCriteria": 0, "startAmount": 5, "endAmount": 9}
    one, other = read(order(item, coin))
    assert brief(one) == ("transfer", WALLET, None, 1, 99)
    assert one.asset is not None
    assert one.asset.id == 7
    assert brief(other) == ("transfer", WALLET, None, 9, 99)


def test_an_order_that_offers_nothing_is_unknown() -> None:
    [effect] = read(order())
    assert effect.reason is Reason.EMPTY


def test_an_unknown_type_is_unknown_and_so_is_one_without_a_contract() -> None:
    [effect] = read(document("Mail", {"Mail": "string text"}, {"text": "hello"}))
    assert (effect.kind, effect.reason) == (Kind.UNKNOWN, Reason.TYPED_DATA)
    [effect] = read(permit(contract=None))
    assert (effect.kind, effect.reason) == (Kind.UNKNOWN, Reason.TYPED_DATA)


def test_a_document_without_a_chain_holds_on_every_chain() -> None:
    [effect] = read(permit(chainId=None))
    assert effect.chain_id == 0


def test_a_message_that_a_safe_signs_is_looked_into() -> None:
    types = {"SafeMessage": "bytes message"}
    for message in (b"h" * 32, b"\x19\x01" + bytes(64)):
        [container] = read(document("SafeMessage", types, {"message": message}, contract=SAFE))
        [inner] = container.effects
        assert inner.kind is Kind.UNKNOWN
        assert list(all_effects((container,))) == [container, inner]


def test_a_delegation_that_leaves_nothing_open_shows_the_most_that_can_leave() -> None:
    made = delegation()
    [grant] = effects_of_typed_data(made.typed_data(METAMASK.manager, CHAIN), made.delegator)
    assert (grant.kind, grant.account, grant.counterparty) == (Kind.GRANT, made.delegator, made.delegate)
    found = read_grant(made, METAMASK)
    assert grant.expires_s == found.expires_at_s
    assert [(e.counterparty, e.amount, e.expires_s) for e in grant.effects] == [
        (recipient, found.exposure(0), found.expires_at_s) for recipient in found.recipients
    ]
    assert all(effect.signed and effect.account == made.delegator for effect in grant.effects)


def test_a_delegation_with_one_condition_less_or_of_another_manager_has_no_bound() -> None:
    whole = delegation()
    for at in range(len(whole.caveats)):
        open_ = replace(whole, caveats=whole.caveats[:at] + whole.caveats[at + 1 :])
        [grant] = effects_of_typed_data(open_.typed_data(METAMASK.manager, CHAIN), whole.delegator)
        if grant.expires_s is None:
            assert (grant.amount, grant.effects) == (None, ())
        else:  # the condition bounded nothing
            assert read_grant(open_, METAMASK).exposure(0) == grant.effects[0].amount
    other = replace(METAMASK.manager, address=THIEF)
    [grant] = effects_of_typed_data(whole.typed_data(other, CHAIN), whole.delegator)
    assert (grant.amount, grant.expires_s, grant.effects) == (None, None, ())
