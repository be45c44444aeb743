"""Rules that no step of ours breaks: they hold the code itself to what was promised."""

from dataclasses import replace
from typing import Any

import pytest

from enclave.sequence import plan as plans
from enclave.sequence.rules import validate_plan, validate_update
from enclave.sequence.signing import Prepared
from evm.wallet.configuration import Configuration
from evm.wallet.context import CONTEXTS
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import MessagePayload
from evm.wallet.sessions.configuration import IdentitySigner, Node, add, image_hash, new_tree

from .test_wallet_limits import IDENTITY, addresses, plan, wallet
from .wallet_support import DEVICE, address_of, sign


def refusal(run: Any, *arguments: Any) -> str:
    with pytest.raises(WalletError) as caught:
        run(*arguments)
    return caught.value.code


def test_update_keeps_login_and_contracts_and_is_newer_and_another() -> None:
    old = plan()
    (other,) = addresses(1, 9)
    changed = replace(old, devices=(other,), checkpoint=1)
    validate_update(old, changed)
    foreign = replace(changed, identity=other, devices=(), sessions=new_tree([other]))
    assert refusal(validate_update, old, foreign) == "wallet-plan-identity"
    assert refusal(validate_update, old, replace(changed, context=CONTEXTS["Rc4"])) == "wallet-plan-identity"
    assert refusal(validate_update, old, replace(changed, checkpoint=0)) == "wallet-plan-checkpoint"
    assert refusal(validate_update, old, replace(old, checkpoint=1)) == "wallet-plan-unchanged"


def test_people_and_guard_reach_the_threshold_without_the_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plans.default_configuration

    def heavier(*arguments: Any, **named: Any) -> Configuration:
        return replace(made(*arguments, **named), threshold=3)

    validate_plan(plan())
    monkeypatch.setattr(plans, "default_configuration", heavier)
    assert refusal(validate_plan, plan()) == "wallet-plan-threshold"


def test_session_tree_shows_everything_and_no_stranger_attests() -> None:
    (other,) = addresses(1, 9)
    strangers = add(new_tree([IDENTITY]), IdentitySigner(other))
    assert refusal(validate_plan, plan(sessions=strangers)) == "wallet-plan-identity"
    assert refusal(validate_plan, plan(sessions=new_tree([other]), devices=(other,))) == "wallet-plan-identity"
    hidden = Node(image_hash(new_tree([IDENTITY])))
    assert refusal(validate_plan, plan(sessions=hidden)) == "wallet-session-tree-blacklist"


def test_signature_that_only_seems_complete_is_not_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = replace(wallet(), plan=plan(identity=address_of(DEVICE), sessions=new_tree([address_of(DEVICE)])))
    operation = Operation(MessagePayload(b"hello"), found.address, 1)
    prepared = Prepared(found, operation, ())
    data = bytes(sign(DEVICE, operation.digest))
    assert prepared.signed(data)["complete"] is False
    monkeypatch.setattr(Prepared, "_recovered", lambda *_: 2)
    assert refusal(prepared.signed, data) == "wallet-signature-weight-low"


def test_signature_of_another_key_than_the_logins_is_not_merged() -> None:
    found = wallet()
    operation = Operation(MessagePayload(b"hello"), found.address, 1)
    foreign = bytes(sign(DEVICE, operation.digest))
    assert refusal(Prepared(found, operation, ()).signed, foreign) == "wallet-leaf-signature"
