"""Calls of token contracts: ERC-20, ERC-721, ERC-1155, ERC-777, ERC-1363 and ERC-3009.

`approve` and `transferFrom` exist in two standards, where the same number is an amount or an item; only somebody who
knows the token can say which (`Call.asset`).
"""

from collections.abc import Iterable, Iterator, Sequence

from evm.address import ZERO_ADDRESS, Address
from evm.effects.call import Call, reads
from evm.effects.model import Asset, Effect, Kind, Reason
from evm.errors import EvmError


def transfer(call: Call, asset: Asset, account: Address, to: Address | None, amount: int) -> Effect:
    """A token moves; of an ERC-721 token it is always one item."""
    moved = 1 if asset.standard == "erc721" else amount
    return call.effect(Kind.TRANSFER, account=account, counterparty=to, asset=asset, amount=moved)


def approval(
    call: Call, asset: Asset, account: Address, spender: Address, amount: int, expires_s: int | None
) -> Effect:
    """An allowance, or its end. Of a token of unknown standard, zero may be the number of an item: no end."""
    if asset.standard == "erc721":
        kind, allowed = Kind.REVOCATION if spender == ZERO_ADDRESS else Kind.APPROVAL, 1
    else:
        ends = (amount == 0 and asset.standard == "erc20") or spender == ZERO_ADDRESS
        kind, allowed = Kind.REVOCATION if ends else Kind.APPROVAL, amount
    return call.effect(kind, account=account, counterparty=spender, asset=asset, amount=allowed, expires_s=expires_s)


def operator(call: Call, asset: Asset, account: Address, who: Address, approved: bool) -> Effect:
    """The right to take every item, given or taken back."""
    return call.effect(Kind.OPERATOR if approved else Kind.REVOCATION, account=account, counterparty=who, asset=asset)


def _callback(call: Call, to: Address, data: bytes) -> Iterator[Effect]:
    """The receiver is told, and given data: what its code makes of that is not known."""
    if data:
        yield call.unknown(Reason.CODE, contract=to)


@reads("transfer(address,uint256)")
def _transfer(call: Call, to: Address, amount: int) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20"), call.sender, to, amount)]


@reads("transferFrom(address,address,uint256)")
def _transfer_from(call: Call, account: Address, to: Address, number: int) -> Iterable[Effect]:
    return [transfer(call, _either(call, number), account, to, number)]


@reads("approve(address,uint256)")
def _approve(call: Call, spender: Address, number: int) -> Iterable[Effect]:
    return [approval(call, _either(call, number), call.sender, spender, number, None)]


def _either(call: Call, number: int) -> Asset:
    asset = call.asset("token", number)
    if asset.standard == "erc1155":  # it has neither function
        raise EvmError("effects-standard")
    return asset


@reads("increaseAllowance(address,uint256)", "increaseApproval(address,uint256)")
def _increase(call: Call, spender: Address, amount: int) -> Iterable[Effect]:
    return [call.effect(Kind.APPROVAL, counterparty=spender, asset=call.asset("erc20"), amount=amount)]


@reads("decreaseAllowance(address,uint256)", "decreaseApproval(address,uint256)")
def _decrease(call: Call, spender: Address, amount: int) -> Iterable[Effect]:
    return [call.effect(Kind.REVOCATION, counterparty=spender, asset=call.asset("erc20"), amount=amount)]


@reads("setApprovalForAll(address,bool)")
def _set_approval_for_all(call: Call, who: Address, approved: bool) -> Iterable[Effect]:
    asset = call.asset("token")
    if asset.standard == "erc20":
        raise EvmError("effects-standard")
    return [operator(call, asset, call.sender, who, approved)]


@reads("safeTransferFrom(address,address,uint256)")
def _safe_transfer(call: Call, account: Address, to: Address, id_: int) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc721", id_), account, to, 1)]


@reads("safeTransferFrom(address,address,uint256,bytes)")
def _safe_transfer_with_data(call: Call, account: Address, to: Address, id_: int, data: bytes) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc721", id_), account, to, 1), *_callback(call, to, data)]


