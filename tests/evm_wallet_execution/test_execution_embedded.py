"""Users from before, in an EVM: what the service relays for them, the genuine contracts of the second generation do.

From the intent that a session key signed, over instrument and guard, to coins and tokens that have moved.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from evm.address import Address, address_from_public_key, parse_address
from evm.intents.bundle import bundle_of
from evm.intents.names import parse_intent_data
from evm.keccak import keccak256
from evm.signature import parse_signature
from evm.wallet.abi import encode, selector, word
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.digests import LegacyCall, bundle_digest, bundle_nonce, subdigest
from evm.wallet.legacy.embedded import adopted_configuration, embedded_configuration, unique_signer
from evm.wallet.legacy.execution import GUEST_MODULE, deploy_v2, execute_bundle
from evm.wallet.legacy.signer import SignatureType, key_signature
from evm.wallet.legacy.v2_signature import encode_v2_chain, encode_v2_signature
from protocol.relaying import Relayed
from simulator import contracts
from simulator.chain import LocalChain
from tests.enclave_guard.guard_rules import PAYROLL
from tests.waas.embedded import CHAIN, Application
from tests.waas.former import ADA, LISTED, SALT, Former, moved_over
from tests.waas.guarded import USD, payment
from tests.waas.test_waas_former import ADOPTER, _allow_adoptions, _sign, adoption
from tests.waas.test_waas_guard import sending

from .conftest import Published

UPGRADABLE = Address(bytes.fromhex("4222dca3974e39a8b41c411fedde9b09ae14b911"))
BALANCE = selector("balanceOf(address)")


@pytest.fixture(scope="module")
def code(published: Published) -> dict[Address, bytes]:
    """The contracts at their production addresses."""
    arguments = encode(word(V2.factory), word(UPGRADABLE))
    blank = LocalChain()
    main = blank.constructed(published.init_code("modules/MainModule") + arguments, V2.main_module)
    guest = blank.constructed(published.init_code("modules/GuestModule"), GUEST_MODULE)
    upgradable = published.runtime("modules/MainModuleUpgradable")
    return {
        V2.factory: published.runtime("Factory"),
        V2.main_module: main,
        UPGRADABLE: upgradable,
        GUEST_MODULE: guest,
    }


@pytest.fixture
async def former(tmp_path: Path) -> AsyncIterator[Former]:
    async with moved_over(tmp_path) as made:
        yield made


class Scene:
    """A chain on which the parent is there, and the user's wallet has tokens and is not."""

    def __init__(self, former: Former, code: dict[Address, bytes]) -> None:
        self.former = former
        blank = LocalChain(CHAIN)
        token = blank.code(blank.deploy(contracts.token(PAYROLL, 0)))
        self.chain = LocalChain(CHAIN, code | {USD: token})
        self.wallet = former.wallet().address
        assert self.chain.execute(V2.factory, deploy_v2(former.parent.image_hash).data).status

    def relay(self, relayed: Relayed, form: int | None = None) -> bool:
        """What the host's relay does with one form: the one that creates the wallet, or one that executes."""
        call = relayed.create_and_execute if form is None else relayed.execute[form]
        return self.chain.execute(Address(call.to), call.data).status


async def ada(former: Former) -> Application:
    await former.show(LISTED.index(ADA))
    app = Application(former.both.world)
    await app.sign_in_by_mail("ada@example.com")
    return app


async def send(former: Former, app: Application, **data: Any) -> Relayed:
    answer = await app.of_wallet("sendTransaction", **data)
    assert answer["code"] == "transactionReceipt", answer
    return former.both.relay.sent[-1]


async def test_wallet_is_created_and_executes_what_the_user_sent_once(
    former: Former, code: dict[Address, bytes]
) -> None:
    scene, app = Scene(former, code), await ada(former)
    assert parse_address(app.wallet) == scene.wallet
    first = await send(former, app, **sending(payment(0)))
    assert scene.chain.code(scene.wallet) == b""
    assert scene.relay(first)
    assert scene.chain.code(scene.wallet) != b""
    assert not scene.relay(first, 0), "the nonce of its identifier is used up"
    second = await send(former, app, **sending(payment(0), identifier="two"))
    assert scene.relay(second, 0)


