"""Allowances by signature, carried to the chain: EIP-2612, DAI, ERC-4494, and all of Permit2.

The account is the one that signed, whoever sends the call. The same permits as documents to be signed are in
`documents.py`.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from evm.address import Address
from evm.effects.call import Call, reads, require_at
from evm.effects.model import ALL, Asset, Effect, Kind
from evm.effects.tokens import approval, transfer
from evm.errors import EvmError

PERMIT2: Final = Address(bytes.fromhex("000000000022d473030f116ddee9f6b43ac78ba3"))

Details: TypeAlias = tuple[Address, int, int, int]
"""Token, amount, expiration (Unix seconds), nonce."""


@reads("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", "permit(address,address,uint256,uint256,bytes)")
def _permit(
    call: Call, owner: Address, spender: Address, amount: int, *_deadline_signature: object
) -> Iterable[Effect]:
    return [approval(call, call.asset("erc20"), owner, spender, amount, None)]


@reads("permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)")
def _permit_dai(
    call: Call, holder: Address, spender: Address, _nonce: int, _expiry: int, allowed: bool, *_signature: object
) -> Iterable[Effect]:
    """DAI: everything or nothing. The expiry is that of the signature, not of the allowance."""
    return [approval(call, call.asset("erc20"), holder, spender, ALL if allowed else 0, None)]


@reads("permit(address,uint256,uint256,bytes)", "permit(address,uint256,uint256,uint8,bytes32,bytes32)")
def _permit_item(call: Call, spender: Address, id_: int, *_deadline_signature: object) -> Iterable[Effect]:
    """ERC-4494. Whose item it is, the call does not say."""
    return [approval(call, call.asset("erc721", id_), call.sender, spender, 1, None)]


@reads("approve(address,address,uint160,uint48)")
def _permit2_approve(call: Call, token: Address, spender: Address, amount: int, expires_s: int) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    return [permit2_approval(call, call.sender, spender, (token, amount, expires_s, 0))]


@reads("permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)")
def _permit2_permit(
    call: Call, owner: Address, permit: tuple[Details, Address, int], _signature: bytes
) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    details, spender, _ = permit
    return [permit2_approval(call, owner, spender, details)]


@reads("permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)")
def _permit2_permit_batch(
    call: Call, owner: Address, permit: tuple[Sequence[Details], Address, int], _signature: bytes
) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    all_details, spender, _ = permit
    return [permit2_approval(call, owner, spender, details) for details in all_details]


def permit2_approval(call: Call, owner: Address, spender: Address, details: Details) -> Effect:
    """An allowance that Permit2 keeps; it can take what `owner` has approved to Permit2 itself."""
    token, amount, expires_s, _ = details
    return approval(call, _erc20(call, token), owner, spender, amount, expires_s)


def _erc20(call: Call, token: Address) -> Asset:
    return call.asset("erc20", token=token)


@reads("transferFrom(address,address,uint160,address)")
def _permit2_transfer(call: Call, account: Address, to: Address, amount: int, token: Address) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    return [transfer(call, _erc20(call, token), account, to, amount)]


@reads("transferFrom((address,address,uint160,address)[])")
def _permit2_transfers(call: Call, transfers: Sequence[tuple[Address, Address, int, Address]]) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    return [transfer(call, _erc20(call, token), account, to, amount) for account, to, amount, token in transfers]


_Permitted: TypeAlias = tuple[Address, int]
_Details: TypeAlias = tuple[Address, int]


@reads(
    "permitTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes)",
    "permitWitnessTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes32,string,bytes)",
)
def _permit2_signed_transfer(
    call: Call, permit: tuple[_Permitted, int, int], details: _Details, owner: Address, *_signature: object
) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    (token, _), (to, amount) = permit[0], details
    return [transfer(call, _erc20(call, token), owner, to, amount)]


@reads(
    "permitTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes)",
    "permitWitnessTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes32,string,bytes)",
)
def _permit2_signed_transfers(
    call: Call,
    permit: tuple[Sequence[_Permitted], int, int],
    details: Sequence[_Details],
    owner: Address,
    *_signature: object,
) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    if len(permit[0]) != len(details):
        raise EvmError("abi")
    for (token, _), (to, amount) in zip(permit[0], details, strict=True):
        yield transfer(call, _erc20(call, token), owner, to, amount)


@reads("lockdown((address,address)[])")
def _permit2_lockdown(call: Call, approvals: Sequence[tuple[Address, Address]]) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    return [
        call.effect(Kind.REVOCATION, counterparty=spender, asset=_erc20(call, token)) for token, spender in approvals
    ]


@reads("invalidateNonces(address,address,uint48)")
def _permit2_invalidate(call: Call, token: Address, spender: Address, _nonce: int) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    return [call.effect(Kind.REVOCATION, counterparty=spender, asset=_erc20(call, token))]


@reads("invalidateUnorderedNonces(uint256,uint256)")
def _permit2_invalidate_unordered(call: Call, _word: int, _mask: int) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    return [call.effect(Kind.REVOCATION)]
