"""Legacy wallets in an EVM: what enclave and guard signed, the genuine contracts of the second generation carry out.

Factory and modules are the published ones, at their production addresses.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from evm.address import Address, checksum, parse_address
from evm.keccak import keccak256
from evm.wallet.abi import Tail, array, dynamic, encode, selector
from evm.wallet.abi import word as abi_word
from evm.wallet.context import init_code_hash
from evm.wallet.deploy import wrap_erc6492
from evm.wallet.legacy.context import _CREATION_CODE, V2
from evm.wallet.legacy.digests import LegacyCall, approval_digest, bundle_nonce, subdigest
from evm.wallet.legacy.embedded import embedded_configuration, unique_signer
from evm.wallet.legacy.signer import SignatureType, key_signature
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.legacy.v2_signature import encode_v2_chain, encode_v2_signature
from evm.wallet.payload import Call
from evm.wallet.topology import Branch, SignerLeaf
from simulator import contracts
from simulator.chain import ChainError, LocalChain, Receipt
from tests.enclave_wallet.wallet_support import GUARD, STRANGER, SmartUser, address_of, call, sign, transfer

from .conftest import Published

CHAIN_ID = 31337
UPGRADABLE = Address(bytes.fromhex("4222dca3974e39a8b41c411fedde9b09ae14b911"))
SALT = bytes(31) + b"\x07"
FRIEND = Address(bytes(19) + b"\x99")
EXECUTE = selector("execute((bool,bool,uint256,address,uint256,bytes)[],uint256,bytes)")
IS_VALID = selector("isValidSignature(bytes32,bytes)")
DEPLOY = selector("deploy(address,bytes32)")


@dataclass
class Scene:
    """A chain with the contracts; a parent of the login's key and the guard, and the user's wallet under it."""

    chain: LocalChain
    user: SmartUser
    parent_configuration: V2Configuration

    @property
    def parent(self) -> Address:
        return V2.wallet_address(self.parent_configuration.image_hash)

    @property
    def child_configuration(self) -> V2Configuration:
        return embedded_configuration(self.parent, unique_signer("user-0", SALT))

    @property
    def wallet(self) -> Address:
        return V2.wallet_address(self.child_configuration.image_hash)

    async def signed(self, *keys: Any, chain_id: int = CHAIN_ID, **members: Any) -> bytes:
        """The wallet's signature: the enclave's part, and those of `keys`, nested as the parent's."""
        whose = {"parent": checksum(self.parent), "user": "user-0", "userSalt": "0x" + SALT.hex()}
        answer = await self.user.client.own(
            "/rpc/LegacyWallet/Sign", session=self.user.session, chainId=chain_id, **whose, **members
        )
        assert parse_address(answer["wallet"]) == self.wallet
        signatures = {parse_address(answer["signer"]): bytes.fromhex(answer["signature"][2:])}
        for key in keys:
            signatures[address_of(key)] = key_signature(sign(key, bytes.fromhex(answer["digest"][2:])))
        of_parent = encode_v2_signature(self.parent_configuration, signatures) + bytes([SignatureType.ERC1271])
        return encode_v2_signature(self.child_configuration, {self.parent: of_parent})

    def deploy(self, image_hash: bytes) -> None:
        assert self.chain.execute(V2.factory, DEPLOY + encode(abi_word(V2.main_module), image_hash)).status

    def execute(self, calls: list[LegacyCall], nonce: int, signature: bytes) -> Receipt:
        listed = array(*(Tail(encode(*_parts(each))) for each in calls))
        return self.chain.execute(self.wallet, EXECUTE + encode(listed, abi_word(nonce), dynamic(signature)))


@pytest.fixture(scope="module")
def code(published: Published) -> dict[Address, bytes]:
    """Code at the production addresses; the main module has its own address among its immutable values."""
    arguments = encode(abi_word(V2.factory), abi_word(UPGRADABLE))
    main = LocalChain().constructed(published.init_code("modules/MainModule") + arguments, V2.main_module)
    upgradable = published.runtime("modules/MainModuleUpgradable")
    return {V2.factory: published.runtime("Factory"), V2.main_module: main, UPGRADABLE: upgradable}


@pytest.fixture
def scene(code: dict[Address, bytes], user: SmartUser) -> Scene:
    chain = LocalChain(CHAIN_ID, code)
    signers = Branch(SignerLeaf(parse_address(user.signer), 1), SignerLeaf(address_of(GUARD), 1))
    made = Scene(chain, user, V2Configuration(2, 0, signers))
    made.deploy(made.parent_configuration.image_hash)
    return made


def _parts(each: LegacyCall) -> tuple[Any, ...]:
    flags = abi_word(each.delegate_call), abi_word(each.revert_on_error)
    return (*flags, abi_word(each.gas_limit), abi_word(each.target), abi_word(each.value), dynamic(each.data))


def transactions(*calls: LegacyCall, nonce: int = 0) -> dict[str, Any]:
    listed = []
    for each in calls:
        found = call(each.target, value=str(each.value), data="0x" + each.data.hex())
        for name in ("onlyFallback", "behaviorOnError"):
            found.pop(name)
        listed.append({"revertOnError": each.revert_on_error} | found)
    return {"space": "0", "nonce": str(nonce), "calls": listed}


