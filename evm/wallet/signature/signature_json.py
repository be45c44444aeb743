"""Signatures in JSON: the form in which signers hand over theirs, and the library's decoded form.

Handed over are `{"address", "signature": S}` and, by sapient signers, `{"imageHash", "signature": S}`, where S is
`{"type": "hash" | "eth_sign", "r", "s", "yParity"}` or
`{"type": "erc1271" | "sapient" | "sapient_compact", "address", "data"}`.
"""

from typing import Any, Final

from evm.address import Address, checksum, parse_address
from evm.fields import hex_bytes, hex_word, members, quantity
from evm.signature import Signature as EcdsaSignature
from evm.signature import parse_signature as parse_ecdsa
from evm.wallet.configuration_json import topology_to_json
from evm.wallet.errors import WalletError, require
from evm.wallet.signature.filling import (
    LeafSignature,
    contract_signature,
    key_signature,
    sapient_signature,
)
from evm.wallet.signature.model import (
    MAX_SIGNATURE_BYTES,
    BranchItem,
    ContractSignature,
    Item,
    KeySignature,
    NestedItem,
    SapientSignature,
    Signature,
)
from evm.wallet.topology import MAX_DEPTH
from evm.wallet.values import to_hex

_CODE: Final = "wallet-leaf-signature"


def parse_leaf_signature(value: object) -> LeafSignature:
    """A signer's answer in the library's hand-over form. Unverified: `assemble` checks what keys say."""
    found = members(value, required=("signature",), optional=("address", "imageHash"), code=_CODE)
    given = found["signature"]
    kind = given.get("type") if isinstance(given, dict) else None
    sapient = kind in ("sapient", "sapient_compact")
    require(found.keys() == {"imageHash" if sapient else "address", "signature"}, _CODE)
    if kind in ("hash", "eth_sign"):
        return key_signature(parse_address(found["address"], _CODE), _parse_ecdsa(given), eth_sign=kind == "eth_sign")
    if kind != "erc1271" and not sapient:
        raise WalletError(_CODE)
    body = members(given, required=("type", "address", "data"), code=_CODE)
    signer = parse_address(body["address"], _CODE)
    data = hex_bytes(body["data"], _CODE, most=MAX_SIGNATURE_BYTES)
    if sapient:
        return sapient_signature(signer, hex_word(found["imageHash"], _CODE), data, compact=kind == "sapient_compact")
    require(parse_address(found["address"], _CODE) == signer, _CODE)
    return contract_signature(signer, data)


def parse_service_signature(signer: Address, data: bytes) -> LeafSignature:
    """A key's answer in the services' form: r, s and v (27 or 28), 65 bytes, over the operation hash."""
    return key_signature(signer, parse_ecdsa(data))


def signature_to_json(signature: Signature) -> dict[str, Any]:
    """The library's decoded form: signed leaves stand there as "unrecovered-signer", for nobody was recovered yet."""
    configuration = {
        "threshold": str(signature.threshold),
        "checkpoint": str(signature.checkpoint),
        "topology": _fold(signature.items, 0),
    }
    found: dict[str, Any] = {"noChainId": signature.no_chain_id, "configuration": configuration}
    if signature.checkpointer is not None:
        configuration["checkpointer"] = checksum(signature.checkpointer)
        found["checkpointerData"] = to_hex(signature.checkpointer_data)
    return found


def _parse_ecdsa(value: object) -> EcdsaSignature:
    found = members(value, required=("type", "r", "s", "yParity"), code=_CODE)
    r, s = (int.from_bytes(hex_word(found[name], _CODE), "big") for name in ("r", "s"))
    return EcdsaSignature(r, s, quantity(found["yParity"], _CODE, most=1))


def _fold(items: tuple[Item, ...], level: int) -> Any:
    """The items as nested pairs; a branch where nothing stands to its left is never well-formed."""
    require(bool(items) and not isinstance(items[0], BranchItem), "wallet-signature-leading-branch")
    require(level + len(items) <= MAX_DEPTH + 1, "wallet-topology-depth")
    root, *others = items
    found = _item_to_json(root, level)
    for item in others:
        found = [found, _item_to_json(item, level + 1)]
    return found


def _item_to_json(item: Item, level: int) -> Any:
    match item:
        case BranchItem(items=items):
            return _fold(items, level)
        case NestedItem(items=items, weight=weight, threshold=threshold):
            tree = _fold(items, level + 1)
            return {"type": "nested", "tree": tree, "weight": str(weight), "threshold": str(threshold)}
        case KeySignature() | ContractSignature() | SapientSignature():
            return {"type": "unrecovered-signer", "weight": str(item.weight), "signature": _answer_to_json(item)}
    return topology_to_json(item)


def _answer_to_json(answer: KeySignature | ContractSignature | SapientSignature) -> dict[str, Any]:
    match answer:
        case KeySignature(compact=compact, eth_sign=eth_sign):
            y_parity, s = compact[32] >> 7, bytes([compact[32] & 0x7F]) + compact[33:]
            numbers = {"r": to_hex(compact[:32]), "s": to_hex(s), "yParity": y_parity}
            return {"type": "eth_sign" if eth_sign else "hash", **numbers}
        case ContractSignature(address=address, data=data):
            return {"type": "erc1271", "address": checksum(address), "data": to_hex(data)}
        case SapientSignature(address=address, data=data, compact=is_compact):
            kind = "sapient_compact" if is_compact else "sapient"
            return {"type": kind, "address": checksum(address), "data": to_hex(data)}
