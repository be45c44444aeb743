"""Wallets of the second generation: what the guard reads of a request that is a hash, and the form of its answer."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as EthAccount

from evm.address import Address, checksum, parse_address
from evm.keccak import keccak256
from evm.signature import parse_signature
from evm.wallet.abi import dynamic, encode, word
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.digests import LegacyCall, approval_digest, bundle_digest, bundle_nonce, subdigest
from evm.wallet.legacy.signer import key_signature
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.legacy.v2_signature import encode_v2_signature, recover_v2, verify_v2
from evm.wallet.topology import Branch, SignerLeaf
from tests.enclave_guard.guard_rules import DOCUMENT, PAYROLL, STRANGER, USD
from tests.evm_effects.made import calldata
from tests.guard_factors.factor_world import AUDIENCE, FactorWorld, running, update_message
from tests.guard_wire.guard_node import journey
from tests.guard_wire.guard_world import CHAIN, OWNER, RefusedByGuard, pay
from tests.instrument_wire.wire import over_http
from tests.npm import installed_programs

BESIDE = parse_address("0x007a47e6bf40c1e0ed5c01ae42fdc75879140bc4")
HASHES = {"id": "hashes", "decision": "allow", "effects": ["unknown"], "reasons": ["hash"]}
HASHES |= {"contracts": ["any"], "selectors": ["any"], "by_signature": True}
RULES = [HASHES, *DOCUMENT["rules"]]
OTHER = EthAccount.from_key(b"\x41" * 32)
DIGEST = bytes.fromhex("33" * 32)


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed_programs(Path(__file__).parent / "node_v2", tmp_path_factory.mktemp("node"))


@pytest.fixture
async def guard(pki_folder: Path) -> AsyncIterator[FactorWorld]:
    async with running(pki_folder, rules=RULES, second_generation={"beside": checksum(BESIDE)}) as made:
        yield made


def guard_wallet(key: Address) -> V2Configuration:
    return V2Configuration(1, 0, Branch(SignerLeaf(BESIDE, 1), SignerLeaf(key, 1)))


class Owned:
    """A wallet of its owner and the guard."""

    def __init__(self, signer: Address, owner: Any = OWNER, weight: int = 1) -> None:
        self.owner, self.signer = owner, signer
        leaves = SignerLeaf(parse_address(owner.address), weight), SignerLeaf(signer, 1)
        self.configuration = V2Configuration(2, 0, Branch(*leaves))
        self.wallet = V2.wallet_address(self.configuration.image_hash)

    def part(self, digest: bytes, chain_id: int = CHAIN, by: Any = None) -> bytes:
        signed = subdigest(chain_id, self.wallet, digest)
        return key_signature(parse_signature(bytes((by or self.owner).unsafe_sign_hash(signed).signature)))

    def request(self, digest: bytes, chain_id: int = CHAIN, parts: Any = None, **more: Any) -> dict[str, Any]:
        parts = {parse_address(self.owner.address): self.part(digest, chain_id)} if parts is None else parts
        so_far = encode_v2_signature(self.configuration, parts)
        aux = encode(word(self.wallet), word(chain_id), dynamic(digest), dynamic(so_far))
        msg = subdigest(chain_id, self.wallet, digest)
        return {"chainId": chain_id, "msg": "0x" + msg.hex(), "auxData": "0x" + aux.hex()} | more


def told(kind: str, message: Any) -> dict[str, str]:
    return {"payloadType": kind, "payloadData": "0x" + json.dumps(message).encode().hex()}


async def ask(guard: FactorWorld, signer: Address, request: dict[str, Any], **more: Any) -> bytes:
    answer = await guard.ask("SignWith", {"signer": checksum(signer), "request": request, **more})
    return bytes.fromhex(answer["sig"][2:])


async def refused(asking: Any) -> tuple[int, str]:
    with pytest.raises(RefusedByGuard) as caught:
        await asking
    return caught.value.code, caught.value.cause


async def contract(guard: FactorWorld) -> tuple[Address, Address]:
    """The guard's key, and the wallet that it signs for."""
    key = await guard.address()
    return key, V2.wallet_address(guard_wallet(key).image_hash)


