"""Calls that change who controls an account or contract, or which code it runs.

What changes is the called contract: `account` is that contract. Whether a new owner, module or implementation is a good
one cannot be seen; the address stands in `counterparty`, for rules to name.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address
from evm.effects.call import Call, reads
from evm.effects.model import Effect, Kind, Reason
from evm.effects.nesting import delegate_call


def account_change(call: Call, new: Address | None = None) -> Effect:
    """The called contract's control changes, in favour of `new` if an address is named."""
    return call.effect(Kind.ACCOUNT_CHANGE, account=call.to, counterparty=new)


# The last address among the arguments is the one that gets power; none of them, if there is none.
@reads(
    # ERC-173, Ownable2Step, proxies, AccessControl
    "transferOwnership(address)",
    "acceptOwnership()",
    "renounceOwnership()",
    "setOwner(address)",
    "changeAdmin(address)",
    "upgradeTo(address)",
    "grantRole(bytes32,address)",
    "revokeRole(bytes32,address)",
    "renounceRole(bytes32,address)",
    # Safe
    "addOwnerWithThreshold(address,uint256)",
    "removeOwner(address,address,uint256)",
    "swapOwner(address,address,address)",
    "changeThreshold(uint256)",
    "enableModule(address)",
    "disableModule(address,address)",
    "setGuard(address)",
    "setModuleGuard(address)",
    "setFallbackHandler(address)",
    # ERC-7579
    "installModule(uint256,address,bytes)",
    "uninstallModule(uint256,address,bytes)",
    # ERC-1820: whose code runs when tokens of ERC-777 move
    "setInterfaceImplementer(address,bytes32,address)",
    "setManager(address,address)",
    # Sequence v1 to v3
    "updateImageHash(bytes32)",
    "updateImplementation(address)",
    "addHook(bytes4,address)",
    "removeHook(bytes4)",
    "setStaticSignature(bytes32,address,uint96)",
    "updateImageHashAndIPFS(bytes32,bytes32)",
    "setExtraImageHash(bytes32,uint256)",
)
def _change(call: Call, *arguments: object) -> Iterable[Effect]:
    addresses = [a for a in arguments if isinstance(a, bytes) and len(a) == ADDRESS_BYTES]
    return [account_change(call, Address(addresses[-1]) if addresses else None)]


@reads("upgradeToAndCall(address,bytes)")
def _upgrade_and_call(call: Call, implementation: Address, data: bytes) -> Iterable[Effect]:
    change = account_change(call, implementation)
    return [change, delegate_call(call, call.to, implementation, data)] if data else [change]


Delegation: TypeAlias = tuple[Address, Address, bytes, Sequence[tuple[Address, bytes, bytes]], int, bytes]
"""ERC-7710 as MetaMask's framework has it: delegate, delegator, authority, caveats, salt, signature."""

ROOT_AUTHORITY: Final = b"\xff" * 32


@reads("enableDelegation((address,address,bytes32,(address,bytes,bytes)[],uint256,bytes))")
def _enable(call: Call, delegation: Delegation) -> Iterable[Effect]:
    return [call.effect(Kind.GRANT, account=delegation[1], counterparty=delegation[0])]


@reads("disableDelegation((address,address,bytes32,(address,bytes,bytes)[],uint256,bytes))")
def _disable(call: Call, delegation: Delegation) -> Iterable[Effect]:
    return [call.effect(Kind.REVOCATION, account=delegation[1], counterparty=delegation[0])]


@reads("deploy(address,bytes32)")
def _deploy_wallet(call: Call, _implementation: Address, _image_hash: bytes) -> Iterable[Effect]:
    """Sequence's factory, and others of this form."""
    return [call.effect(Kind.CREATION)]


@reads("delegate(address)")
def _delegate_votes(call: Call, who: Address) -> Iterable[Effect]:
    """Votes of a governance token are somebody else's from now on; tokens stay."""
    if who == ZERO_ADDRESS:
        return [call.effect(Kind.REVOCATION, counterparty=who)]
    return [call.effect(Kind.GRANT, counterparty=who)]


@reads("createProxyWithNonce(address,bytes,uint256)")
def _create_safe(call: Call, singleton: Address, data: bytes, _nonce: int) -> Iterable[Effect]:
    """A new Safe; its set-up may delegate-call anything, though only as the new Safe."""
    yield call.effect(Kind.CREATION)
    if data:
        yield call.unknown(Reason.CODE, contract=singleton)
