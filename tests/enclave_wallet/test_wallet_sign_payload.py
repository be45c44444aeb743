"""Signing payloads: decoded in the enclave, judged by the contracts' rules, ready to be merged with the guard's."""

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from eth_account.messages import encode_defunct, encode_typed_data

from evm.address import checksum
from evm.keccak import keccak256
from evm.wallet.deploy import parse_erc6492
from evm.wallet.operation_hash import Operation
from evm.wallet.packed_calls import parse_packed_calls
from evm.wallet.passkeys.public_key import PasskeyPublicKey
from evm.wallet.passkeys.signature import encode_passkey_signature, passkey_signature
from evm.wallet.passkeys.verifying import P256_ORDER
from evm.wallet.payload import DigestPayload
from evm.wallet.payload_json import parse_payload
from tests.appliance import World

from .wallet_support import (
    CHAIN_ID,
    DEVICE,
    FALLBACK,
    GUARD,
    STRANGER,
    TOKEN,
    SmartUser,
    address_of,
    call,
    calls,
    handed_over,
    merged,
    partial_of,
    refused,
    transfer,
    verify,
    wallet_scopes,
    word,
)

PAYLOAD = calls(call(data=transfer(TOKEN, 5)), call(value="7"), nonce="3")
PERMIT = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
        "Note": [{"name": "text", "type": "string"}],
    },
    "primaryType": "Note",
    "domain": {"name": "Notes", "chainId": CHAIN_ID},
    "message": {"text": "hello"},
}


async def test_partial_signature_and_the_guards_make_one_that_the_wallet_takes(user: SmartUser) -> None:
    answer = await user.sign_payload(PAYLOAD)
    operation, configuration = user.operation(PAYLOAD), await user.configuration()
    assert answer["digest"] == "0x" + operation.digest.hex()
    assert (answer["weight"], answer["threshold"], answer["complete"]) == (1, 2, False)
    for guard in (GUARD, FALLBACK):
        whole = merged(configuration, operation, partial_of(guard, configuration, operation), answer["partial"])
        verify(whole, operation, configuration)
        assert whole == merged(configuration, operation, answer["partial"], partial_of(guard, configuration, operation))


async def test_signature_of_another_signer_may_come_along(user: SmartUser) -> None:
    operation, configuration = user.operation(PAYLOAD), await user.configuration()
    answer = await user.sign_payload(PAYLOAD, signatures=[handed_over(GUARD, operation.digest)])
    assert (answer["weight"], answer["complete"]) == (2, True)
    verify(answer["partial"], operation, configuration)


async def test_what_is_signed_comes_back_in_words_and_packed(user: SmartUser) -> None:
    answer = await user.sign_payload(PAYLOAD)
    assert parse_packed_calls(bytes.fromhex(answer["packed"][2:]), user.wallet) == parse_payload(PAYLOAD)
    understood = answer["understood"]
    assert understood["calls"][0]["name"] == "erc20.transfer"
    assert understood["words"][0] == f"1. Transfer 5 base units of token {checksum(TOKEN)} to {checksum(TOKEN)}"
    assert understood["words"][-1] == f"In the name of the wallet {checksum(user.wallet)}, on chain {CHAIN_ID}"
    everywhere = (await user.sign_payload(PAYLOAD, 0))["understood"]["words"][-1]
    assert everywhere.endswith("on EVERY chain")


async def test_what_stands_inside_a_call_is_shown_as_its_effect(user: SmartUser) -> None:
    inner = bytes.fromhex("095ea7b3") + word(TOKEN) + word(2**256 - 1)
    padded = inner.ljust(96, b"\0")
    multicall = bytes.fromhex("ac9650d8") + b"".join(map(word, (32, 1, 32, len(inner)))) + padded
    answer = await user.sign_payload(calls(call(data="0x" + multicall.hex())))
    [outer] = answer["understood"]["effects"]
    assert [effect["kind"] for effect in outer["effects"]] == ["approval"]
    assert outer["effects"][0]["counterparty"] == checksum(TOKEN)
    assert len(answer["understood"]["effectWords"]) == 2


async def test_signature_for_every_chain_says_so(user: SmartUser) -> None:
    answer = await user.sign_payload(PAYLOAD, 0)
    operation, configuration = user.operation(PAYLOAD, 0), await user.configuration()
    whole = merged(configuration, operation, answer["partial"], partial_of(GUARD, configuration, operation))
    verify(whole, Operation(operation.payload, user.wallet, 999), configuration)


