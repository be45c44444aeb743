"""What a key signs for an intent, for wallets of both generations; whose parent wallet is taken."""

from typing import Any

import pytest

from evm.address import Address, checksum
from evm.delegations.deployment import METAMASK
from evm.delegations.model import ROOT_AUTHORITY, Caveat, Delegation
from evm.errors import EvmError
from evm.intents.bundle import bundle_of
from evm.intents.signable import Signable, Signing, parse_personal_message, proof_text, signable
from evm.intents.user_wallet import ChildWalletV2, UserWallet, VerifiedParent, WalletV3, child_wallet, verify_parent
from evm.intents.wallet_data import SessionAuthProof
from evm.keccak import keccak256
from evm.message import PersonalMessage
from evm.typed_data import parse_typed_data
from evm.wallet.context import CONTEXTS, DEFAULT_CONTEXT
from evm.wallet.erc1271 import personal_preimage
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.digests import subdigest
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import DigestPayload
from evm.wallet.topology import Branch, NestedLeaf, NodeLeaf, SignerLeaf, SubdigestLeaf

from .samples import DATA, TYPED_DATA, WALLET, K1Key, refusal, signed, unsigned, verified

PARENT = Address(b"\x33" * 20)
V3, CHILD = WalletV3(WALLET), ChildWalletV2(WALLET, PARENT)
SESSION = K1Key().id
ENCLAVE, GUARD, RECOVERY = (Address(bytes([number]) * 20) for number in (1, 2, 3))
SALT = b"\x44" * 32


def intent_of(name: str, **changes: Any) -> Signing:
    data: Any = verified(signed(unsigned(name, {**DATA[name], **changes}))).data
    return data  # type: ignore[no-any-return]


def made(name: str, wallet: UserWallet, now_s: int = 1, **changes: Any) -> Signable:
    return signable(intent_of(name, **changes), wallet, SESSION, now_s)


SIGNING = ["sendTransaction", "signMessage", "signTypedData", "sessionAuthProof", "adoptChildWallet"]


@pytest.mark.parametrize("name", SIGNING)
def test_weakness_1_nothing_is_signed_for_a_wallet_that_is_not_the_users(name: str) -> None:
    stranger = Address(b"\x55" * 20)
    for wallet in (WalletV3(stranger), ChildWalletV2(stranger, PARENT)):
        with pytest.raises(EvmError, match="intent-wallet"):
            made(name, wallet)
    assert made(name, CHILD).wallet == WALLET


@pytest.mark.parametrize("name", SIGNING)
def test_child_signs_through_its_parent(name: str) -> None:
    found = made(name, CHILD)
    assert found.digest == subdigest(found.chain_id, PARENT, found.own_digest)
    assert found.understood["words"]


def test_weakness_8_only_an_adoption_is_for_every_chain() -> None:
    assert {name for name in SIGNING if made(name, CHILD).chain_id == 0} == {"adoptChildWallet"}


def test_bundle_of_the_third_generation_is_its_operation() -> None:
    intent: Any = intent_of("sendTransaction")
    found = signable(intent, V3, SESSION, 1)
    assert found.digest == found.own_digest == bundle_of(intent).operation.digest
    assert found.understood["calls"][2]["name"] == "erc20.transfer"


def test_message_is_signed_as_the_verifier_of_the_wallet_asks() -> None:
    preimage = personal_preimage(b"hello")
    assert made("signMessage", V3).digest == Operation(DigestPayload(keccak256(preimage)), WALLET, 137).digest
    assert made("signMessage", CHILD).own_digest == subdigest(137, WALLET, PersonalMessage(b"hello", None).digest)


def test_typed_data_is_signed_as_a_real_implementation_hashes_it() -> None:
    digest = parse_typed_data(TYPED_DATA).digest
    assert made("signTypedData", V3).digest == Operation(DigestPayload(digest), WALLET, 137).digest
    assert made("signTypedData", CHILD).own_digest == subdigest(137, WALLET, digest)


