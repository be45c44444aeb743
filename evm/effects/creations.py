"""Contracts that make contracts: factories of CREATE2 and CREATE3, of accounts and proxies.

What is made is not known here; where its code runs at once with powers of the caller, that is an effect of its own.
"""

from collections.abc import Iterable
from typing import Final

from evm.address import Address
from evm.effects.call import Call, at_contract, reads
from evm.effects.model import Effect, Kind, Reason

_DETERMINISTIC_DEPLOYER: Final = Address(bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c"))


@at_contract(_DETERMINISTIC_DEPLOYER)
def _deterministic(call: Call) -> Iterable[Effect]:
    """Salt and code, without a function: the first bytes are the caller's choice, and may look like any selector."""
    return [call.effect(Kind.CREATION, selector=b"")]


@reads(
    "deploy(bytes,bytes32)",  # ERC-2470
    "deploy(uint256,bytes32,bytes)",
    "deploy(bytes32,bytes)",
    "deployCreate(bytes)",
    "deployCreate2(bytes32,bytes)",
    "deployCreate3(bytes32,bytes)",
    "safeCreate2(bytes32,bytes)",
    "performCreate(uint256,bytes)",
    "performCreate2(uint256,bytes,bytes32)",
    "deploy(address,bytes32)",  # Sequence's factory
    "createAccount(address,uint256)",  # ERC-4337
    "createAccount(bytes[],uint256)",
    "createAccount(address,bytes32,uint256,address,uint256)",  # ERC-6551
)
def _create(call: Call, *_arguments: object) -> Iterable[Effect]:
    return [call.effect(Kind.CREATION)]


@reads(
    "createProxy(address,bytes)",
    "createProxyWithNonce(address,bytes,uint256)",
    "createChainSpecificProxyWithNonce(address,bytes,uint256)",
    "createProxyWithCallback(address,bytes,uint256,address)",
)
def _create_safe(call: Call, singleton: Address, data: bytes, *_nonce_and_callback: object) -> Iterable[Effect]:
    """A new Safe; its set-up may delegate-call anything, though only as the new Safe."""
    yield call.effect(Kind.CREATION)
    if data:
        yield call.unknown(Reason.CODE, contract=singleton)
