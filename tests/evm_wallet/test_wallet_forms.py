"""Forms that are read or written at the edge of wallets: refused members, calldata, contexts, passkeys' trees."""

from typing import Any

import pytest
from eth_abi.abi import decode, encode

from evm.address import ZERO_ADDRESS, checksum
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.wallet import abi
from evm.wallet.configuration import Configuration
from evm.wallet.configuration_json import (
    configuration_to_json,
    parse_configuration,
    parse_service_configuration,
    parse_topology,
    service_configuration_to_json,
)
from evm.wallet.context import CONTEXTS, DEFAULT_CONTEXT, GUEST_MODULE, extensions_of, parse_context
from evm.wallet.default_wallet import DEFAULT_GUARD, Guard, default_configuration
from evm.wallet.deploy import DEPLOY, EXECUTE, execute_call, first_transaction, is_erc6492, parse_erc6492
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import DOMAIN_TYPE, RecoveryPayload, SessionImplicitAuthorize
from evm.wallet.packed_calls import pack_calls, parse_packed_calls
from evm.wallet.passkeys.public_key import PasskeyPublicKey, credential_metadata, parse_public_key
from evm.wallet.passkeys.signature import (
    PasskeySignature,
    encode_passkey_signature,
    encode_passkey_signature_abi,
    parse_passkey_signature,
    passkey_signature,
)
from evm.wallet.passkeys.verifying import P256_ORDER, PasskeyModule
from evm.wallet.payload import (
    CALL_TYPE,
    CALLS_TYPE,
    CONFIG_UPDATE_TYPE,
    MESSAGE_TYPE,
    BehaviorOnError,
    Call,
    CallsPayload,
    MessagePayload,
    PayloadKind,
)
from evm.wallet.payload_json import parse_payload
from evm.wallet.topology import AnyAddressSubdigestLeaf, Branch, NestedLeaf, SapientLeaf, SignerLeaf, SubdigestLeaf
from evm.wallet.user_operation import EXECUTE_USER_OP, Factory, Paymaster, UserOperation, parse_user_operation

from .samples import KEYS, WALLET, address_of, p256

WORD = b"\x01" * 32
CALL = Call(WALLET, data=b"data")
JSON_CALL = {
    "to": checksum(WALLET),
    "value": "0",
    "data": "0x",
    "gasLimit": "0",
    "delegateCall": False,
    "onlyFallback": False,
    "behaviorOnError": "ignore",
}
SIGNER = {"type": "signer", "address": checksum(WALLET), "weight": "1"}


def refused(parse: Any, *arguments: Any) -> str:
    with pytest.raises(EvmError) as caught:
        parse(*arguments)
    return caught.value.code


# --- constants that the contracts state ---


def test_type_hashes_are_those_of_the_contracts() -> None:
    assert keccak256(CALL_TYPE.encode()).hex() == "0603985259a953da1f65a522f589c17bd1d0117ec1d3abb7c0788aef251ef437"
    assert keccak256(CALLS_TYPE.encode()).hex() == "11e1e4079a79a66e4ade50033cfe2678cdd5341d2dfe5ef9513edb1a0be147a2"
    assert keccak256(MESSAGE_TYPE.encode()).hex() == "e19a3b94fc3c7ece3f890d98a99bc422615537a08dea0603fa8425867d87d466"
    found = keccak256(CONFIG_UPDATE_TYPE.encode()).hex()
    assert found == "11fdeb7e8373a1aa96bfac8d0ea91526b2c5d15e5cee20e0543e780258f3e8e4"
    assert keccak256(DOMAIN_TYPE.encode()).hex() == "8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f"
    assert [kind.value for kind in PayloadKind] == [0, 1, 2, 3]
    assert [behavior.name for behavior in BehaviorOnError] == ["IGNORE", "REVERT", "ABORT"]


def test_selectors_are_those_of_the_contracts() -> None:
    assert (DEPLOY.hex(), EXECUTE.hex(), EXECUTE_USER_OP.hex()) == ("32c02a14", "1f6a1eb9", "9c145aed")