def test_type_of_the_domain_may_be_told_from_the_domain() -> None:
    types = {name: fields for name, fields in TYPED_DATA["types"].items() if name != "EIP712Domain"}
    without = made("signTypedData", V3, typedData={**TYPED_DATA, "types": types})
    assert without.digest == made("signTypedData", V3).digest
    odd = {**TYPED_DATA, "types": types, "domain": {**TYPED_DATA["domain"], "color": "red"}}
    assert refusal(signed(unsigned("signTypedData", {**DATA["signTypedData"], "typedData": odd}))) == "typed-fields"


def test_document_of_another_chain_is_refused() -> None:
    document = {**TYPED_DATA, "domain": {**TYPED_DATA["domain"], "chainId": 1}}
    with pytest.raises(EvmError, match="intent-typed-data-chain"):
        made("signTypedData", V3, typedData=document)


def test_delegation_is_no_document_to_sign() -> None:
    caveats = (Caveat(Address(b"\x01" * 20), b"\x02"),)
    made_out = Delegation(Address(b"\x11" * 20), WALLET, ROOT_AUTHORITY, caveats, 1)
    document = made_out.document(METAMASK.manager, 137)
    for wallet in (V3, CHILD):
        with pytest.raises(EvmError, match="intent-typed-data-delegation"):
            made("signTypedData", wallet, typedData=document)


def test_weakness_12_a_type_that_is_used_twice_is_named_once() -> None:
    document = {
        "types": {
            "EIP712Domain": [{"name": "name", "type": "string"}],
            "Pair": [{"name": "a", "type": "Left"}, {"name": "b", "type": "Right"}],
            "Left": [{"name": "x", "type": "Leaf"}],
            "Right": [{"name": "x", "type": "Leaf"}, {"name": "n", "type": "int8"}],
            "Leaf": [{"name": "b", "type": "bytes4"}, {"name": "m", "type": "uint8[][]"}],
        },
        "primaryType": "Pair",
        "domain": {"name": "x"},
        "message": {
            "a": {"x": {"b": "0x01020304", "m": [["1"], []]}},
            "b": {"x": {"b": "0x01020304", "m": []}, "n": "-1"},
        },
    }
    found = made("signTypedData", V3, typedData=document).understood
    assert found["encodedType"] == ("Pair(Left a,Right b)Leaf(bytes4 b,uint8[][] m)Left(Leaf x)Right(Leaf x,int8 n)")


PREFIX = b"\x19Ethereum Signed Message:\n"


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"hello", b"hello"),
        (b"", b""),
        (PREFIX + b"5hello", b"hello"),
        (PREFIX + b"0", b""),
        (PREFIX + b"12123456789012", b"123456789012"),
        (b"\x19\x01" + b"\x11" * 64, b"\x19\x01" + b"\x11" * 64),
        (b"\x11" * 32, b"\x11" * 32),
        (b"\x05\xc0", b"\x05\xc0"),
    ],
)
def test_message_is_always_a_personal_one(data: bytes, body: bytes) -> None:
    """Typed data, hashes and authorizations among them: behind the prefix they are none."""
    assert parse_personal_message(data).data == body


@pytest.mark.parametrize("data", [PREFIX, PREFIX + b"6hello", PREFIX + b"05hello", PREFIX + b"4hello", PREFIX + b"x"])
def test_prefix_with_a_wrong_length_is_refused(data: bytes) -> None:
    with pytest.raises(EvmError, match="intent-message-prefix"):
        parse_personal_message(data)


def test_proof_names_session_wallet_and_nonce() -> None:
    intent = intent_of("sessionAuthProof")
    assert isinstance(intent, SessionAuthProof)
    assert proof_text(intent, SESSION) == f"SessionAuthProof {SESSION} {checksum(WALLET)} n"
    found = made("sessionAuthProof", V3)
    assert found.digest == made("signMessage", V3, message="0x" + proof_text(intent, SESSION).encode().hex()).digest


def test_adoption_is_of_the_second_generation_and_by_somebody_else() -> None:
    with pytest.raises(EvmError, match="intent-adopt-generation"):
        made("adoptChildWallet", V3)
    for adopter in (WALLET, PARENT):
        with pytest.raises(EvmError, match="intent-adopter"):
            made("adoptChildWallet", CHILD, adopter=checksum(adopter))
    assert made("adoptChildWallet", CHILD, now_s=1).digest != made("adoptChildWallet", CHILD, now_s=2).digest