def test_published_module_knows_the_code_hash_that_makes_our_addresses(code: dict[Address, bytes]) -> None:
    chain = LocalChain(CHAIN_ID, code)
    found = chain.call(V2.main_module, selector("INIT_CODE_HASH()"))
    assert found == init_code_hash(_CREATION_CODE, V2.main_module)
    deployed = chain.call(V2.factory, DEPLOY + encode(abi_word(V2.main_module), b"\x11" * 32))
    assert deployed[12:] == V2.wallet_address(b"\x11" * 32)


async def test_coins_and_tokens_move_as_signed_by_enclave_and_guard(scene: Scene) -> None:
    scene.deploy(scene.child_configuration.image_hash)
    scene.chain.fund(scene.wallet, 1000)
    token = scene.chain.deploy(contracts.token(scene.wallet, 50))
    calls = [LegacyCall(FRIEND, 7, b""), LegacyCall(token, 0, bytes.fromhex(transfer(FRIEND, 20)[2:]))]
    signature = await scene.signed(GUARD, transactions=transactions(*calls))
    assert scene.execute(calls, bundle_nonce(0, 0), signature).status
    assert scene.chain.balance(FRIEND) == 7
    balance = scene.chain.call(token, bytes.fromhex("70a08231") + abi_word(FRIEND))
    assert balance == abi_word(20)
    # The nonce is used up.
    assert not scene.execute(calls, bundle_nonce(0, 0), signature).status


async def test_without_the_guard_or_with_a_stranger_nothing_moves(scene: Scene) -> None:
    scene.deploy(scene.child_configuration.image_hash)
    scene.chain.fund(scene.wallet, 1000)
    calls = [LegacyCall(FRIEND, 7, b"")]
    alone = await scene.signed(transactions=transactions(*calls))
    assert not scene.execute(calls, 0, alone).status
    elsewhere = await scene.signed(GUARD, chain_id=1, transactions=transactions(*calls))
    assert not scene.execute(calls, 0, elsewhere).status
    whole = await scene.signed(GUARD, transactions=transactions(*calls))
    assert not scene.execute([LegacyCall(FRIEND, 8, b"")], 0, whole).status
    by_stranger = await scene.signed(STRANGER, transactions=transactions(*calls))
    assert not scene.execute(calls, 0, by_stranger).status
    assert scene.chain.balance(FRIEND) == 0
    assert scene.execute(calls, 0, whole).status


async def test_message_is_valid_on_chain(scene: Scene) -> None:
    scene.deploy(scene.child_configuration.image_hash)
    signature = await scene.signed(GUARD, message={"text": "hello"})
    digest = keccak256(b"\x19Ethereum Signed Message:\n5hello")
    asked = IS_VALID + encode(digest, dynamic(signature))
    assert scene.chain.call(scene.wallet, asked)[:4] == IS_VALID
    other = IS_VALID + encode(keccak256(b"other"), dynamic(signature))
    with pytest.raises(ChainError, match="Revert"):  # the parent's signature is of another digest
        scene.chain.call(scene.wallet, other)


async def test_message_of_a_wallet_that_is_not_deployed_is_valid_for_the_published_validator(
    scene: Scene, published: Published
) -> None:
    assert scene.chain.code(scene.wallet) == b""
    signature = await scene.signed(GUARD, message={"text": "hello"})
    image_hash = scene.child_configuration.image_hash
    deploy = Call(V2.factory, data=DEPLOY + encode(abi_word(V2.main_module), image_hash))
    wrapped = "0x" + wrap_erc6492(signature, deploy).hex()
    wallet = checksum(scene.wallet)
    hello, other = (keccak256(b"\x19Ethereum Signed Message:\n5" + text).hex() for text in (b"hello", b"other"))
    assert scene.chain.run(published.validation(wallet, "0x" + hello, wrapped)) == b"\x01"
    with pytest.raises(ChainError, match="Revert"):
        scene.chain.run(published.validation(wallet, "0x" + other, wrapped))


async def test_updated_parent_signs_by_a_chain_until_the_update_is_settled(scene: Scene) -> None:
    """The guard's key of the parent is replaced; the old configuration approves of the new one, off the chain."""
    scene.deploy(scene.child_configuration.image_hash)
    scene.chain.fund(scene.wallet, 1000)
    old, identity = scene.parent_configuration, parse_address(scene.user.signer)
    new = V2Configuration(1, 1, SignerLeaf(identity, 1))
    calls = [LegacyCall(FRIEND, 7, b"")]
    whose = {"parent": checksum(scene.parent), "user": "user-0", "userSalt": "0x" + SALT.hex()}
    answer = await scene.user.client.own(
        "/rpc/LegacyWallet/Sign",
        session=scene.user.session,
        chainId=CHAIN_ID,
        **whose,
        transactions=transactions(*calls),
    )
    newest = encode_v2_signature(new, {identity: bytes.fromhex(answer["signature"][2:])})
    approved = subdigest(0, scene.parent, approval_digest(new.image_hash))
    ours = await scene.user.client.sign(scene.user.signer, approved)  # opaque: a right of its own
    by = {
        identity: bytes.fromhex(ours["signature"][2:]) + b"\x01",
        address_of(GUARD): key_signature(sign(GUARD, approved)),
    }
    approval = encode_v2_signature(old, by, no_chain_id=True)
    of_parent = encode_v2_chain([newest, approval]) + bytes([SignatureType.ERC1271])
    signature = encode_v2_signature(scene.child_configuration, {scene.parent: of_parent})
    assert scene.execute(calls, 0, signature).status
    assert scene.chain.balance(FRIEND) == 7