@pytest.mark.parametrize(
    ("name", "code_hash"),
    [
        ("Rc5", "108ec9459d08d016c34e0d3357656670fac2387bc04626c9754bc2f824a6eb8a"),
        ("Rc5_4337", "c75c42a5ea0df786097a5e0ce3cbfabe3352f2b69c96a3689f0072a8c7c6c37c"),
        ("Rc4", "3e4a11cce9a599cbce64313f50079bf370553899a515854460755cd84a85f8cd"),
        ("Rc4_4337", "4b970a1a57ee9df38d4a481235a67b652bdb52940861727b6b7ab82ed6881864"),
        ("Rc3", "573fd524dc86b426cf228cb23f874693e22c686ed86eee5bc6720a772e660608"),
        ("Rc3_4337", "82f5ff7887321da9edddddb550a51339a8024e1a59197e145771751b7a1d886e"),
        ("Dev2", "1d51f3469228e0dbaece628c3613618a54fe2a3626bee5b3daa6b50ed7718a74"),
        ("Dev2_4337", "a63bd4c50c02693a4188fcf3747ca1701deb740079008c9795eff90719bfd9cc"),
        ("Dev1", "1bd6c8d603e42e7b0568bb8b8e8be8df147904a02dca3bc5bf2b4837b1766d51"),
    ],
)
def test_init_code_of_a_context(name: str, code_hash: str) -> None:
    context = parse_context(name)
    assert context.init_code_hash.hex() == code_hash
    # Stage 2 is the first contract that stage 1 creates.
    from evm.transaction.model import contract_address

    assert contract_address(context.stage1, 1) == context.stage2
    assert extensions_of(context) == extensions_of(CONTEXTS[name.removesuffix("_4337")])


@pytest.mark.parametrize("name", [None, "", "rc5", "Rc6", 5, ["Rc5"]])
def test_unknown_context_is_refused(name: object) -> None:
    assert refused(parse_context, name) == "wallet-context"


def test_image_hash_of_another_length_has_no_address() -> None:
    assert refused(DEFAULT_CONTEXT.wallet_address, bytes(31)) == "wallet-image-hash"


# --- ABI ---


def test_abi_equals_that_of_a_library() -> None:
    found = abi.encode(abi.word(WALLET), abi.dynamic(b"x" * 33), abi.word(7), abi.dynamic(b""))
    assert found == encode(["address", "bytes", "uint256", "bytes"], [WALLET, b"x" * 33, 7, b""])
    rows = abi.array(abi.word(1), abi.word(2))
    assert abi.encode(rows) == encode(["uint256[]"], [[1, 2]])


def test_execute_call_is_read_by_a_library() -> None:
    call = execute_call(WALLET, b"packed", b"signature")
    assert (call.to, call.data[:4]) == (WALLET, EXECUTE)
    assert decode(["bytes", "bytes"], call.data[4:]) == (b"packed", b"signature")


def test_first_transaction_deploys_and_executes() -> None:
    wallet = DEFAULT_CONTEXT.wallet_address(WORD)
    found = parse_packed_calls(first_transaction(DEFAULT_CONTEXT, WORD, b"packed", b"signature"), GUEST_MODULE)
    deploy, execute = found.calls
    assert (found.space, found.nonce) == (0, 0)
    assert deploy.to == DEFAULT_CONTEXT.factory
    assert decode(["address", "bytes32"], deploy.data[4:]) == (checksum(DEFAULT_CONTEXT.stage1).lower(), WORD)
    assert execute == execute_call(wallet, b"packed", b"signature")
    assert {call.behavior_on_error for call in found.calls} == {BehaviorOnError.REVERT}


def test_wrapped_signature_has_one_encoding() -> None:
    from evm.wallet.deploy import deploy_call, wrap_erc6492

    whole = wrap_erc6492(b"signature", deploy_call(DEFAULT_CONTEXT, WORD))
    assert is_erc6492(whole)
    assert not is_erc6492(whole[:-1])
    factory_padding = b"\x01" + whole[1:]
    tail_padding = whole[:-33] + b"\x01" + whole[-32:]
    for damaged in (factory_padding, tail_padding, whole[:-1], whole[32:], whole[-32:]):
        assert refused(parse_erc6492, damaged) == "wallet-erc6492"


