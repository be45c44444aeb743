"""A second opinion on a digest, by eth-account: an implementation that shares no line with ours.

Importing this module imports eth-account (about half a second), so nothing else here does. `check_…` raises
`EvmError("encoders-disagree")` unless both encoders hash the same; the caller then must not sign (SE-16).
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

# eth-hash chooses its library when it is first imported, and its default is six times slower.
os.environ["ETH_HASH_BACKEND"] = "pysha3"

from eth_abi.abi import encode as encode_abi
from eth_account._utils.legacy_transactions import serializable_unsigned_transaction_from_dict
from eth_account.messages import SignableMessage, encode_defunct, encode_typed_data
from eth_account.typed_transactions.access_list_transaction import AccessListTransaction
from eth_account.typed_transactions.dynamic_fee_transaction import DynamicFeeTransaction
from eth_account.typed_transactions.set_code_transaction import Authorization as UnsignedAuthorization
from eth_account.typed_transactions.set_code_transaction import SetCodeTransaction

from evm.address import Address
from evm.authorization import Authorization
from evm.delegations.model import Delegation, Manager
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.message import PersonalMessage
from evm.transaction import Transaction, TransactionType
from evm.typed_data import TypedData
from evm.wallet.legacy.digests import LegacyCall
from evm.wallet.operation_hash import RecoveryPayload, operation_hash
from evm.wallet.payload import Payload
from evm.wallet.payload_json import typed_data as wallet_document

_TYPED: Final[Mapping[TransactionType, Any]] = {
    TransactionType.ACCESS_LIST: AccessListTransaction,
    TransactionType.DYNAMIC_FEE: DynamicFeeTransaction,
    TransactionType.SET_CODE: SetCodeTransaction,
}


def check_message(message: PersonalMessage) -> None:
    """Both encoders agree on the message."""
    _compare(message.digest, _hash(encode_defunct(message.data)))


def check_typed_data(typed_data: TypedData, document: dict[str, Any]) -> None:
    """Both encoders agree on the document; `document` is the JSON from which `typed_data` was parsed."""
    try:
        digest = _hash(encode_typed_data(full_message=document))
    except Exception:  # noqa: BLE001  it raises whatever its parts raise
        raise EvmError("encoders-disagree") from None
    _compare(typed_data.digest, digest)


def check_transaction(tx: Transaction) -> None:
    """Both encoders agree on the transaction."""
    try:
        fields = _as_dict(tx)
        # The constructors, not `from_dict`: its reading of hex and checksums costs four times the hash.
        theirs = _TYPED[tx.type](fields) if tx.type else serializable_unsigned_transaction_from_dict(fields)
        digest = bytes(theirs.hash())
    except Exception:  # noqa: BLE001  it raises whatever its parts raise
        raise EvmError("encoders-disagree") from None
    _compare(tx.digest, digest)


def check_delegation(delegation: Delegation, manager: Manager, chain_id: int) -> None:
    """Both encoders agree on the delegation."""
    document = delegation.document(manager, chain_id)
    try:
        digest = _hash(encode_typed_data(full_message=document))
    except Exception:  # noqa: BLE001  it raises whatever its parts raise
        raise EvmError("encoders-disagree") from None
    _compare(delegation.digest(manager, chain_id), digest)


def check_authorization(authorization: Authorization) -> None:
    """Both encoders agree on the authorization of EIP-7702."""
    theirs = UnsignedAuthorization(authorization.chain_id, authorization.delegate, authorization.nonce)
    _compare(authorization.digest, bytes(theirs.hash()))


def check_wallet_payload(payload: Payload | RecoveryPayload, wallet: Address, chain_id: int) -> None:
    """Both encoders agree on a wallet's operation hash; a bare digest has no document to compare."""
    document = wallet_document(payload, wallet, chain_id)
    try:
        digest = _hash(encode_typed_data(full_message=document))
    except Exception:  # noqa: BLE001  it raises whatever its parts raise
        raise EvmError("encoders-disagree") from None
    _compare(operation_hash(payload, wallet, chain_id), digest)


def check_legacy_bundle(calls: Sequence[LegacyCall], nonce: int, digest: bytes) -> None:
    """Both encoders agree on a bundle of the second generation of wallets."""
    listed = [
        (call.delegate_call, call.revert_on_error, call.gas_limit, call.target, call.value, call.data) for call in calls
    ]
    try:
        encoded = encode_abi(["uint256", "(bool,bool,uint256,address,uint256,bytes)[]"], [nonce, listed])
    except Exception:  # noqa: BLE001  it raises whatever its parts raise
        raise EvmError("encoders-disagree") from None
    _compare(digest, keccak256(encoded))


def _compare(ours: bytes, theirs: bytes) -> None:
    if ours != theirs:
        raise EvmError("encoders-disagree")


def _hash(message: SignableMessage) -> bytes:
    return keccak256(b"\x19" + message.version + message.header + message.body)


def _as_dict(tx: Transaction) -> dict[str, Any]:
    """The transaction in eth-account's terms."""
    result: dict[str, Any] = {
        "chainId": tx.chain_id,
        "nonce": tx.nonce,
        "gas": tx.gas,
        "to": b"" if tx.to is None else tx.to,
        "value": tx.value,
        "data": tx.data,
    }
    if tx.type.has_gas_price:
        result["gasPrice"] = tx.max_fee_per_gas
    else:
        result |= {"maxFeePerGas": tx.max_fee_per_gas, "maxPriorityFeePerGas": tx.max_priority_fee_per_gas}
    if tx.type:
        result["accessList"] = [
            {"address": entry.address, "storageKeys": [int.from_bytes(key, "big") for key in entry.storage_keys]}
            for entry in tx.access_list
        ]
    if tx.authorizations:
        result["authorizationList"] = [
            _authorization(signed.as_json(), signed.signature) for signed in tx.authorizations
        ]
    return result


def _authorization(what: Mapping[str, str], by: Any) -> dict[str, Any]:
    return {
        "chainId": int(what["chainId"]),
        "address": bytes.fromhex(what["address"][2:]),
        "nonce": int(what["nonce"]),
        "yParity": by.y_parity,
        "r": by.r,
        "s": by.s,
    }
