"""Third-generation wallets in an EVM, as far as it goes without their contracts: the proxy's genuine code, which is
part of every address, is created where we say, takes coins, and hands everything else to the first-stage module.

Factory and module are stand-ins here: their published code is in no registry that this project reads.
"""

import pytest

from evm.address import Address
from evm.wallet.context import CONTEXTS, Context
from evm.wallet.deploy import deploy_call
from simulator import contracts
from simulator.chain import ChainError, LocalChain

IMAGE_HASH = b"\x42" * 32
FACTORY = """
    {first} 0x00 MSTORE {second} 0x20 MSTORE
    0x04 CALLDATALOAD {size} MSTORE              ; the module, behind the code
    0x24 CALLDATALOAD {whole} 0x00 0x00 CREATE2
    DUP1 @deployed JUMPI 0x00 0x00 REVERT
deployed:
    0x00 MSTORE 0x20 0x00 RETURN
"""


@pytest.fixture(params=CONTEXTS.values(), ids=lambda context: context.name)
def context(request: pytest.FixtureRequest) -> Context:
    found: Context = request.param
    return found


@pytest.fixture
def chain(context: Context) -> LocalChain:
    code = context.creation_code
    factory = contracts.assemble(
        FACTORY.format(
            first="0x" + code[:32].hex(),
            second="0x" + code[32:].ljust(32, b"\0").hex(),
            size=f"0x{len(code):02x}",
            whole=f"0x{len(code) + 32:02x}",
        )
    )
    recorder = LocalChain().run(contracts.recorder())
    return LocalChain(1, {context.factory: factory, context.stage1: recorder})


def deploy(chain: LocalChain, context: Context) -> Address:
    call = deploy_call(context, IMAGE_HASH)
    answer = chain.call(call.to, call.data)
    chain.execute(call.to, call.data)
    return Address(answer[12:])


def test_wallet_is_created_where_its_image_hash_says(chain: LocalChain, context: Context) -> None:
    wallet = deploy(chain, context)
    assert wallet == context.wallet_address(IMAGE_HASH)
    assert len(chain.code(wallet)) in (30, 33)
    assert chain.storage(wallet, int.from_bytes(wallet, "big")) == int.from_bytes(context.stage1, "big")


def test_wallet_exists_once(chain: LocalChain, context: Context) -> None:
    deploy(chain, context)
    call = deploy_call(context, IMAGE_HASH)
    with pytest.raises(ChainError, match="Revert"):
        chain.call(call.to, call.data)


def test_coins_are_taken_and_calls_are_handed_to_the_module(chain: LocalChain, context: Context) -> None:
    wallet = deploy(chain, context)
    chain.fund(wallet, 5)
    assert chain.balance(wallet) == 5
    word = (77).to_bytes(32, "big")
    assert chain.call(wallet, word)[12:] == wallet  # the module runs as the wallet
    chain.execute(wallet, word)
    assert chain.storage(wallet, 0) == 77
    assert chain.storage(context.stage1, 0) == 0