# --- packed calls ---


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "wallet-packed-calls"),
        ("51", "wallet-packed-calls-flag"),
        ("91", "wallet-packed-calls-flag"),
        ("11", "wallet-packed-calls"),
        ("11c1", "wallet-call-behavior"),
        ("1100" + "00" * 19, "wallet-packed-calls"),
        ("110500000400", "wallet-packed-calls"),
        ("0101", "wallet-packed-calls"),
        ("10" + "00" * 19, "wallet-packed-calls"),
    ],
)
def test_malformed_packed_calls_are_refused(data: str, code: str) -> None:
    assert refused(parse_packed_calls, bytes.fromhex(data), WALLET) == code


def test_call_to_the_wallet_itself_is_to_whoever_reads() -> None:
    assert parse_packed_calls(bytes.fromhex("1141"), WALLET).calls == (Call(WALLET),)
    assert refused(pack_calls, CallsPayload((CALL,), parent_wallets=(WALLET,))) == "wallet-packed-calls-parents"


# --- JSON ---


@pytest.mark.parametrize(
    "value",
    [
        None,
        "call",
        {},
        {"type": "call"},
        {"type": "Call", "space": "0", "nonce": "0", "calls": []},
        {"type": ["call"], "space": "0", "nonce": "0", "calls": []},
        {"type": "call", "space": "0", "nonce": "0", "calls": [], "extra": 1},
        {"type": "call", "space": "00", "nonce": "0", "calls": []},
        {"type": "call", "space": "0x0", "nonce": "0", "calls": []},
        {"type": "call", "space": True, "nonce": "0", "calls": []},
        {"type": "call", "space": "0", "nonce": "-1", "calls": []},
        {"type": "call", "space": "0", "nonce": "0", "calls": {}},
        {"type": "call", "space": "0", "nonce": "0", "calls": [JSON_CALL | {"behaviorOnError": "panic"}]},
        {"type": "call", "space": "0", "nonce": "0", "calls": [JSON_CALL | {"behaviorOnError": ["revert"]}]},
        {"type": "call", "space": "0", "nonce": "0", "calls": [JSON_CALL | {"behaviorOnError": 1}]},
        {"type": "call", "space": "0", "nonce": "0", "calls": [JSON_CALL | {"delegateCall": 0}]},
        {"type": "call", "space": "0", "nonce": "0", "calls": [JSON_CALL | {"onlyFallback": "false"}]},
        {"type": "call", "space": "0", "nonce": "0", "calls": [{k: JSON_CALL[k] for k in JSON_CALL if k != "data"}]},
        {"type": "message", "message": "hello"},
        {"type": "message", "message": "0x", "recovery": "true"},
        {"type": "config-update", "imageHash": "0x01"},
        {"type": "digest", "digest": "0x" + "01" * 33},
        {"type": "message", "message": "0x", "parentWallets": "0x"},
    ],
)
def test_malformed_payload_is_refused(value: object) -> None:
    good = {"type": "call", "space": "0", "nonce": 0, "calls": [JSON_CALL]}
    assert parse_payload(good) == CallsPayload((Call(WALLET, behavior_on_error=BehaviorOnError.IGNORE),))
    assert refused(parse_payload, value)


@pytest.mark.parametrize(
    "topology",
    [
        None,
        7,
        "0x01",
        [],
        [SIGNER],
        [SIGNER, SIGNER, SIGNER],
        {},
        SIGNER | {"type": "Signer"},
        SIGNER | {"type": ["signer"]},
        SIGNER | {"weight": "01"},
        SIGNER | {"weight": -1},
        SIGNER | {"weight": 1.0},
        SIGNER | {"address": "0x" + "Aa" * 20},
        SIGNER | {"imageHash": "0x" + "00" * 32},
        {"type": "sapient-signer", "address": checksum(WALLET), "weight": "1"},
        {"type": "subdigest", "digest": "0x"},
        {"type": "nested", "tree": SIGNER, "weight": "1"},
        {"type": "nested", "tree": None, "weight": "1", "threshold": "1"},
    ],
)
def test_malformed_tree_is_refused(topology: object) -> None:
    assert parse_topology(SIGNER) == SignerLeaf(WALLET, 1)
    assert refused(parse_topology, topology)
    assert refused(parse_configuration, {"threshold": "1", "checkpoint": "0", "topology": topology})


