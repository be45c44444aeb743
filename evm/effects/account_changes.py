"""Calls that change who controls an account or contract, or which code it runs.

What changes is the called contract: `account` is that contract. Whether a new owner, module or implementation is a good
one cannot be seen; the address stands in `counterparty`, for rules to name.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address
from evm.effects.call import Call, reads
from evm.effects.model import Effect, Kind
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
    "setAdmin(address)",
    "setPendingAdmin(address)",
    "acceptAdmin()",
    "setPendingOwner(address)",
    "claimOwnership()",
    "changeOwner(address)",
    "setImplementation(address)",
    "beginDefaultAdminTransfer(address)",
    "acceptDefaultAdminTransfer()",
    "cancelDefaultAdminTransfer()",
    "setRoleAdmin(bytes32,bytes32)",
    # Solady: owners and roles as bits
    "completeOwnershipHandover(address)",
    "requestOwnershipHandover()",
    "grantRoles(address,uint256)",
    "revokeRoles(address,uint256)",
    "renounceRoles(uint256)",
    # AccessManager; DS-Auth
    "grantRole(uint64,address,uint32)",
    "revokeRole(uint64,address)",
    "renounceRole(uint64,address)",
    "setTargetFunctionRole(address,bytes4[],uint64)",
    "setTargetClosed(address,bool)",
    "updateAuthority(address,address)",
    "setAuthority(address)",
    # who may make tokens
    "addMinter(address)",
    "setMinter(address)",
    "configureMinter(address,uint256)",
    "transferMintership(address)",
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
    "changeMasterCopy(address)",
    # Gnosis multisignature wallets and accounts with several owners
    "addOwner(address)",
    "removeOwner(address)",
    "replaceOwner(address,address)",
    "changeRequirement(uint256)",
    "addOwnerAddress(address)",
    "addOwnerPublicKey(bytes32,bytes32)",
    "removeOwnerAtIndex(uint256,bytes)",
    # ERC-725Y: who may do what with an account stands among its data
    "setData(bytes32,bytes)",
    "setDataBatch(bytes32[],bytes[])",
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
    return _upgrade(call, call.to, implementation, data)


@reads("upgrade(address,address)", "upgradeAndCall(address,address,bytes)")
def _upgrade_by_admin(call: Call, proxy: Address, implementation: Address, data: bytes = b"") -> Iterable[Effect]:
    """ProxyAdmin: the admin is called, the proxy changes."""
    return _upgrade(call, proxy, implementation, data)


def _upgrade(call: Call, proxy: Address, implementation: Address, data: bytes) -> Iterable[Effect]:
    yield call.effect(Kind.ACCOUNT_CHANGE, account=proxy, counterparty=implementation)
    if data:
        yield delegate_call(call, proxy, implementation, data)


@reads("changeProxyAdmin(address,address)")
def _change_admin(call: Call, proxy: Address, admin: Address) -> Iterable[Effect]:
    return [call.effect(Kind.ACCOUNT_CHANGE, account=proxy, counterparty=admin)]


@reads("diamondCut((address,uint8,bytes4[])[],address,bytes)")
def _diamond_cut(
    call: Call, facets: Sequence[tuple[Address, int, Sequence[bytes]]], init: Address, data: bytes
) -> Iterable[Effect]:
    """ERC-2535: functions are added, replaced or removed; then `init` runs as the diamond, if it is named."""
    for facet, _, _ in facets:
        yield account_change(call, facet)
    if init != ZERO_ADDRESS:
        yield account_change(call, init)
        yield delegate_call(call, call.to, init, data)


@reads("setup(address[],uint256,address,bytes,address,address,uint256,address)")
def _set_up_safe(
    call: Call, owners: Sequence[Address], _threshold: int, to: Address, data: bytes, handler: Address, *_pay: object
) -> Iterable[Effect]:
    """The first owners of a Safe; `to` runs as the Safe, if it is named."""
    for who in (*owners, handler):
        yield account_change(call, who)
    if to != ZERO_ADDRESS:
        yield delegate_call(call, call.to, to, data)


# ENS: the registry, its registrar, its wrapper, and what a name points at. Owner and resolver both decide about that.
@reads(
    "setOwner(bytes32,address)",
    "setSubnodeOwner(bytes32,bytes32,address)",
    "setRecord(bytes32,address,address,uint64)",
    "setSubnodeRecord(bytes32,bytes32,address,address,uint64)",
    "setResolver(bytes32,address)",
    "setAddr(bytes32,address)",
    "setAddr(bytes32,uint256,bytes)",
    "reclaim(uint256,address)",
    "wrapETH2LD(string,address,uint16,address)",
    "wrap(bytes,address,address)",
    "unwrapETH2LD(bytes32,address,address)",
    "unwrap(bytes32,bytes32,address)",
    "setSubnodeOwner(bytes32,string,address,uint32,uint64)",
    "setSubnodeRecord(bytes32,string,address,address,uint64,uint32,uint64)",
    "setFuses(bytes32,uint16)",
)
def _name(call: Call, *arguments: object) -> Iterable[Effect]:
    addresses = [Address(a) for a in arguments if isinstance(a, bytes) and len(a) == ADDRESS_BYTES]
    return [account_change(call, who) for who in addresses] or [account_change(call)]


Delegation: TypeAlias = tuple[Address, Address, bytes, Sequence[tuple[Address, bytes, bytes]], int, bytes]
"""ERC-7710 as MetaMask's framework has it: delegate, delegator, authority, caveats, salt, signature."""

ROOT_AUTHORITY: Final = b"\xff" * 32


@reads("enableDelegation((address,address,bytes32,(address,bytes,bytes)[],uint256,bytes))")
def _enable(call: Call, delegation: Delegation) -> Iterable[Effect]:
    return [call.effect(Kind.GRANT, account=delegation[1], counterparty=delegation[0])]


@reads("disableDelegation((address,address,bytes32,(address,bytes,bytes)[],uint256,bytes))")
def _disable(call: Call, delegation: Delegation) -> Iterable[Effect]:
    return [call.effect(Kind.REVOCATION, account=delegation[1], counterparty=delegation[0])]


@reads("delegate(address)")
def _delegate_votes(call: Call, who: Address) -> Iterable[Effect]:
    """Votes of a governance token are somebody else's from now on; tokens stay."""
    if who == ZERO_ADDRESS:
        return [call.effect(Kind.REVOCATION, counterparty=who)]
    return [call.effect(Kind.GRANT, counterparty=who)]
