"""Published vectors: an intent of the documentation, and wallet, bundle and message of the original's own tests."""

import coincurve

from evm.address import Address, checksum
from evm.intents.bundle import bundle_of, nonce_space, parse_bundle, validate_bundle
from evm.intents.session_key import parse_session_key
from evm.intents.signable import signable
from evm.intents.user_wallet import ChildWalletV2, VerifiedParent, child_wallet
from evm.intents.wallet_data import SendTransaction, SignMessage
from evm.keccak import keccak256
from evm.signature import parse_recoverable
from evm.wallet.legacy.digests import bundle_nonce
from evm.wallet.legacy.signer import key_signature

from .samples import parsed, signed, unsigned, verified

B = bytes.fromhex
DOCUMENTED = {
    "version": "0.0.0",
    "issuedAt": 1712775116,
    "expiresAt": 1712775416,
    "name": "signMessage",
    "data": {
        "wallet": "0x7B7D7BA79542584f9AeF539F6696c070a4e1Ced6",
        "network": "1",
        "message": "0x48656c6c6f2c20686176652061206e69636520646179",
    },
    "signatures": [
        {
            "sessionId": "0x01047de46debeeb83e1270b80ae65996ea64ad2c033e330cfffe9b725bf078423140124dce0cfe0cab9a61b385c"
            "a74fe77cd5e8a7147bfd87052f334cfbadc45c79a",
            "signature": "0x28ec6ddcdbc0987a99dde19792ff0c9be69ad2be873fb9351353171b74d2df3380f0ffcae2b8cb37a0659e37485"
            "9420500b4399a2aab0209ee7919aaea575ac7",
        }
    ],
}
USER = "1|0x2f9f0a1b8a4e0c3e7b4d6f5a9c8e7d6b5a493827161504f3e2d1c0bfaebdac9b"
CHILD = "0xbD2237CE97e87D5A64A78C790AEC3884df9a0454"


def child() -> ChildWalletV2:
    salt = B("a176de7902ef0781d2c6120cc5fd5add3048e1543f597ef4feae38391d234839")
    return child_wallet(VerifiedParent(Address(B("cF104bc904E4dC1cCe0027aB9F9C905Ad3aE6c21")), salt), USER)


def send(data: dict[str, object]) -> SendTransaction:
    found = verified(signed(unsigned("sendTransaction", data))).data
    assert isinstance(found, SendTransaction)
    return found


SENT = {
    "network": "10",
    "wallet": CHILD,
    "identifier": "test-identifier",
    "transactions": [
        {
            "type": "transaction",
            "to": "0x479F6a5b0C1728947318714963a583C56A78366A",
            "value": "39381",
            "data": "0x3251ba32",
        }
    ],
}
BUILT = {
    "chainID": "10",
    "nonce": "0x71dd44c52bc898d160efcdcdc6dfe94a4d7899cf000000000000000000000000",
    "transactions": [
        {
            "to": "0x479F6a5b0C1728947318714963a583C56A78366A",
            "value": "39381",
            "gasLimit": "0",
            "data": "0x3251ba32",
            "delegateCall": False,
            "revertOnError": True,
        }
    ],
}


def test_intent_of_the_documentation_verifies() -> None:
    intent = parsed(DOCUMENTED)
    assert intent.hashes == (B("dd97258f7996355e74ea31b8331f315d3bd795ad13195f7167dd5491e7858268"),)
    found = verified(DOCUMENTED, 1712775116)
    assert isinstance(found.data, SignMessage)
    assert found.data.message == b"Hello, have a nice day"


def test_wallet_of_a_user_is_derived_from_parent_salt_and_name() -> None:
    assert checksum(child().address) == CHILD


def test_bundle_and_digests_of_a_child_wallet() -> None:
    intent = send(SENT)
    bundle = bundle_of(intent)
    assert hex(bundle_nonce(bundle.space, bundle.nonce)) == BUILT["nonce"]
    assert bundle.space == nonce_space("test-identifier")
    assert bundle.legacy_digest == B("59594cda1432866a2cfea0ace19683ee9e83163c95a727a5f7919cc82871b402")
    found = signable(intent, child(), "", 0)
    assert found.own_digest == B("e6eca6871dc3f3197b5adc9b790ac01a58e50c2f28b3ef79e60fe777bbb7b586")
    assert found.digest == B("9bb2f814e4b0d3f831177f2eb994e55db8dc17073636f5798e6363d5353f4d1e")
    signature = parse_recoverable(coincurve.PrivateKey(b"\x11" * 32).sign_recoverable(found.digest, hasher=None))
    assert key_signature(signature) == B(
        "12f9c4f6e287164f92377a9d68c3d4548ae4c9d4b96e6f1a2f946cecf153af266aeb20474239af6ab0f38e2b8e857c87732ba19a52c93d"
        "61939968f6134834d71b01"
    )


def test_bundle_of_the_original_builder_is_the_one_that_is_meant() -> None:
    intent = send(SENT)
    built = parse_bundle(BUILT, intent.wallet)
    validate_bundle(built, intent)
    assert built == bundle_of(intent)
    assert parse_bundle(built.as_json(), intent.wallet) == built


def test_message_of_a_child_wallet() -> None:
    data = {"network": "137", "wallet": CHILD, "message": "0x" + b"hello".hex()}
    found = verified(signed(unsigned("signMessage", data))).data
    assert isinstance(found, SignMessage)
    own = "cf03b66ac85f2ba0f55f4d92c118d4ff5785cb6e6eb3a71884642046c0d7832f"
    assert signable(found, child(), "", 0).own_digest == B(own)


def test_session_hash_is_of_the_id_in_lower_case() -> None:
    key = parse_session_key("0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359")
    assert key.hash == keccak256(b"0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359")
