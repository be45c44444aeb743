"""What the compiled contracts refuse is refused here, with the contract's reason."""

from typing import Any

import pytest

from evm.address import ZERO_ADDRESS
from evm.keccak import keccak256
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.packed_calls import parse_packed_calls
from evm.wallet.passkeys.verifying import PasskeyModule
from evm.wallet.payload import DigestPayload, MessagePayload
from evm.wallet.payload_json import parse_payload
from evm.wallet.signature.contracts import StaticApproval
from evm.wallet.signature.verifying import Wallet, verify_erc1271, verify_execution, verify_static_signature

from .samples import NOW_S, WALLET, B, TestChain, p256, vectors

# `isValidSignature` answers zeros for these, where `execute` reverts with the reason beside them.
NOT_VALID = ("not valid", "InvalidSignature")
STATE = "Reverted"  # what a call does on chain is beyond a signature


def each(*checks: str) -> pytest.MarkDecorator:
    chosen = [v for v in vectors("invalid") if v["check"] in checks and v["error"] != STATE]
    return pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in chosen])


def judge(vector: dict[str, Any], chain: TestChain) -> None:
    wallet = Wallet(B(vector["wallet"]), vector["chainId"], B(vector["imageHash"]))
    data = B(vector["signature"])
    if "Static" in vector["error"]:
        calls = parse_packed_calls(B(vector["packed"]), wallet.address)
        operation = Operation(calls, wallet.address, wallet.chain_id)
        verify_static_signature(data, operation, chain, caller=WALLET, now_s=vector["timestamp"])
    elif vector["entry"] == "execute":
        verify_execution(B(vector["packed"]), data, wallet, chain, next_nonce=0)
    else:
        payload = parse_payload(vector["payload"])
        assert isinstance(payload, MessagePayload | DigestPayload)
        hash_ = payload.digest if isinstance(payload, DigestPayload) else keccak256(payload.message)
        verify_erc1271(hash_, data, wallet, chain)


@each("wallet")
def test_signature_that_the_wallet_refuses(vector: dict[str, Any]) -> None:
    chain = TestChain()
    if "another caller" in vector["note"]:
        chain.approval = StaticApproval(B("0x" + "bb" * 20), NOW_S + 1)
    elif "expired" in vector["note"]:
        chain.approval = StaticApproval(ZERO_ADDRESS, NOW_S)
    with pytest.raises(WalletError) as caught:
        judge(vector, chain)
    if vector["error"] == "not valid":
        assert caught.value.code == "wallet-signature-image-hash"
        assert caught.value.reason in NOT_VALID
    else:
        assert caught.value.reason == vector["error"]


@each("passkey")
def test_assertion_that_the_passkeys_module_refuses(vector: dict[str, Any]) -> None:
    module, digest, data = PasskeyModule(p256), B(vector["digest"]), B(vector["signature"])
    if vector["error"] == "other root":
        assert module.recover(digest, data) != B(vector["root"])
        return
    with pytest.raises(WalletError) as caught:
        module.recover(digest, data)
    assert caught.value.reason == vector["error"]
