"""A delegation and what is signed of it: EIP-712 under the domain of a delegation manager.

A delegator lets a delegate act for it, within caveats that enforcer contracts check at each use. Signatures, and the
arguments that whoever redeems hands to an enforcer, are outside the hash.
"""

from dataclasses import dataclass
from typing import Any, Final

from evm.address import ADDRESS_BYTES, Address, checksum
from evm.authorization import MAX_CHAIN_ID
from evm.delegations.delegation_type import CAVEAT_TYPE, DELEGATION_TYPE
from evm.delegations.errors import require
from evm.fields import UINT256_MAX
from evm.keccak import keccak256
from evm.typed_data import TypedData, parse_typed_data
from evm.wallet.abi import word
from evm.wallet.operation_hash import Domain

MAX_CAVEATS: Final = 16  # own choice: a permission of ERC-7715 has at most six
MAX_TERMS_BYTES: Final = 4096  # own choice
ROOT_AUTHORITY: Final = b"\xff" * 32
"""The delegator gives of its own."""
ANY_DELEGATE: Final = Address(bytes.fromhex("a11".zfill(40)))
"""Whoever comes may redeem."""

_CAVEAT: Final = keccak256(CAVEAT_TYPE.encode())
_DELEGATION: Final = keccak256(DELEGATION_TYPE.encode())


@dataclass(frozen=True, slots=True)
class Caveat:
    """A condition: the contract that checks it, and the terms that it reads."""

    enforcer: Address
    terms: bytes

    def __post_init__(self) -> None:
        require(len(self.enforcer) == ADDRESS_BYTES, "delegation-enforcer")
        require(len(self.terms) <= MAX_TERMS_BYTES, "delegation-terms")

    @property
    def struct_hash(self) -> bytes:
        """EIP-712 `hashStruct`."""
        return keccak256(_CAVEAT + word(self.enforcer) + keccak256(self.terms))


@dataclass(frozen=True, slots=True)
class Manager:
    """The contract that checks delegations, and the EIP-712 domain under which they are signed."""

    address: Address
    name: str
    version: str

    def domain_separator(self, chain_id: int) -> bytes:
        """EIP-712 `domainSeparator`; chain id 0 is refused."""
        require(0 < chain_id <= MAX_CHAIN_ID, "delegation-chain-id")
        return Domain(self.name, self.version).separator(self.address, chain_id)


@dataclass(frozen=True, slots=True)
class Delegation:
    """What a delegator signs. `authority` is `ROOT_AUTHORITY`, or the hash of the delegation that is passed on."""

    delegate: Address
    delegator: Address
    authority: bytes
    caveats: tuple[Caveat, ...]
    salt: int

    def __post_init__(self) -> None:
        lengths = (len(self.delegate), len(self.delegator), len(self.authority))
        require(lengths == (ADDRESS_BYTES, ADDRESS_BYTES, 32), "delegation-parties")
        require(len(self.caveats) <= MAX_CAVEATS, "delegation-caveats")
        require(0 <= self.salt <= UINT256_MAX, "delegation-salt")

    @property
    def hash(self) -> bytes:
        """EIP-712 `hashStruct`: the name by which a delegation is listed, passed on and disabled."""
        caveats = keccak256(b"".join([caveat.struct_hash for caveat in self.caveats]))
        parties = word(self.delegate) + word(self.delegator)
        return keccak256(_DELEGATION + parties + self.authority + caveats + word(self.salt))

    def digest(self, manager: Manager, chain_id: int) -> bytes:
        """What an account of a key signs. A wallet signs the document, as a message: `typed_data`."""
        return keccak256(b"\x19\x01" + manager.domain_separator(chain_id) + self.hash)

    def typed_data(self, manager: Manager, chain_id: int) -> TypedData:
        """The same as a document that was understood, for signers of documents."""
        return parse_typed_data(self.document(manager, chain_id))

    def document(self, manager: Manager, chain_id: int) -> dict[str, Any]:
        """The same as a document, in JSON; chain id 0 is refused."""
        manager.domain_separator(chain_id)
        return {
            "types": _TYPES,
            "primaryType": "Delegation",
            "domain": {
                "name": manager.name,
                "version": manager.version,
                "chainId": chain_id,
                "verifyingContract": checksum(manager.address),
            },
            "message": self.as_json(),
        }

    def as_json(self) -> dict[str, Any]:
        """The delegation in the JSON of documents."""
        return {
            "delegate": checksum(self.delegate),
            "delegator": checksum(self.delegator),
            "authority": "0x" + self.authority.hex(),
            "caveats": [
                {"enforcer": checksum(caveat.enforcer), "terms": "0x" + caveat.terms.hex()} for caveat in self.caveats
            ],
            "salt": str(self.salt),
        }


_TYPES: Final = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "Delegation": [
        {"name": "delegate", "type": "address"},
        {"name": "delegator", "type": "address"},
        {"name": "authority", "type": "bytes32"},
        {"name": "caveats", "type": "Caveat[]"},
        {"name": "salt", "type": "uint256"},
    ],
    "Caveat": [{"name": "enforcer", "type": "address"}, {"name": "terms", "type": "bytes"}],
}