def test_form_of_the_state_service() -> None:
    nested = NestedLeaf(Branch(SubdigestLeaf(WORD), AnyAddressSubdigestLeaf(WORD)), 2, 3)
    found = Configuration(1, 2, Branch(nested, SapientLeaf(WALLET, 5, WORD)), WALLET)
    word, wallet = "0x" + WORD.hex(), checksum(WALLET)
    assert service_configuration_to_json(found) == {
        "threshold": "1",
        "checkpoint": "2",
        "checkpointer": wallet,
        "tree": [
            {"weight": "2", "threshold": "3", "tree": [{"subdigest": word}, {"subdigest": word, "isAnyAddress": True}]},
            {"address": wallet, "weight": "5", "imageHash": word},
        ],
    }
    numbers = service_configuration_to_json(found) | {"threshold": 1, "checkpoint": 2}
    assert parse_service_configuration(numbers) == found
    false = {"threshold": 1, "checkpoint": 0, "tree": {"subdigest": word, "isAnyAddress": False}}
    assert parse_service_configuration(false).topology == SubdigestLeaf(WORD)
    for tree in (
        {"subdigest": word, "isAnyAddress": 1},
        {"subdigest": word, "weight": 1},
        {"weight": 1, "threshold": 1, "tree": None},
        {"weight": 1, "threshold": 1, "tree": word, "address": wallet},
        {"type": "signer", "weight": 1, "address": wallet},
        {"weight": 1},
    ):
        assert refused(parse_service_configuration, {"threshold": 1, "checkpoint": 0, "tree": tree})
    assert refused(parse_configuration, service_configuration_to_json(found)) == "wallet-config"
    assert refused(parse_service_configuration, configuration_to_json(found)) == "wallet-config"


# --- default wallet ---


def test_new_wallet_without_anybody_has_leaves_that_nobody_can_sign() -> None:
    nobody = SignerLeaf(ZERO_ADDRESS, 0)
    assert default_configuration([], []).topology == Branch(Branch(nobody, nobody), nobody)
    heavy = SignerLeaf(address_of(KEYS[0]), 2)
    assert refused(default_configuration, [heavy], []) == "wallet-default-weight"


def test_default_guard_is_the_documented_one() -> None:
    assert checksum(DEFAULT_GUARD.wallet) == "0x26f3D30F41FA897309Ae804A2AFf15CEb1dA5742"
    assert checksum(DEFAULT_GUARD.sessions) == "0xF6Bc87F5F2edAdb66737E32D37b46423901dfEF1"
    assert checksum(Guard(WALLET, WALLET).fallback) == "0x007a47e6BF40C1e0ed5c01aE42fDC75879140bc4"


# --- payload types without a digest of their own ---


def test_wrapping_types_hold_what_they_wrap() -> None:
    class Attestation:
        hash = WORD

    found = SessionImplicitAuthorize(WALLET, Attestation())
    assert found.attestation.hash == WORD
    assert RecoveryPayload(MessagePayload(b"x")).payload == MessagePayload(b"x")


# --- passkeys ---


def assertion(**changes: Any) -> PasskeySignature:
    key = PasskeyPublicKey(WORD, WORD, False, changes.pop("metadata", None))
    whole: dict[str, Any] = {
        "public_key": key,
        "authenticator_data": bytes(37),
        "client_data_json": b'{"type":"webauthn.get","challenge":""}',
        "challenge_index": 23,
        "type_index": 1,
        "r": WORD,
        "s": WORD,
    }
    return PasskeySignature(**whole | changes)