@reads("safeTransferFrom(address,address,uint256,uint256,bytes)")
def _safe_transfer_1155(
    call: Call, account: Address, to: Address, id_: int, amount: int, data: bytes
) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc1155", id_), account, to, amount), *_callback(call, to, data)]


@reads("safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)")
def _safe_batch_transfer(
    call: Call, account: Address, to: Address, ids: Sequence[int], amounts: Sequence[int], data: bytes
) -> Iterable[Effect]:
    if len(ids) != len(amounts):
        raise EvmError("abi")
    for id_, amount in zip(ids, amounts, strict=True):
        yield transfer(call, call.asset("erc1155", id_), account, to, amount)
    yield from _callback(call, to, data)


@reads("burn(uint256)", "burn(uint256,bytes)")
def _burn(call: Call, number: int, _data: bytes = b"") -> Iterable[Effect]:
    """Tokens end: as if they went to nobody."""
    return [transfer(call, _either(call, number), call.sender, ZERO_ADDRESS, number)]


@reads("burnFrom(address,uint256)", "operatorBurn(address,uint256,bytes,bytes)")
def _burn_from(call: Call, account: Address, amount: int, *_data: bytes) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20"), account, ZERO_ADDRESS, amount)]


@reads("burn(address,uint256,uint256)")
def _burn_1155(call: Call, account: Address, id_: int, amount: int) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc1155", id_), account, ZERO_ADDRESS, amount)]


@reads("burnBatch(address,uint256[],uint256[])")
def _burn_batch(call: Call, account: Address, ids: Sequence[int], amounts: Sequence[int]) -> Iterable[Effect]:
    return _safe_batch_transfer(call, account, ZERO_ADDRESS, ids, amounts, b"")


@reads("transferAndCall(address,uint256)", "transferAndCall(address,uint256,bytes)")
def _transfer_and_call(call: Call, to: Address, amount: int, data: bytes = b"") -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20"), call.sender, to, amount), *_callback(call, to, data)]


@reads("transferFromAndCall(address,address,uint256)", "transferFromAndCall(address,address,uint256,bytes)")
def _transfer_from_and_call(
    call: Call, account: Address, to: Address, amount: int, data: bytes = b""
) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20"), account, to, amount), *_callback(call, to, data)]


@reads("approveAndCall(address,uint256)", "approveAndCall(address,uint256,bytes)")
def _approve_and_call(call: Call, spender: Address, amount: int, data: bytes = b"") -> Iterable[Effect]:
    return [
        approval(call, call.asset("erc20"), call.sender, spender, amount, None),
        *_callback(call, spender, data),
    ]


@reads("send(address,uint256,bytes)")
def _send_777(call: Call, to: Address, amount: int, _data: bytes) -> Iterable[Effect]:
    """ERC-777: hooks of sender and receiver run, whatever the data."""
    return [transfer(call, call.asset("erc20"), call.sender, to, amount), call.unknown(Reason.CODE, contract=to)]


@reads("operatorSend(address,address,uint256,bytes,bytes)")
def _operator_send_777(
    call: Call, account: Address, to: Address, amount: int, _data: bytes, _operator_data: bytes
) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20"), account, to, amount), call.unknown(Reason.CODE, contract=to)]


@reads("authorizeOperator(address)")
def _authorize_operator(call: Call, who: Address) -> Iterable[Effect]:
    return [operator(call, call.asset("erc20"), call.sender, who, True)]


@reads("revokeOperator(address)")
def _revoke_operator(call: Call, who: Address) -> Iterable[Effect]:
    return [operator(call, call.asset("erc20"), call.sender, who, False)]


@reads(
    "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
    "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
    "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
    "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
)
def _with_authorization(
    call: Call, account: Address, to: Address, amount: int, *_validity_nonce_signature: object
) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20"), account, to, amount)]


@reads("cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)", "cancelAuthorization(address,bytes32,bytes)")
def _cancel_authorization(call: Call, account: Address, *_nonce_and_signature: object) -> Iterable[Effect]:
    return [call.effect(Kind.REVOCATION, account=account, asset=call.asset("erc20"))]
