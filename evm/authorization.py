"""EIP-7702 authorizations: an account takes on the code at an address as its own, on one chain, once.

Chain id 0 would hold on every chain; it is refused here, signed or unsigned.
"""

from dataclasses import dataclass
from typing import Any, Final

from evm import rlp
from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address, address_from_bytes, checksum, parse_address
from evm.errors import EvmError
from evm.fields import members, quantity
from evm.keccak import keccak256
from evm.signature import Signature

MAX_CHAIN_ID: Final = 2**63 - 37
"""EIP-2294: the largest chain id whose EIP-155 `v` fits 64 bits."""
MAX_NONCE: Final = 2**64 - 2
"""EIP-2681 for accounts; EIP-7702 has the same bound."""

_MAGIC: Final = b"\x05"
_UNSIGNED_FIELDS: Final = ("chainId", "address", "nonce")
_SIGNED_FIELDS: Final = (*_UNSIGNED_FIELDS, "yParity", "r", "s")


@dataclass(frozen=True, slots=True)
class Authorization:
    """What an account signs: `delegate` is the contract whose code it takes on; the zero address ends a delegation."""

    chain_id: int
    delegate: Address
    nonce: int

    def __post_init__(self) -> None:
        if not 0 < self.chain_id <= MAX_CHAIN_ID:
            raise EvmError("authorization-chain-id")
        if len(self.delegate) != ADDRESS_BYTES:
            raise EvmError("authorization-address")
        if not 0 <= self.nonce <= MAX_NONCE:
            raise EvmError("authorization-nonce")

    @property
    def digest(self) -> bytes:
        """The hash that the account signs."""
        return keccak256(_MAGIC + rlp.encode([self.chain_id, self.delegate, self.nonce]))

    def understood(self) -> dict[str, Any]:
        """What will be signed, for JSON."""
        return {"kind": "authorization", **self._as_json(), "words": [self.sentence("This account")]}

    def sentence(self, who: str) -> str:
        """What `who` agrees to."""
        where = f"on chain {self.chain_id} (authorization nonce {self.nonce})"
        if self.delegate == ZERO_ADDRESS:
            return f"{who} ends its delegation {where}"
        return f"{who} hands full control of itself to the code at {checksum(self.delegate)} {where}"

    def _as_json(self) -> dict[str, str]:
        return {"chainId": str(self.chain_id), "address": checksum(self.delegate), "nonce": str(self.nonce)}


@dataclass(frozen=True, slots=True)
class SignedAuthorization:
    """An authorization and whose it is. Only `verify_authorization` makes one."""

    authorization: Authorization
    signature: Signature
    authority: Address

    def as_json(self) -> dict[str, str]:
        """What the authorization says, for JSON; `authority` is the account whose code changes."""
        what = self.authorization
        return {
            "authority": checksum(self.authority),
            "chainId": str(what.chain_id),
            "address": checksum(what.delegate),
            "nonce": str(what.nonce),
        }

    def as_rlp(self) -> rlp.Encodable:
        """The six items of an authorization list's entry."""
        what, by = self.authorization, self.signature
        return [what.chain_id, what.delegate, what.nonce, by.y_parity, by.r, by.s]


def verify_authorization(authorization: Authorization, signature: Signature) -> SignedAuthorization:
    """The authorization with the account that signed it; `EvmError("signature-recover")` when no account did."""
    return SignedAuthorization(authorization, signature, signature.recover(authorization.digest))


def parse_authorization(value: object) -> Authorization:
    """An unsigned authorization from `{"chainId", "address", "nonce"}`."""
    return _unsigned(members(value, required=_UNSIGNED_FIELDS, code="authorization-fields"))


def authorization_from_json(value: object) -> SignedAuthorization:
    """A signed authorization from the JSON-RPC object, its signature verified."""
    found = members(value, required=_SIGNED_FIELDS, code="authorization-fields")
    code = "authorization-signature"
    signature = Signature(
        r=quantity(found["r"], code), s=quantity(found["s"], code), y_parity=quantity(found["yParity"], code)
    )
    return verify_authorization(_unsigned(found), signature)


def authorization_from_rlp(item: rlp.Item) -> SignedAuthorization:
    """A signed authorization from an entry of an authorization list, its signature verified."""
    if not isinstance(item, list) or len(item) != len(_SIGNED_FIELDS):
        raise EvmError("authorization-fields")
    parts = [part for part in item if isinstance(part, bytes)]
    if len(parts) != len(item):
        raise EvmError("authorization-fields")
    chain_id, nonce, y_parity, r, s = (int.from_bytes(parts[i], "big") for i in (0, 2, 3, 4, 5))
    delegate = address_from_bytes(parts[1], "authorization-address")
    return verify_authorization(Authorization(chain_id, delegate, nonce), Signature(r, s, y_parity))


def _unsigned(found: dict[str, Any]) -> Authorization:
    return Authorization(
        chain_id=quantity(found["chainId"], "authorization-chain-id"),
        delegate=parse_address(found["address"], "authorization-address"),
        nonce=quantity(found["nonce"], "authorization-nonce"),
    )