async def test_as_a_contract_wallet_the_guard_answers_in_the_published_shape(guard: FactorWorld) -> None:
    """02, threshold 1, checkpoint 0, the other signer's node, and a branch of 0x44 bytes with the key's signature."""
    key, signer = await contract(guard)
    user = Owned(signer)
    sig = await ask(guard, signer, user.request(DIGEST))
    assert sig[:7] == bytes.fromhex("02000100000000")
    assert sig[7:29] == b"\x01\x01" + BESIDE
    assert (sig[29:35], sig[100:]) == (b"\x04\x00\x00\x44\x00\x01", b"\x02\x03")
    msg = subdigest(CHAIN, user.wallet, DIGEST)
    assert verify_v2(sig[:-1], msg, signer, CHAIN, guard_wallet(key).image_hash).weight == 1
    config = (await guard.ask("GetSignerConfig", {"signer": checksum(signer)}))["signerConfig"]
    assert config["address"] == checksum(signer)
    tree = json.loads(config["content"])["tree"]
    assert (tree["left"]["address"], tree["right"]["address"]) == (checksum(BESIDE), checksum(key))


async def test_owner_and_guard_make_a_signature_that_the_wallet_takes(guard: FactorWorld) -> None:
    key, signer = await contract(guard)

    def is_valid(asked: Address, digest: bytes, data: bytes) -> bool:
        verify_v2(data, digest, asked, CHAIN, guard_wallet(key).image_hash)
        return asked == signer

    for by in (key, signer):
        user = Owned(by)
        sig = await ask(guard, by, user.request(DIGEST))
        whole = encode_v2_signature(user.configuration, {parse_address(OWNER.address): user.part(DIGEST), by: sig})
        found = verify_v2(whole, DIGEST, user.wallet, CHAIN, user.configuration.image_hash, is_valid)
        assert found.signers == (parse_address(OWNER.address), by)


async def test_a_hash_is_signed_where_a_rule_names_hashes_and_else_refused(pki_folder: Path) -> None:
    async with running(pki_folder) as guard:
        user = Owned(await guard.address())
        assert await refused(ask(guard, user.signer, user.request(DIGEST))) == (1001, "guard:deny:no-rule")


async def test_an_update_of_factors_is_recognized_from_its_digest_alone(pki_folder: Path) -> None:
    """No rule names hashes here, and no other time's digest is one."""
    async with running(pki_folder) as guard:
        user = Owned(await guard.address())
        for off_s, allowed in ((-290, True), (290, True), (-310, False), (310, False)):
            asking = ask(guard, user.signer, user.request(keccak256(update_message(guard.now_s() + off_s))))
            if allowed:
                await asking
            else:
                assert await refused(asking) == (1001, "guard:deny:no-rule")


async def test_with_its_payload_a_request_is_judged_by_what_it_does(pki_folder: Path) -> None:
    """No rule names hashes here."""
    async with running(pki_folder) as guard:
        user = Owned(await guard.address())
        for to, allowed in ((PAYROLL, True), (STRANGER, False)):
            data = calldata("transfer(address,uint256)", to, 5)
            digest = bundle_digest([LegacyCall(USD, 0, data)], bundle_nonce(3, 7))
            call = {"to": checksum(USD), "value": "0", "data": "0x" + data.hex(), "gasLimit": "0"}
            call |= {"delegateCall": False, "onlyFallback": False, "behaviorOnError": "1"}
            request = user.request(
                digest, **told("Calls", {"calls": [call], "space": "3", "nonce": "7", "wallets": []})
            )
            if allowed:
                await ask(guard, user.signer, request)
            else:
                assert await refused(ask(guard, user.signer, request)) == (1001, "guard:deny:no-rule")
        text = b"\x19Ethereum Signed Message:\n8I agree."
        message = told("Message", {"message": "0x" + text.hex(), "wallets": []})
        await ask(guard, user.signer, user.request(keccak256(text), **message))
        assert await refused(ask(guard, user.signer, user.request(DIGEST, **message))) == (2004, "guard:digest")
        image_hash = bytes(31) + b"\x01"
        update = told("ConfigUpdate", {"imageHash": "0x" + image_hash.hex(), "wallets": []})
        asked = user.request(approval_digest(image_hash), 0, **update)
        assert await refused(ask(guard, user.signer, asked)) == (1001, "guard:deny:no-every-chain")


