"""Transactions: legacy (EIP-155), access list (EIP-2930), dynamic fee (EIP-1559) and set code (EIP-7702).

`Transaction` is the one decoded form (SE-16): what is judged and shown is what is hashed, encoded and signed. It cannot
be made out of range. Blob transactions (EIP-4844) are not signed here.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from evm import rlp
from evm.address import ADDRESS_BYTES, Address, checksum
from evm.authorization import MAX_CHAIN_ID, MAX_NONCE, SignedAuthorization
from evm.calldata import Effects, understand
from evm.errors import EvmError
from evm.fields import UINT64_MAX, UINT256_MAX
from evm.keccak import keccak256
from evm.signature import Signature
from evm.words import coins
from protocol import limits

_EIP155_OFFSET: Final = 35


class TransactionType(IntEnum):
    """The EIP-2718 type; a legacy transaction has no type byte."""

    LEGACY = 0
    ACCESS_LIST = 1
    DYNAMIC_FEE = 2
    SET_CODE = 4

    @property
    def has_gas_price(self) -> bool:
        """Whether one gas price stands in place of the two fees."""
        return self < TransactionType.DYNAMIC_FEE


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """An address and the 32-byte storage keys that the transaction says it will touch."""

    address: Address
    storage_keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """An unsigned transaction; making one out of range raises `EvmError`.

    Amounts in wei. `to` is None where a contract is created. The two first types have one gas price: both fees hold it,
    which is what EIP-1559 takes it for. `sender` is what the request claimed and is not part of what is signed.
    """

    type: TransactionType
    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas: int
    to: Address | None
    value: int
    data: bytes
    access_list: tuple[AccessEntry, ...] = ()
    authorizations: tuple[SignedAuthorization, ...] = ()
    sender: Address | None = None

    def __post_init__(self) -> None:
        _validate_ranges(self)
        _validate_shape(self)

    @property
    def unsigned(self) -> bytes:
        """The bytes whose hash is signed."""
        fields = self._fields()
        if self.type is TransactionType.LEGACY:
            return rlp.encode([*fields, self.chain_id, 0, 0])
        return bytes([self.type]) + rlp.encode(fields)

    @property
    def digest(self) -> bytes:
        """The hash that is signed (EIP-155, EIP-2718)."""
        return keccak256(self.unsigned)

    def signed(self, r: int, s: int, y_parity: int) -> bytes:
        """The raw transaction to broadcast; `EvmError` for a signature out of range or with high s (SE-07)."""
        by = Signature(r, s, y_parity)
        if self.type is TransactionType.LEGACY:
            return rlp.encode([*self._fields(), _EIP155_OFFSET + 2 * self.chain_id + by.y_parity, by.r, by.s])
        return bytes([self.type]) + rlp.encode([*self._fields(), by.y_parity, by.r, by.s])

    def validate_sender(self, signer: Address) -> None:
        """`EvmError("tx-from")` when the request names another account than the one that is about to sign."""
        if self.sender is not None and self.sender != signer:
            raise EvmError("tx-from")

    @property
    def max_fee(self) -> int:
        """The most that execution can cost, in wei: every unit of gas at the highest price allowed.

        A rollup may charge for publishing the data on top; that is in no field of a transaction.
        """
        return self.gas * self.max_fee_per_gas

    def understood(self, signer: Address | None = None) -> dict[str, Any]:
        """What will be signed, for JSON: integers as decimal text, amounts in wei, and sentences for a person.

        `signer`, if the request does not name it: what most calls do depends on who makes them.
        """
        by = signer or self.sender
        effects = understand(self.to, self.value, self.data, sender=by, chain_id=self.chain_id)
        result: dict[str, Any] = {
            "kind": "transaction",
            "type": int(self.type),
            "chainId": str(self.chain_id),
            "to": None if self.to is None else checksum(self.to),
            "creation": self.to is None,
            "value": str(self.value),
            "nonce": str(self.nonce),
            "gas": str(self.gas),
            "maxFeePerGas": str(self.max_fee_per_gas),
            "maxPriorityFeePerGas": str(self.max_priority_fee_per_gas),
            "maxFee": str(self.max_fee),
            "dataBytes": len(self.data),
            "dataHash": "0x" + keccak256(self.data).hex(),
            "call": effects.as_json(),
        }
        if self.sender is not None:
            result["from"] = checksum(self.sender)
            if self.to is None:
                result["contract"] = checksum(contract_address(self.sender, self.nonce))
        if self.access_list:
            result["accessList"] = [
                {"address": checksum(entry.address), "storageKeys": ["0x" + key.hex() for key in entry.storage_keys]}
                for entry in self.access_list
            ]
        if self.authorizations:
            result["authorizations"] = [authorization.as_json() for authorization in self.authorizations]
        result["words"] = self._words(effects)
        return result

    def _words(self, effects: Effects) -> list[str]:
        return [
            effects.words,
            *(signed.authorization.sentence(checksum(signed.authority)) for signed in self.authorizations),
            f"On chain {self.chain_id}, as transaction number {self.nonce} of this account",
            f"Fee at most {coins(self.max_fee)}",
        ]

    def _fields(self) -> list[rlp.Encodable]:
        """The fields in the order of the type's payload, without signature."""
        to = b"" if self.to is None else self.to
        call: list[rlp.Encodable] = [self.gas, to, self.value, self.data]
        if self.type is TransactionType.LEGACY:
            return [self.nonce, self.max_fee_per_gas, *call]
        access_list: rlp.Encodable = [[entry.address, entry.storage_keys] for entry in self.access_list]
        if self.type is TransactionType.ACCESS_LIST:
            return [self.chain_id, self.nonce, self.max_fee_per_gas, *call, access_list]
        fees = [self.max_priority_fee_per_gas, self.max_fee_per_gas]
        fields: list[rlp.Encodable] = [self.chain_id, self.nonce, *fees, *call, access_list]
        if self.type is TransactionType.SET_CODE:
            fields.append([authorization.as_rlp() for authorization in self.authorizations])
        return fields


