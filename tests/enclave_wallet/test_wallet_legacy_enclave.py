"""Legacy wallets in the enclave: found where the vectors say, signed for so that parent and child take it."""

import json
from typing import Any

import pytest
from eth_account.messages import encode_defunct

from evm.address import Address, checksum, parse_address
from evm.keccak import keccak256
from evm.wallet.legacy.digests import LegacyCall, bundle_digest
from evm.wallet.legacy.embedded import embedded_configuration, parent_subdigest, unique_signer
from evm.wallet.legacy.signer import SignatureType, key_signature, recover_signer
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.legacy.v2_signature import encode_v2_signature, verify_v2
from evm.wallet.topology import Branch, SignerLeaf
from tests.appliance import World
from tests.vectors import folder

from .wallet_support import GUARD, TOKEN, SmartUser, address_of, call, refused, sign, transfer, wallet_scopes

SALT = "0x" + "07" * 32
PARENT = Address(b"\x0a" * 20)


def whose(parent: Address = PARENT, user: str = "issuer#user-0") -> dict[str, Any]:
    return {"parent": checksum(parent), "user": user, "userSalt": SALT}


def legacy_call(to: Address = TOKEN, **changes: Any) -> dict[str, Any]:
    found = call(to, **changes)
    for name in ("onlyFallback", "behaviorOnError"):
        found.pop(name)
    return {"revertOnError": True} | found


def bundle(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"space": "0", "nonce": "1", "calls": list(calls)}


async def legacy(owner: SmartUser, method: str, /, **members: Any) -> dict[str, Any]:
    return await owner.client.own(f"/rpc/LegacyWallet/{method}", session=owner.session, **members)


@pytest.fixture
async def user(world: World) -> SmartUser:
    return await SmartUser.logged_in(world)


async def test_wallets_are_where_the_vectors_say(user: SmartUser) -> None:
    vectors = json.loads((folder("wallet-v3") / "legacy.json").read_text())["vectors"]
    for vector in vectors:
        embedded = vector["embedded"]
        asked = {name: embedded[name] for name in ("parent", "user", "userSalt")}
        found = await legacy(user, "Address", **asked)
        assert (found["wallet"], found["imageHash"]) == (
            checksum(parse_address(embedded["wallet"])),
            embedded["imageHash"],
        )
        assert found["legacy"] is True
        assert found["words"][0].startswith("LEGACY")


async def test_login_and_guard_make_the_parent_approve_of_what_the_child_does(user: SmartUser) -> None:
    parent = V2Configuration(2, 0, Branch(SignerLeaf(parse_address(user.signer), 1), SignerLeaf(address_of(GUARD), 1)))
    answer = await legacy(user, "Sign", **whose(), chainId=1, transactions=bundle(legacy_call(data=transfer(TOKEN, 5))))
    calls = [LegacyCall(TOKEN, 0, bytes.fromhex(transfer(TOKEN, 5)[2:]))]
    child = embedded_configuration(PARENT, unique_signer("issuer#user-0", bytes.fromhex(SALT[2:])))
    wallet = parse_address(answer["wallet"])
    digest = bundle_digest(calls, 1)
    assert answer["digest"] == "0x" + parent_subdigest(1, PARENT, wallet, digest).hex()
    ours = bytes.fromhex(answer["signature"][2:])
    assert (len(ours), ours[-1]) == (66, SignatureType.DIGEST)
    assert recover_signer(ours, bytes.fromhex(answer["digest"][2:])) == parse_address(user.signer)
    guards = key_signature(sign(GUARD, bytes.fromhex(answer["digest"][2:])))
    of_parent = encode_v2_signature(parent, {parse_address(user.signer): ours, address_of(GUARD): guards})

    def ask(signer: Address, asked: bytes, data: bytes) -> bool:
        assert signer == PARENT
        verify_v2(data, asked, PARENT, 1, parent.image_hash)
        return True

    whole = encode_v2_signature(child, {PARENT: of_parent + bytes([SignatureType.ERC1271])})
    verify_v2(whole, digest, wallet, 1, child.image_hash, ask)


async def test_messages_and_typed_data_are_hashed_here(user: SmartUser) -> None:
    answer = await legacy(user, "Sign", **whose(), chainId=1, message={"text": "hello"})
    encoded = encode_defunct(text="hello")
    digest = keccak256(b"\x19" + encoded.version + encoded.header + encoded.body)
    assert answer["digest"] == "0x" + parent_subdigest(1, PARENT, parse_address(answer["wallet"]), digest).hex()
    assert answer["understood"]["words"][-1].startswith("In the name of the LEGACY wallet")


@pytest.mark.parametrize(
    ("members", "cause"),
    [
        ({"transactions": bundle(legacy_call(delegateCall=True))}, "wallet-call-delegate"),
        ({"transactions": bundle(legacy_call(PARENT, data="0x29561426" + "11" * 32))}, "wallet-call-self"),
        ({"transactions": bundle(legacy_call(surplus=1))}, "wallet-call"),
        ({"transactions": bundle(legacy_call()) | {"nonce": str(2**96)}}, "wallet-legacy-nonce"),
        ({"transactions": bundle(), "message": {"text": "x"}}, "wallet-legacy-source"),
        ({}, "wallet-legacy-source"),
        ({"message": {"text": "x"}, "chainId": 0}, "wallet-chain-id"),
        ({"message": {"text": "x"}, "user": ""}, "wallet-legacy-user"),
        ({"message": {"text": "x"}, "userSalt": "0x01"}, "wallet-legacy-salt"),
    ],
)
async def test_what_is_not_served_is_refused(user: SmartUser, members: dict[str, Any], cause: str) -> None:
    assert (await refused(legacy(user, "Sign", **{**whose(), "chainId": 1} | members))).cause == cause


async def test_wallet_does_not_call_itself(user: SmartUser) -> None:
    wallet = parse_address((await legacy(user, "Address", **whose()))["wallet"])
    updating = bundle(legacy_call(wallet, data="0x29561426" + "11" * 32))
    assert (
        await refused(legacy(user, "Sign", **whose(), chainId=1, transactions=updating))
    ).cause == "wallet-call-self"
    assert await legacy(user, "Sign", **whose(), chainId=1, transactions=bundle(legacy_call(wallet, value="1")))


async def test_no_digest_is_taken(user: SmartUser) -> None:
    assert (await refused(legacy(user, "Sign", **whose(), chainId=1, digest="0x" + "11" * 32))).code == 7200


async def test_right_that_is_not_named_is_not_granted(pki_folder: Any) -> None:
    scopes = wallet_scopes()
    scopes[0]["rights"].remove("sign_legacy_wallet")
    world = World(pki_folder, scopes=scopes)
    await world.boot()
    try:
        other = await SmartUser.logged_in(world)
        assert (await refused(legacy(other, "Sign", **whose(), chainId=1, message={"text": "x"}))).code == 7300
        assert (await refused(legacy(other, "Address", **whose()))).code == 7300
    finally:
        await world.stop()


async def test_second_encoder_has_to_agree(user: SmartUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evm.cross_check.encode_abi", lambda *_: b"otherwise")
    error = await refused(legacy(user, "Sign", **whose(), chainId=1, transactions=bundle(legacy_call())))
    assert (error.code, error.cause) == (7306, "encoders-disagree")