# --- the parent wallet ---

BOTH = Branch(SignerLeaf(ENCLAVE, 1), SignerLeaf(GUARD, 1))


def parent(configuration: V2Configuration, **changes: Any) -> VerifiedParent:
    facts: dict[str, Any] = {
        "address": V2.wallet_address(configuration.image_hash),
        "enclave": ENCLAVE,
        "guard": GUARD,
        "user_salt": SALT,
    }
    return verify_parent(configuration, **(facts | changes))


def test_weakness_10_parent_takes_both_words_and_is_where_it_is_said_to_be() -> None:
    good = V2Configuration(2, 0, BOTH)
    assert parent(good).address == V2.wallet_address(good.image_hash)
    turned = V2Configuration(2, 5, Branch(SignerLeaf(GUARD, 1), SignerLeaf(ENCLAVE, 1)))
    assert parent(turned).user_salt == SALT
    with pytest.raises(EvmError, match="intent-parent-address"):
        parent(good, address=PARENT)


@pytest.mark.parametrize(
    ("configuration", "code"),
    [
        (V2Configuration(1, 0, BOTH), "intent-parent-threshold"),
        (V2Configuration(3, 0, BOTH), "intent-parent-threshold"),
        (V2Configuration(2, 0, Branch(SignerLeaf(ENCLAVE, 2), SignerLeaf(GUARD, 1))), "intent-parent-signers"),
        (V2Configuration(2, 0, Branch(SignerLeaf(ENCLAVE, 1), SignerLeaf(GUARD, 2))), "intent-parent-signers"),
        (V2Configuration(2, 0, Branch(SignerLeaf(ENCLAVE, 1), SignerLeaf(RECOVERY, 1))), "intent-parent-signers"),
        (V2Configuration(2, 0, Branch(BOTH, SignerLeaf(RECOVERY, 2))), "intent-parent-signers"),
        (V2Configuration(2, 0, Branch(BOTH, SignerLeaf(ENCLAVE, 1))), "intent-parent-signers"),
        (V2Configuration(2, 0, Branch(BOTH, NodeLeaf(b"\x11" * 32))), "intent-parent-signers"),
        (V2Configuration(2, 0, Branch(BOTH, SubdigestLeaf(b"\x11" * 32))), "intent-parent-signers"),
        (V2Configuration(2, 0, NestedLeaf(BOTH, 2, 1)), "intent-parent-signers"),
        (V2Configuration(2, 0, SignerLeaf(ENCLAVE, 2)), "intent-parent-signers"),
    ],
)
def test_weakness_10_any_other_parent_is_refused(configuration: V2Configuration, code: str) -> None:
    with pytest.raises(EvmError, match=code):
        parent(configuration)


def test_recovery_contract_stands_beside_them_only_where_it_is_expected() -> None:
    configuration = V2Configuration(2, 0, Branch(BOTH, SignerLeaf(RECOVERY, 2)))
    assert parent(configuration, recovery=RECOVERY).user_salt == SALT
    with pytest.raises(EvmError, match="intent-parent-signers"):
        parent(V2Configuration(2, 0, BOTH), recovery=RECOVERY)
    with pytest.raises(EvmError, match="intent-parent-threshold"):
        parent(V2Configuration(2, 0, BOTH), guard=ENCLAVE)
    with pytest.raises(EvmError, match="intent-parent-salt"):
        parent(V2Configuration(2, 0, BOTH), user_salt=SALT[1:])


def test_users_of_one_tenant_and_of_two_have_wallets_of_their_own() -> None:
    first, second = VerifiedParent(PARENT, SALT), VerifiedParent(PARENT, b"\x45" * 32)
    assert len({child_wallet(each, user).address for each in (first, second) for user in ("a", "b")}) == 4
    assert WalletV3.of(SALT).address == DEFAULT_CONTEXT.wallet_address(SALT)
    assert WalletV3.of(SALT, CONTEXTS["Rc3"]).address != WalletV3.of(SALT).address
