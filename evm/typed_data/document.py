"""A whole EIP-712 document (the JSON of `eth_signTypedData_v4`): read once, hashed and shown from that one reading.

Each value is turned into the 32 bytes that are hashed and the text that is shown in the same step, so the two cannot
differ (SE-16). Depth and number of values are bounded (SE-12, SE-13).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from evm.address import Address, parse_address
from evm.errors import EvmError
from evm.fields import members
from evm.keccak import keccak256
from evm.typed_data.types import DOMAIN, Types, encode_type, parse_types
from evm.typed_data.values import ATOMIC_TYPES, Encoded, Shown
from evm.words import printable, token_amount
from protocol import limits

_PREFIX: Final = b"\x19\x01"


@dataclass(frozen=True, slots=True)
class TypedData:
    """A document that has been understood. `domain` and `message` hold its values for JSON, by member name."""

    primary_type: str
    encoded_type: str
    domain: Mapping[str, Shown]
    message: Mapping[str, Shown]
    fields: tuple[Mapping[str, Shown], ...]
    domain_separator: bytes
    struct_hash: bytes

    @property
    def digest(self) -> bytes:
        """The hash that is signed (EIP-712, version 01 of EIP-191)."""
        return keccak256(_PREFIX + self.domain_separator + self.struct_hash)

    @property
    def chain_id(self) -> int | None:
        """The chain that the domain names; None where the signature is bound to none."""
        chain_id = self.domain.get("chainId")
        return int(chain_id) if isinstance(chain_id, str) else None

    @property
    def verifying_contract(self) -> Address | None:
        """The contract that the domain names, if any."""
        contract = self.domain.get("verifyingContract")
        return None if contract is None else parse_address(contract)

    def understood(self) -> dict[str, Any]:
        """What will be signed, for JSON: integers as decimal text, each field with name and type, and sentences."""
        return {
            "kind": "typed-data",
            "chainId": self.domain.get("chainId"),
            "domain": dict(self.domain),
            "primaryType": self.primary_type,
            "encodedType": self.encoded_type,
            "fields": list(self.fields),
            "words": self._words(),
        }

    def _words(self) -> list[str]:
        domain = self.domain
        parts = [f"Sign {self.primary_type}"]
        if "name" in domain:
            parts.append(f"for {printable(str(domain['name']))}")
        if "version" in domain:
            parts.append(f"version {printable(str(domain['version']))}")
        parts.append(f"on chain {domain['chainId']}" if "chainId" in domain else "bound to no chain")
        if "verifyingContract" in domain:
            parts.append(f"to be checked by the contract {domain['verifyingContract']}")
        known = _KNOWN.get(self.encoded_type)
        return [" ".join(parts), *([known(self.message, str(domain.get("verifyingContract")))] if known else [])]


def parse_typed_data(value: object) -> TypedData:
    """The document in `{"types", "primaryType", "domain", "message"}`; `EvmError("typed-…")` otherwise."""
    found = members(value, required=("types", "primaryType", "domain", "message"), code="typed-members")
    primary_type = found["primaryType"]
    if not isinstance(primary_type, str):
        raise EvmError("typed-primary-type")
    types = parse_types(found["types"], primary_type)
    encoder = _Encoder(types)
    domain_separator, domain_fields = encoder.struct(DOMAIN, found["domain"], 0)
    struct_hash, fields = encoder.struct(primary_type, found["message"], 0)
    return TypedData(
        primary_type=primary_type,
        encoded_type=encode_type(types, primary_type),
        domain=_by_name(domain_fields),
        message=_by_name(fields),
        fields=tuple(fields),
        domain_separator=domain_separator,
        struct_hash=struct_hash,
    )


class _Encoder:
    """Walks the values of one document: one budget of values, each struct's type hash computed once."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._type_hashes: dict[str, bytes] = {}
        self._left = limits.MAX_TYPED_DATA_VALUES

    def struct(self, name: str, value: object, depth: int) -> tuple[bytes, list[dict[str, Shown]]]:
        """`hashStruct`, and the members for JSON."""
        declared = self._types[name]
        found = members(value, required=[member.name for member in declared], code="typed-fields")
        words = [self._type_hash(name)]
        shown: list[dict[str, Shown]] = []
        for member in declared:
            word, text = self._value(member.type.base, member.type.lengths, found[member.name], depth + 1)
            words.append(word)
            shown.append({"name": member.name, "type": member.type.text, "value": text})
        return keccak256(b"".join(words)), shown

    def _value(self, base: str, lengths: tuple[int | None, ...], value: object, depth: int) -> Encoded:
        self._left -= 1
        if self._left < 0:
            raise EvmError("typed-too-many-values")
        if depth > limits.MAX_TYPED_DATA_DEPTH:
            raise EvmError("typed-too-deep")
        if lengths:
            return self._array(base, lengths, value, depth)
        if base in ATOMIC_TYPES:
            return ATOMIC_TYPES[base](value)
        digest, shown = self.struct(base, value, depth)
        return digest, list(shown)

    def _array(self, base: str, lengths: tuple[int | None, ...], value: object, depth: int) -> Encoded:
        *inner, length = lengths
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise EvmError("typed-array")
        pairs = [self._value(base, tuple(inner), item, depth + 1) for item in value]
        return keccak256(b"".join([word for word, _ in pairs])), [shown for _, shown in pairs]

    def _type_hash(self, name: str) -> bytes:
        if name not in self._type_hashes:
            self._type_hashes[name] = keccak256(encode_type(self._types, name).encode())
        return self._type_hashes[name]


def _by_name(fields: list[dict[str, Shown]]) -> dict[str, Shown]:
    return {str(field["name"]): field["value"] for field in fields}


def _permit(message: Mapping[str, Shown], token: str) -> str:
    amount = token_amount(int(str(message["value"])))
    return (
        f"Let {message['spender']} take {amount} of token {token} from {message['owner']}, "
        f"by this signature alone, until {message['deadline']}"
    )


def _dai_permit(message: Mapping[str, Shown], token: str) -> str:
    what = "take an unlimited amount of" if message["allowed"] else "no longer take"
    return f"Let {message['spender']} {what} token {token} from {message['holder']}, by this signature alone"


# Signatures that move assets without a transaction of the signer, by `encodeType`.
_KNOWN: Final[Mapping[str, Callable[[Mapping[str, Shown], str], str]]] = {
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)": _permit,
    "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)": _dai_permit,
}