def transaction_hash(raw: bytes) -> bytes:
    """The hash under which a chain knows the signed transaction `raw`."""
    return keccak256(raw)


def contract_address(sender: Address, nonce: int) -> Address:
    """Where a contract comes to lie that `sender` creates with its transaction number `nonce`."""
    return Address(keccak256(rlp.encode([sender, nonce]))[-ADDRESS_BYTES:])


def _validate_ranges(tx: Transaction) -> None:
    """EIP-2294 (chain id), EIP-2681 (nonce), EIP-1559 (fees)."""
    bounds = (
        ("chain-id", tx.chain_id, 1, MAX_CHAIN_ID),
        ("nonce", tx.nonce, 0, MAX_NONCE),
        ("gas", tx.gas, 0, UINT64_MAX),
        ("value", tx.value, 0, UINT256_MAX),
        ("max-fee-per-gas", tx.max_fee_per_gas, 0, UINT256_MAX),
        ("max-priority-fee-per-gas", tx.max_priority_fee_per_gas, 0, tx.max_fee_per_gas),
    )
    for name, number, least, most in bounds:
        if not least <= number <= most:
            raise EvmError("tx-" + name)


def _validate_shape(tx: Transaction) -> None:
    if len(tx.data) > limits.MAX_CALLDATA_BYTES:
        raise EvmError("tx-data")
    if tx.to is None:
        _validate_creation(tx)
    elif len(tx.to) != ADDRESS_BYTES:
        raise EvmError("tx-to")
    if tx.type.has_gas_price and tx.max_priority_fee_per_gas != tx.max_fee_per_gas:
        raise EvmError("tx-gas-price")
    _validate_access_list(tx)
    _validate_authorizations(tx)


def _validate_creation(tx: Transaction) -> None:
    if tx.type is TransactionType.SET_CODE:  # EIP-7702: `to` must not be null
        raise EvmError("tx-to")
    if not tx.data:  # it would only lock up its value
        raise EvmError("tx-creation-empty")


def _validate_access_list(tx: Transaction) -> None:
    if tx.access_list and tx.type is TransactionType.LEGACY:
        raise EvmError("tx-access-list")
    if len(tx.access_list) > limits.MAX_ACCESS_LIST_ENTRIES:
        raise EvmError("tx-access-list")
    keys = [key for entry in tx.access_list for key in entry.storage_keys]
    if len(keys) > limits.MAX_STORAGE_KEYS or any(len(key) != 32 for key in keys):
        raise EvmError("tx-access-list")
    if any(len(entry.address) != ADDRESS_BYTES for entry in tx.access_list):
        raise EvmError("tx-access-list")


def _validate_authorizations(tx: Transaction) -> None:
    """EIP-7702: a set code transaction has at least one. One for another chain would be passed over in silence."""
    if bool(tx.authorizations) != (tx.type is TransactionType.SET_CODE):
        raise EvmError("tx-authorization-list")
    if len(tx.authorizations) > limits.MAX_AUTHORIZATIONS:
        raise EvmError("tx-authorization-list")
    if any(signed.authorization.chain_id != tx.chain_id for signed in tx.authorizations):
        raise EvmError("authorization-chain-id")