async def test_message_is_signed_for_erc1271_and_wrapped_for_a_wallet_that_is_not_deployed(user: SmartUser) -> None:
    first = await user.ask("SignPayload", chainId=CHAIN_ID, message={"text": "hello"})
    guard = handed_over(GUARD, first["digest"])
    answer = await user.ask("SignPayload", chainId=CHAIN_ID, message={"text": "hello"}, signatures=[guard])
    encoded = encode_defunct(text="hello")
    asked = keccak256(b"\x19" + encoded.version + encoded.header + encoded.body)
    verify(answer["partial"], Operation(DigestPayload(asked), user.wallet, CHAIN_ID), await user.configuration())
    signature, deploy = parse_erc6492(bytes.fromhex(answer["erc6492"][2:]))
    assert "0x" + signature.hex() == answer["partial"]
    assert "0x" + deploy.data.hex() == (await user.ask("Address"))["deploy"]["data"]


async def test_typed_data_is_shown_and_signed_as_the_message_that_it_is(user: SmartUser) -> None:
    answer = await user.ask("SignPayload", chainId=CHAIN_ID, typedData=PERMIT)
    encoded = encode_typed_data(full_message=PERMIT)
    asked = keccak256(b"\x19" + encoded.version + encoded.header + encoded.body)
    assert answer["digest"] == "0x" + Operation(DigestPayload(asked), user.wallet, CHAIN_ID).digest.hex()
    assert answer["understood"]["fields"] == [{"name": "text", "type": "string", "value": "hello"}]


async def test_personal_message_given_as_its_preimage_is_read_back(user: SmartUser) -> None:
    preimage = b"\x19Ethereum Signed Message:\n7" + b"7 lines"
    answer = await user.sign_payload({"type": "message", "message": "0x" + preimage.hex()})
    assert answer["understood"]["text"] == "7 lines"


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "digest", "digest": "0x" + "11" * 32},
        {"type": "message", "message": "0x1901" + "22" * 64},
        {"type": "message", "message": "0x" + (b"\x19Ethereum Signed Message:\n9" + b"short").hex()},
    ],
    ids=["digest", "typed data of unknown content", "personal message of another length"],
)
async def test_what_nobody_can_read_takes_the_right_to_sign_what_nobody_can_read(
    pki_folder: Any, user: SmartUser, payload: dict[str, Any]
) -> None:
    answer = await user.sign_payload(payload)
    assert answer["digest"] == "0x" + user.operation(payload).digest.hex()
    scopes = wallet_scopes()
    scopes[0]["rights"].remove("sign_digest")
    strict = World(pki_folder, scopes=scopes)
    await strict.boot()
    try:
        error = await refused((await SmartUser.with_wallet(strict)).sign_payload(payload))
        assert (error.code, error.name) == (7300, "RightNotGranted")
    finally:
        await strict.stop()


async def test_digest_payload_is_wrapped_and_never_signed_as_it_is(user: SmartUser) -> None:
    answer = await user.sign_payload({"type": "digest", "digest": "0x" + "11" * 32})
    assert answer["digest"] != "0x" + "11" * 32


@pytest.mark.parametrize(
    ("payload", "cause"),
    [
        (calls(call(delegateCall=True)), "wallet-call-delegate"),
        (calls(call(), nonce=str(2**56)), "wallet-calls-nonce"),
        (calls(*[call()] * 129), "wallet-calls-count"),
        ({"type": "config-update", "imageHash": "0x" + "11" * 32}, "wallet-asked-config-update"),
        (calls(call()) | {"recovery": True}, "wallet-asked-recovery"),
        ({"type": "call", "space": "0", "nonce": "0"}, "wallet-payload"),
        ({"type": "unknown"}, "wallet-payload-type"),
        (calls(call(behaviorOnError="maybe")), "wallet-call-behavior"),
        (calls(call(value="-1")), "wallet-call-value"),
    ],
)
async def test_what_is_not_allowed_is_refused_and_spends_no_nonce(
    user: SmartUser, payload: dict[str, Any], cause: str
) -> None:
    params = user.client.own_params("/rpc/Wallet/SignPayload", session=user.session, chainId=1, payload=payload)
    error = await refused(user.client.send("/rpc/Wallet/SignPayload", user.client.envelope(params)))
    assert error.cause == cause
    good = user.client.envelope(params | {"payload": PAYLOAD})
    assert await user.client.send("/rpc/Wallet/SignPayload", good)