def test_tree_of_a_passkey_folds_to_its_root() -> None:
    for metadata in (None, credential_metadata("id")):
        for verification in (True, False):
            key = PasskeyPublicKey(WORD, b"\x02" * 32, verification, metadata)
            (x, y), (flag, meta) = ([bytes.fromhex(leaf[2:]) for leaf in pair] for pair in key.to_tree())
            assert (int.from_bytes(flag, "big"), meta) == (verification, metadata or bytes(32))
            assert keccak256(keccak256(x + y) + keccak256(flag + meta)) == key.root
    assert len({PasskeyPublicKey(WORD, WORD, flag, meta).root for flag in (True, False) for meta in (None, WORD)}) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"x": "0x01"},
        {"requireUserVerification": 1},
        {"metadata": None},
        {"metadata": "0x01"},
        {"metadata": {"credentialId": 1}},
        {"metadata": {"credentialId": "a", "name": "b"}},
        {"z": 1},
    ],
)
def test_malformed_public_key_is_refused(changes: dict[str, Any]) -> None:
    good: dict[str, Any] = {"x": "0x" + "01" * 32, "y": "0x" + "01" * 32, "requireUserVerification": False}
    assert parse_public_key(good | {"metadata": {"credentialId": "id"}}).metadata == keccak256(b"id")
    assert refused(parse_public_key, good | changes)


