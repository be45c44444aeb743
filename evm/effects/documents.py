"""Typed documents (EIP-712) that have effects, by their encoded type.

A document that is in no table is unknown. The signature alone is enough for what it says, so every effect is `signed`.
The domain names chain and contract; without a contract nobody would check it, without a chain it holds on every one.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from evm.address import ZERO_ADDRESS, Address
from evm.effects.call import Call, Walk, require_at
from evm.effects.fields import Fields
from evm.effects.model import ALL, Effect, Kind, Reason
from evm.effects.permits import PERMIT2, permit2_approval
from evm.effects.tokens import approval, transfer
from evm.effects.witnesses import read_witness
from evm.errors import EvmError
from evm.typed_data import TypedData

DocumentReader: TypeAlias = Callable[[Call, Fields], Iterable[Effect]]

DOCUMENTS: Final[dict[str, DocumentReader]] = {}
"""By `encodeType`."""


def documents(*encoded_types: str) -> Callable[[DocumentReader], DocumentReader]:
    """Register a reader for documents of these types."""

    def register(reader: DocumentReader) -> DocumentReader:
        for encoded_type in encoded_types:
            if encoded_type in DOCUMENTS:
                raise ImportError(f"two readers for one type: {encoded_type}")
            DOCUMENTS[encoded_type] = reader
        return reader

    return register


def read_document(walk: Walk, signer: Address, document: TypedData) -> tuple[Effect, ...]:
    """What a document means that `signer` signs."""
    contract = document.verifying_contract
    call = Call(
        walk,
        document.chain_id or 0,
        signer,
        contract or ZERO_ADDRESS,
        value=0,
        data=b"",
        signed=True,
        function=document.primary_type,
    )
    reader = DOCUMENTS.get(document.encoded_type) or _by_first_members(document)
    if contract is None or reader is None:
        return (call.unknown(Reason.TYPED_DATA, contract=contract),)
    try:
        return tuple(reader(call, Fields(document.message))) or (call.unknown(Reason.EMPTY),)
    except EvmError as error:
        if error.code == "effects-too-many":
            raise
        reason = Reason.IMPOSTOR if error.code == "effects-impostor" else Reason.TYPED_DATA
        return (call.unknown(reason),)


@documents("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")
def _permit(call: Call, fields: Fields) -> Iterable[Effect]:
    """EIP-2612. The deadline is the signature's; the allowance stays."""
    owner, spender = fields.address("owner"), fields.address("spender")
    return [approval(call, call.asset("erc20"), owner, spender, fields.number("value"), None)]


@documents("Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)")
def _permit_dai(call: Call, fields: Fields) -> Iterable[Effect]:
    amount = ALL if fields.flag("allowed") else 0
    return [approval(call, call.asset("erc20"), fields.address("holder"), fields.address("spender"), amount, None)]


@documents("Permit(address spender,uint256 tokenId,uint256 nonce,uint256 deadline)")
def _permit_item(call: Call, fields: Fields) -> Iterable[Effect]:
    """ERC-4494."""
    asset = call.asset("erc721", fields.number("tokenId"))
    return [approval(call, asset, call.sender, fields.address("spender"), 1, None)]


_DETAILS: Final = "PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"


@documents("PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)" + _DETAILS)
def _permit_single(call: Call, fields: Fields) -> Iterable[Effect]:
    return _permit2(call, fields.address("spender"), [fields.struct("details")])


@documents("PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)" + _DETAILS)
def _permit_batch(call: Call, fields: Fields) -> Iterable[Effect]:
    return _permit2(call, fields.address("spender"), fields.structs("details"))


def _permit2(call: Call, spender: Address, all_details: Iterable[Fields]) -> Iterable[Effect]:
    require_at(call, PERMIT2)
    for found in all_details:
        details = (found.address("token"), found.number("amount"), found.number("expiration"), 0)
        yield permit2_approval(call, call.sender, spender, details)


_PERMISSIONS: Final = "TokenPermissions(address token,uint256 amount)"


@documents(
    "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)" + _PERMISSIONS
)
def _permit_transfer(call: Call, fields: Fields) -> Iterable[Effect]:
    return _signature_transfer(call, fields, [fields.struct("permitted")])


@documents(
    "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)"
    + _PERMISSIONS
)
def _permit_batch_transfer(call: Call, fields: Fields) -> Iterable[Effect]:
    return _signature_transfer(call, fields, fields.structs("permitted"))


def _signature_transfer(call: Call, fields: Fields, permitted: Iterable[Fields]) -> Iterable[Effect]:
    """Permit2: the spender chooses the receiver, so it is an approval until the deadline, once."""
    require_at(call, PERMIT2)
    for found in permitted:
        asset = call.asset("erc20", token=found.address("token"))
        spender, deadline = fields.address("spender"), fields.number("deadline")
        yield approval(call, asset, call.sender, spender, found.number("amount"), deadline)


def _by_first_members(document: TypedData) -> DocumentReader | None:
    """Types with an open end: a witness of any type may follow the members of a Permit2 transfer."""
    members = [(str(member["name"]), str(member["type"])) for member in document.fields]
    rest = [("spender", "address"), ("nonce", "uint256"), ("deadline", "uint256")]
    if _PERMISSIONS not in document.encoded_type or members[1:4] != rest or len(members) != 5:
        return None
    read = _WITNESSED.get((document.primary_type, *members[0]))
    return None if read is None else partial(_witness_transfer, read, *members[4])


def _witness_transfer(read: DocumentReader, name: str, type_: str, call: Call, fields: Fields) -> Iterable[Effect]:
    yield from read(call, fields)
    yield from read_witness(call, fields, name, type_)


_WITNESSED: Final[dict[tuple[str, str, str], DocumentReader]] = {
    ("PermitWitnessTransferFrom", "permitted", "TokenPermissions"): _permit_transfer,
    ("PermitBatchWitnessTransferFrom", "permitted", "TokenPermissions[]"): _permit_batch_transfer,
}


_AUTHORIZED: Final = "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"


@documents("TransferWithAuthorization" + _AUTHORIZED, "ReceiveWithAuthorization" + _AUTHORIZED)
def _with_authorization(call: Call, fields: Fields) -> Iterable[Effect]:
    """ERC-3009."""
    moved = transfer(call, call.asset("erc20"), fields.address("from"), fields.address("to"), fields.number("value"))
    return [replace(moved, expires_s=fields.number("validBefore"))]


@documents("CancelAuthorization(address authorizer,bytes32 nonce)")
def _cancel_authorization(call: Call, fields: Fields) -> Iterable[Effect]:
    return [call.effect(Kind.REVOCATION, account=fields.address("authorizer"), asset=call.asset("erc20"))]