async def test_wallet_calls_itself_for_nothing_but_a_configuration_that_it_knows(user: SmartUser) -> None:
    def to_itself(data: str) -> dict[str, Any]:
        return calls(call(user.wallet, data=data))

    known = user.created["imageHash"][2:]
    settled = await user.sign_payload(to_itself("0x29561426" + known))
    assert settled["understood"]["words"][0] == f"1. Settle the configuration 0x{known} on this chain"
    foreign = ("0x29561426" + "11" * 32, "0x025b22bc" + "00" * 32, "0xf727ef1c" + "00" * 96, "0x6ea44577", "0x00")
    for data in foreign:
        assert (await refused(user.sign_payload(to_itself(data)))).cause == "wallet-call-self"


async def test_exactly_one_thing_is_asked_for_on_a_chain_that_is_named(user: SmartUser) -> None:
    both = user.ask("SignPayload", chainId=1, payload=PAYLOAD, message={"text": "x"})
    assert (await refused(both)).cause == "wallet-asked-source"
    assert (await refused(user.ask("SignPayload", chainId=1))).cause == "wallet-asked-source"
    assert (await refused(user.ask("SignPayload", payload=PAYLOAD))).cause == "wallet-chain-id"


async def test_nonce_has_to_be_the_next_one_where_the_caller_knows_it(user: SmartUser) -> None:
    assert await user.sign_payload(PAYLOAD, nextNonce="3")
    for wrong in ("2", 4):
        error = await refused(user.sign_payload(PAYLOAD, nextNonce=wrong))
        assert (error.code, error.cause) == (7341, "wallet-calls-nonce-not-next (BadNonce)")
    message = user.ask("SignPayload", chainId=1, message={"text": "x"}, nextNonce=0)
    assert (await refused(message)).cause == "wallet-calls-nonce-not-next (BadNonce)"


async def test_bare_digest_is_no_member(user: SmartUser) -> None:
    error = await refused(user.ask("SignPayload", chainId=1, digest="0x" + "11" * 32))
    assert error.code == 7200