@pytest.mark.parametrize("size", [0, 33, 255, 256, 1000])
def test_sizes_above_one_byte_have_a_flag(size: int) -> None:
    found = assertion(
        authenticator_data=bytes(size), client_data_json=bytes(size), challenge_index=size, type_index=size // 2
    )
    data = encode_passkey_signature(found)
    assert parse_passkey_signature(data) == found
    wide = (0x02 | 0x04 | 0x08) * (size > 255) | 0x10 * (size // 2 > 255)
    assert data[0] == wide
    two, half = size.to_bytes(2, "big"), (size // 2).to_bytes(2, "big")
    always_wide = bytes([0x1E]) + two + bytes(size) + two + bytes(size) + two + half
    assert parse_passkey_signature(always_wide + WORD * 4) == found


def test_malformed_assertions_are_refused() -> None:
    data = encode_passkey_signature(assertion())
    for damaged in (b"", data[:-1], data + b"\x00", data[:1], data[:40]):
        with pytest.raises(WalletError) as caught:
            parse_passkey_signature(damaged)
        assert (caught.value.code, caught.value.reason) == ("wallet-passkey-length", "InvalidSignatureLength")
    assert refused(parse_passkey_signature, bytes([data[0] | 0x80]) + data[1:]) == "wallet-passkey-flag"
    abi_form = encode_passkey_signature_abi(assertion())
    types = ["(bytes,string,uint256,uint256,bytes32,bytes32)", "bool", "bytes32", "bytes32", "bytes32"]
    values = decode(types, abi_form[1:])
    assert encode(types, values) == abi_form[1:]
    for damaged in (abi_form + bytes(32), abi_form[:-1], abi_form[:32], bytes([0x21]) + abi_form[1:]):
        assert refused(parse_passkey_signature, damaged) == "wallet-passkey-abi"
    assert refused(passkey_signature, assertion().public_key, b"", b"{}", WORD, WORD) == "wallet-passkey-client-data"


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (P256_ORDER, 1), (1, P256_ORDER // 2 + 1), (1, P256_ORDER - 1)])
def test_verifier_is_not_asked_about_numbers_out_of_range(r: int, s: int) -> None:
    import base64

    challenge = base64.urlsafe_b64encode(WORD).rstrip(b"=")
    client = b'{"type":"webauthn.get","challenge":"' + challenge + b'"}'
    whole = assertion(
        authenticator_data=bytes(32) + b"\x01",
        client_data_json=client,
        r=r.to_bytes(32, "big"),
        s=s.to_bytes(32, "big"),
    )
    module = PasskeyModule(lambda *_: True)
    with pytest.raises(WalletError) as caught:
        module.recover(WORD, encode_passkey_signature(whole))
    assert (caught.value.code, caught.value.reason) == ("wallet-passkey-range", "InvalidPasskeySignature")


@pytest.mark.parametrize("answer", [None, 1, "yes"])
def test_verifier_that_does_not_say_true_says_no(answer: Any) -> None:
    import base64

    challenge = base64.urlsafe_b64encode(WORD).rstrip(b"=")
    client = b'{"type":"webauthn.get","challenge":"' + challenge + b'"}'
    whole = assertion(authenticator_data=bytes(32) + b"\x01", client_data_json=client)
    data = encode_passkey_signature(whole)
    assert refused(PasskeyModule(lambda *_: answer).recover, WORD, data) == "wallet-passkey-signature"
    assert refused(PasskeyModule(p256).recover, WORD, data) == "wallet-passkey-signature"
    assert PasskeyModule(lambda *_: True).recover(WORD, data) == whole.public_key.root
    short = encode_passkey_signature(assertion(authenticator_data=bytes(32), client_data_json=client))
    assert refused(PasskeyModule(lambda *_: True).recover, WORD, short) == "wallet-passkey-user"


# --- user operations ---


def user_operation(**changes: Any) -> UserOperation:
    numbers = dict.fromkeys(
        ("call_gas_limit", "verification_gas_limit", "pre_verification_gas", "max_fee_per_gas", "space", "nonce"), 1
    )
    whole: dict[str, Any] = {"sender": WALLET, "calls": CallsPayload((CALL,)), "max_priority_fee_per_gas": 1, **numbers}
    return UserOperation(**whole | changes)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sender": b"short"}, "wallet-user-operation"),
        ({"calls": CallsPayload((CALL,), nonce=1)}, "wallet-user-op-calls"),
        ({"calls": CallsPayload((CALL,), space=1)}, "wallet-user-op-calls"),
        ({"calls": CallsPayload((CALL,), parent_wallets=(WALLET,))}, "wallet-user-op-calls"),
        ({"space": 2**192}, "wallet-user-op-nonce"),
        ({"nonce": 2**64}, "wallet-user-op-nonce"),
        ({"call_gas_limit": 2**128}, "wallet-user-op-gas"),
        ({"max_fee_per_gas": -1}, "wallet-user-op-gas"),
        ({"pre_verification_gas": 2**256}, "wallet-user-op-gas"),
        ({"paymaster": Paymaster(WALLET, b"", 2**128, 0)}, "wallet-user-op-gas"),
    ],
)
def test_user_operation_out_of_range_is_refused(changes: dict[str, Any], code: str) -> None:
    assert user_operation(space=2**192 - 1, nonce=2**64 - 1).full_nonce == 2**256 - 1
    assert refused(lambda: user_operation(**changes)) == code


def test_user_operation_hash_is_that_of_the_entry_point() -> None:
    """Packed and hashed by a library."""
    found = user_operation(factory=Factory(WALLET, b"factory"), paymaster=Paymaster(WALLET, b"data", 2, 3))
    packed = encode(
        ["address", "uint256", "bytes32", "bytes32", "bytes32", "uint256", "bytes32", "bytes32"],
        [
            WALLET,
            1 << 64 | 1,
            keccak256(WALLET + b"factory"),
            keccak256(found.call_data),
            (1 << 128 | 1).to_bytes(32, "big"),
            1,
            (1 << 128 | 1).to_bytes(32, "big"),
            keccak256(WALLET + (2 << 128 | 3).to_bytes(32, "big") + b"data"),
        ],
    )
    entry_point = encode(["bytes32", "address", "uint256"], [keccak256(packed), found.entry_point, 10])
    assert found.user_op_hash(10) == keccak256(entry_point)
    assert found.user_op_hash(10) != found.user_op_hash(11)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "call"},
        {"factory": checksum(WALLET)},
        {"factoryData": "0x"},
        {"paymaster": checksum(WALLET), "paymasterData": "0x"},
        {"callGasLimit": "0x1"},
        {"nonce": None},
        {"extra": 1},
        {"calls": [{}]},
    ],
)
def test_malformed_user_operation_is_refused(changes: dict[str, Any]) -> None:
    names = (
        "callGasLimit",
        "verificationGasLimit",
        "preVerificationGas",
        "maxFeePerGas",
        "maxPriorityFeePerGas",
        "space",
        "nonce",
    )
    good: dict[str, Any] = {"type": "call_4337_07", "calls": [JSON_CALL], "entrypoint": checksum(WALLET)}
    good |= dict.fromkeys(names, "1")
    assert parse_user_operation(good, WALLET).full_nonce == (1 << 64 | 1)
    assert refused(parse_user_operation, good | changes, WALLET)