async def test_signature_of_either_enclave_alone_is_refused_by_the_contracts(
    former: Former, code: dict[Address, bytes]
) -> None:
    """The parent takes two signatures, and not one of them twice."""

    scene, app = Scene(former, code), await ada(former)
    relayed = await send(former, app, **sending(payment(0)))

    asked = json.loads(former.both.hosts.carried[-1])
    own = key_signature(parse_signature(bytes.fromhex(asked["signature"][2:])))
    child = former.wallet()
    intent: Any = parse_intent_data("sendTransaction", asked["intent"]["data"])
    bundle = bundle_of(intent)
    enclave = parse_signature(bytes.fromhex(asked["signature"][2:])).recover(child.digest(CHAIN, bundle.legacy_digest))
    of_parent = encode_v2_signature(former.parent, {enclave: own}) + bytes([SignatureType.ERC1271])
    first = embedded_configuration(former.address, unique_signer(ADA[1], SALT))
    alone = encode_v2_signature(first, {former.address: of_parent})
    assert scene.relay(relayed)
    again = await send(former, app, **sending(payment(0), identifier="two"))
    call = execute_bundle(bundle.legacy_calls, bundle.legacy_nonce, alone)
    assert not scene.chain.execute(scene.wallet, call).status
    assert scene.relay(again, 0)


async def test_message_is_valid_for_the_published_validator_before_and_after_the_wallet_is_there(
    former: Former, code: dict[Address, bytes], published: Published
) -> None:
    scene, app = Scene(former, code), await ada(former)
    signed = await app.of_wallet("signMessage", network=str(CHAIN), message="0x68656c6c6f")
    hello = "0x" + keccak256(b"\x19Ethereum Signed Message:\n5hello").hex()
    code_of_validator = published.validation(app.wallet, hello, signed["data"]["signature"])
    assert scene.chain.run(code_of_validator) == b"\x01"
    assert scene.chain.execute(V2.factory, scene_deploy(scene)).status
    assert scene.chain.run(code_of_validator) == b"\x01"


def scene_deploy(scene: Scene) -> bytes:
    """The factory's call data for the user's wallet."""
    first = embedded_configuration(scene.former.address, unique_signer(ADA[1], SALT))
    return deploy_v2(first.image_hash).data


async def test_adopter_acts_for_the_wallet_and_so_does_its_user_before_and_after_it_is_settled(
    former: Former, code: dict[Address, bytes]
) -> None:
    scene, app = Scene(former, code), await ada(former)
    await _allow_adoptions(former)
    adopted = await app.of_wallet("adoptChildWallet", **adoption(app))
    assert adopted["code"] == "childWalletAdopted", adopted
    relayed = await send(former, app, **sending(payment(0)))
    assert scene.relay(relayed), "the chain knows the first configuration, and takes the chain of signatures"
    adopter = address_from_public_key(ADOPTER.public_key.format(compressed=False))
    newest = adopted_configuration(former.address, adopter, adopted["data"]["checkpoint"])
    settle = LegacyCall(scene.wallet, 0, selector("updateImageHash(bytes32)") + newest.image_hash)
    nonce = bundle_nonce(5, 0)
    digest = subdigest(CHAIN, scene.wallet, bundle_digest([settle], nonce))
    signature = encode_v2_signature(newest, {adopter: key_signature(parse_signature(_sign(ADOPTER, digest)))})
    approval = bytes.fromhex(adopted["data"]["signature"][2:])
    chain = encode_v2_chain([signature, approval])
    assert scene.chain.execute(scene.wallet, execute_bundle([settle], nonce, chain)).status
    later = await send(former, app, **sending(payment(0), identifier="two"))
    assert scene.relay(later, 0), "and now the newest, which is the first form"
    assert not scene.relay(await send(former, app, **sending(payment(0), identifier="three")), 1)