async def test_signatures_of_others_are_checked_before_anything_is_signed(
    user: SmartUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[object] = []
    monkeypatch.setattr("enclave.curve.sign", lambda *arguments: signed.append(arguments))
    other = user.operation(calls(call(), nonce="9"))
    refusals = (
        (handed_over(GUARD, other.digest), "wallet-leaf-signature"),
        (handed_over(STRANGER, user.operation(PAYLOAD).digest), "wallet-leaf-signer-unknown"),
        (
            {
                "address": checksum(address_of(GUARD)),
                "signature": {"type": "erc1271", "address": checksum(address_of(GUARD)), "data": "0x600dc0de"},
            },
            "wallet-contract-unknown",
        ),
    )
    for signature, cause in refusals:
        assert (await refused(user.sign_payload(PAYLOAD, signatures=[signature]))).cause == cause
    many = [handed_over(GUARD, user.operation(PAYLOAD).digest)] * 17
    assert (await refused(user.sign_payload(PAYLOAD, signatures=many))).cause == "wallet-cosigners"
    assert signed == []


async def test_device_and_login_are_enough_without_the_guard_as_in_the_kit(user: SmartUser) -> None:
    digest = user.operation(PAYLOAD).digest
    answer = await user.sign_payload(PAYLOAD, signatures=[handed_over(DEVICE, digest)])
    assert answer["complete"] is True
    verify(answer["partial"], user.operation(PAYLOAD), await user.configuration())


async def test_parents_are_named_and_signed(user: SmartUser) -> None:
    payload = PAYLOAD | {"parentWallets": [checksum(TOKEN)]}
    answer = await user.sign_payload(payload)
    assert answer["digest"] == "0x" + user.operation(payload).digest.hex()
    assert "packed" not in answer
    assert f"As a signer of {checksum(TOKEN)}" in answer["understood"]["words"]


async def test_user_operation_is_taken_where_the_wallet_knows_the_entry_point(pki_folder: Any, user: SmartUser) -> None:
    operation = {
        "type": "call_4337_07",
        "calls": [call(data=transfer(TOKEN, 5))],
        "entrypoint": "0x0000000071727De22E5E9d8BAf0edAc6f37da032",
        "space": "0",
        "nonce": "4",
        **dict.fromkeys(("callGasLimit", "verificationGasLimit", "preVerificationGas"), "100000"),
        **dict.fromkeys(("maxFeePerGas", "maxPriorityFeePerGas"), "1"),
    }
    error = await refused(user.ask("SignPayload", chainId=CHAIN_ID, userOperation=operation))
    assert error.cause == "wallet-user-op-entry-point (InvalidEntryPoint)"
    world = World(pki_folder, scopes=wallet_scopes(context="Rc5_4337"))
    await world.boot()
    try:
        other = await SmartUser.with_wallet(world)
        answer = await other.ask("SignPayload", chainId=CHAIN_ID, userOperation=operation)
        assert answer["understood"]["calls"][0]["name"] == "erc20.transfer"
        elsewhere = operation | {"entrypoint": checksum(TOKEN)}
        refusal = await refused(other.ask("SignPayload", chainId=CHAIN_ID, userOperation=elsewhere))
        assert refusal.cause == "wallet-user-op-entry-point (InvalidEntryPoint)"
        hidden = operation | {"calls": [call(other.wallet, data="0x29561426" + word(1).hex())]}
        refusal = await refused(other.ask("SignPayload", chainId=CHAIN_ID, userOperation=hidden))
        assert refusal.cause == "wallet-call-self"
    finally:
        await world.stop()


async def test_encoders_that_disagree_sign_nothing(user: SmartUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evm.cross_check._hash", lambda _: bytes(32))
    error = await refused(user.sign_payload(PAYLOAD))
    assert (error.code, error.cause) == (7306, "encoders-disagree")


@pytest.mark.parametrize("right", ["sign_payload", "update_wallet", "attest_session", "recover_wallet"])
async def test_rights_that_are_not_named_are_not_granted(pki_folder: Any, right: str) -> None:
    scopes = wallet_scopes()
    scopes[0]["rights"].remove(right)
    world = World(pki_folder, scopes=scopes)
    await world.boot()
    asks: dict[str, dict[str, Any]] = {
        "sign_payload": {"method": "SignPayload", "chainId": 1, "payload": PAYLOAD},
        "update_wallet": {"method": "UpdateConfiguration", "change": {"type": "void-queued"}},
        "attest_session": {"method": "IssueAttestation", "approvedSigner": checksum(address_of(STRANGER))},
        "recover_wallet": {"method": "QueueRecovery", "chainId": 1, "payload": PAYLOAD},
    }
    try:
        user = await SmartUser.with_wallet(world)
        assert (await refused(user.ask(**asks[right]))).code == 7300
        for other in asks.keys() - {right}:
            assert await user.ask(**asks[other])
    finally:
        await world.stop()


async def test_passkey_signs_beside_login_and_guard(world: World) -> None:
    owner = await SmartUser.logged_in(world)
    key = ec.derive_private_key(7, ec.SECP256R1())
    point = key.public_key().public_numbers()
    x, y = (number.to_bytes(32, "big") for number in (point.x, point.y))
    passkey = {"requireUserVerification": True, "x": "0x" + x.hex(), "y": "0x" + y.hex()}
    owner.created = await owner.ask("Create", device=checksum(address_of(DEVICE)), passkey=passkey)
    root = PasskeyPublicKey(x, y, True).root

    def assertion(digest: bytes) -> dict[str, Any]:
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        client_data = f'{{"type":"webauthn.get","challenge":"{challenge}"}}'.encode()
        data = bytes(32) + b"\x05" + bytes(4)
        r, s = decode_dss_signature(key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256())))
        parts = (number.to_bytes(32, "big") for number in (r, min(s, P256_ORDER - s)))
        found = encode_passkey_signature(passkey_signature(PasskeyPublicKey(x, y, True), data, client_data, *parts))
        module = "0x0000000000005204F3711851EAD52CC9c241499a"
        signature = {"type": "sapient_compact", "address": module, "data": "0x" + found.hex()}
        return {"imageHash": "0x" + root.hex(), "signature": signature}

    digest = owner.operation(PAYLOAD).digest
    answer = await owner.sign_payload(PAYLOAD, signatures=[assertion(digest), handed_over(GUARD, digest)])
    assert answer["complete"] is True
    # Login and passkey together count one person.
    assert (await owner.sign_payload(PAYLOAD, signatures=[assertion(digest)]))["weight"] == 1
    error = await refused(owner.sign_payload(PAYLOAD, signatures=[assertion(bytes(32))]))
    assert error.cause == "wallet-passkey-challenge (InvalidPasskeySignature)"


async def test_consent_of_a_signer_is_text_and_read_as_such(user: SmartUser) -> None:
    consent = '{"action":"consent-to-be-part-of-wallet","wallet":"0x00","signer":"0x00","timestamp":1}'
    answer = await user.sign_payload({"type": "message", "message": "0x" + consent.encode().hex()}, 0)
    assert answer["understood"]["text"] == consent
