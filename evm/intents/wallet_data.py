"""What intents hold that make a wallet sign, or ask about what it signed: one class for each, read strictly."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from evm.address import Address
from evm.fields import hex_bytes, members, utf8
from evm.intents.account_data import MAX_NONCE_BYTES, Wallet
from evm.intents.errors import IntentError
from evm.intents.fields import Member, contract_address, hex_data, listed, network, parse_members, text
from evm.intents.transactions import MAX_TRANSACTIONS, IntentCall, parse_transaction
from evm.typed_data import TypedData, parse_typed_data
from protocol import limits

MAX_IDENTIFIER_BYTES: Final = 256  # own choice
_DOMAIN: Final = "EIP712Domain"
_DOMAIN_TYPES: Final = {  # EIP-712, in the order in which it lists them
    "name": "string",
    "version": "string",
    "chainId": "uint256",
    "verifyingContract": "address",
    "salt": "bytes32",
}
_META_HASH: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{64}\Z")


def _meta_hash(value: object, code: str) -> bytes:
    if not isinstance(value, str) or not _META_HASH.match(value):
        raise IntentError(code)
    return bytes.fromhex(value.removeprefix("0x"))


def _typed_data(value: object, code: str) -> TypedData:
    """The document. Some libraries leave its domain's type to be told from the domain, which is done here."""
    found = members(value, required=("types", "primaryType", "domain", "message"), code=code)
    types, domain = found["types"], found["domain"]
    if not isinstance(types, dict) or not isinstance(domain, dict):
        raise IntentError(code)
    if _DOMAIN not in types:
        declared = [{"name": name, "type": type_} for name, type_ in _DOMAIN_TYPES.items() if name in domain]
        found = {**found, "types": {**types, _DOMAIN: declared}}
    return parse_typed_data(found)


def _transaction(value: object, _: str) -> IntentCall:
    return parse_transaction(value)


def _adopter_proof(value: object, _: str) -> "AdopterProof":
    return parse_members(AdopterProof, value, "intent-adopter-proof")


def _text_or_hex(value: object, code: str) -> bytes:
    """Applications write the message as it is, or as the hex of its bytes."""
    if isinstance(value, str) and value.startswith("0x"):
        return hex_bytes(value, code, most=limits.MAX_MESSAGE_BYTES)
    return utf8(value, code, most=limits.MAX_MESSAGE_BYTES)


Network: TypeAlias = Annotated[int, Member("network", network)]
Identifier: TypeAlias = Annotated[str, Member("identifier", text(MAX_IDENTIFIER_BYTES))]
Transactions: TypeAlias = Annotated[
    tuple[IntentCall, ...], Member("transactions", listed(_transaction, MAX_TRANSACTIONS))
]


@dataclass(frozen=True, slots=True)
class SessionAuthProof:
    """Asks for a message that proves to others that this session acts for the wallet."""

    chain_id: Network
    wallet: Wallet
    nonce: Annotated[str | None, Member("nonce", text(MAX_NONCE_BYTES))] = None


@dataclass(frozen=True, slots=True)
class SignMessage:
    """A personal message."""

    chain_id: Network
    wallet: Wallet
    message: Annotated[bytes, Member("message", hex_data(limits.MAX_MESSAGE_BYTES))]


@dataclass(frozen=True, slots=True)
class SignTypedData:
    """An EIP-712 document."""

    chain_id: Network
    wallet: Wallet
    document: Annotated[TypedData, Member("typedData", _typed_data)]


@dataclass(frozen=True, slots=True)
class FeeOptions:
    """Asks what sending the transactions would cost."""

    chain_id: Network
    wallet: Wallet
    identifier: Identifier
    transactions: Transactions


@dataclass(frozen=True, slots=True)
class SendTransaction:
    """Transactions of the wallet, in order; a fee is one of them. An identifier can be used once on each chain."""

    chain_id: Network
    wallet: Wallet
    identifier: Identifier
    transactions: Transactions
    fee_quote: Annotated[str | None, Member("transactionsFeeQuote", text())] = None


@dataclass(frozen=True, slots=True)
class GetTransactionReceipt:
    """Asks what became of a bundle, by the digest that was signed."""

    chain_id: Network
    wallet: Wallet
    meta_hash: Annotated[bytes, Member("metaTxHash", _meta_hash)]


@dataclass(frozen=True, slots=True)
class AdopterProof:
    """The adopter's word that it wants to adopt."""

    message: Annotated[bytes, Member("message", _text_or_hex)]
    signature: Annotated[bytes, Member("signature", hex_data(limits.MAX_MESSAGE_BYTES))]


@dataclass(frozen=True, slots=True)
class AdoptChildWallet:
    """The user's own wallet is to act for the embedded one."""

    chain_id: Network
    wallet: Wallet
    adopter: Annotated[Address, Member("adopter", contract_address)]
    proof: Annotated[AdopterProof, Member("adopterProof", _adopter_proof)]