async def test_who_signed_is_read_from_the_signature_so_far(guard: FactorWorld) -> None:
    user = Owned(await guard.address())
    assert await refused(ask(guard, user.signer, user.request(DIGEST, parts={}))) == (2004, "guard:unsigned")
    nobody = Owned(user.signer, weight=0)
    assert await refused(ask(guard, user.signer, nobody.request(DIGEST))) == (2004, "guard:unsigned")
    await ask(guard, user.signer, user.request(DIGEST))
    thief = Owned(user.signer, OTHER)
    thief.wallet = user.wallet
    assert await refused(ask(guard, user.signer, thief.request(DIGEST))) == (2004, "guard:unsigned")


@pytest.mark.parametrize(
    ("changes", "code", "cause"),
    [
        ({"msg": "0x" + "11" * 32}, 2004, "guard:digest"),
        ({"chainId": 137}, 2004, "guard:digest"),
        ({"auxData": "0x" + "22" * 64}, 2001, "guard:request"),
        ({"auxData": "0x" + "00" * 300}, 2001, "guard:request"),
        ({"auxData": ""}, 2004, "guard:hash"),
        ({"surplus": 1}, 2001, "guard:request"),
        ({"payloadType": "Calls", "payloadData": "0x7b7d"}, 2001, "guard:request"),
        ({"payloadType": "Other", "payloadData": "0x7b7d"}, 2001, "guard:request"),
    ],
)
async def test_a_request_that_contradicts_itself_is_refused(
    guard: FactorWorld, changes: dict[str, Any], code: int, cause: str
) -> None:
    user = Owned(await guard.address())
    assert await refused(ask(guard, user.signer, user.request(DIGEST) | changes)) == (code, cause)


async def test_a_longer_encoding_of_the_same_is_refused(guard: FactorWorld) -> None:
    user = Owned(await guard.address())
    request = user.request(DIGEST)
    assert (await refused(ask(guard, user.signer, request | {"auxData": request["auxData"] + "00" * 32})))[0] == 2001


async def test_the_third_generation_has_no_contract_wallet(guard: FactorWorld) -> None:
    _, signer = await contract(guard)
    assert await refused(ask(guard, signer, pay())) == (3000, "guard:signer")


@pytest.mark.parametrize("suffix", [True, False])
async def test_the_published_client_of_that_generation_signs_and_enrols(
    programs: Path, pki_folder: Path, suffix: bool
) -> None:
    settings = {"beside": checksum(BESIDE), "suffix": suffix}
    async with running(pki_folder, rules=RULES, second_generation=settings) as guard:
        key, signer = await contract(guard)
        async with over_http(guard) as http:
            found = await journey(
                programs,
                "journey.mjs",
                url=str(http.base_url).rstrip("/"),
                guard=checksum(signer),
                chainId=CHAIN,
                key="0x" + bytes(OWNER.key).hex(),
                appendSuffix=not suffix,
                token=guard.provider.issue_token("ada", AUDIENCE),
            )

    def is_valid(asked: Address, digest: bytes, data: bytes) -> bool:
        verify_v2(data, digest, asked, CHAIN, guard_wallet(key).image_hash)
        return asked == signer

    signed = bytes.fromhex(found["signed"]["result"][2:])
    digest, wallet = bytes.fromhex(found["digest"][2:]), parse_address(found["wallet"])
    assert V2.wallet_address(bytes.fromhex(found["imageHash"][2:])) == wallet
    assert recover_v2(signed, digest, wallet, CHAIN, is_valid).weight == 2
    assert (found["alone"]["code"], found["alone"]["cause"]) == (2004, "guard:unsigned")
    assert (found["codes"], found["methods"]) == (10, {"methods": ["TOTP"], "active": True})
    assert (found["asked"]["code"], found["asked"]["cause"]) == (6600, "guard:second-factor:enrolled")
    assert found["shown"]["result"]
    assert found["after"] == {"methods": [], "active": False}
