"""ERC-4337 v0.7 user operations of a wallet: calls that an entry point carries out.

The wallet's calls are packed with space and nonce 0, for the entry point keeps the nonces. What the signers sign is a
message payload: the preimage of the entry point's own hash. The chain id is in both.
"""

from dataclasses import dataclass
from typing import Any, Final

from evm.address import ADDRESS_BYTES, Address, checksum, parse_address
from evm.fields import hex_bytes, items, members
from evm.keccak import keccak256
from evm.wallet.abi import dynamic, encode, selector, word
from evm.wallet.context import ENTRY_POINT
from evm.wallet.errors import require
from evm.wallet.packed_calls import pack_calls
from evm.wallet.payload import MAX_CALLS, MAX_PAYLOAD_BYTES, CallsPayload, MessagePayload
from evm.wallet.payload_json import parse_call
from evm.wallet.values import parse_decimal, present, to_hex

EXECUTE_USER_OP: Final = selector("executeUserOp(bytes)")
_UINT128_MAX: Final = 2**128 - 1
_SEQUENCE_BITS: Final = 64
_CODE: Final = "wallet-user-operation"

_REQUIRED: Final = (
    "type",
    "calls",
    "entrypoint",
    "callGasLimit",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "space",
    "nonce",
    "preVerificationGas",
    "verificationGasLimit",
)
_FACTORY: Final = ("factory", "factoryData")
_PAYMASTER: Final = ("paymaster", "paymasterData", "paymasterVerificationGasLimit", "paymasterPostOpGasLimit")


@dataclass(frozen=True, slots=True)
class Factory:
    """Deploys the sender before the operation."""

    address: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class Paymaster:
    """Pays for the operation. Gas limits are for its validation and for what it does afterwards."""

    address: Address
    data: bytes
    verification_gas_limit: int
    post_op_gas_limit: int


@dataclass(frozen=True, slots=True)
class UserOperation:
    """An operation without its signature. Gas in units of gas, fees in wei; `space` is the entry point's nonce key."""

    sender: Address
    calls: CallsPayload
    space: int
    nonce: int
    call_gas_limit: int
    verification_gas_limit: int
    pre_verification_gas: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    entry_point: Address = ENTRY_POINT
    factory: Factory | None = None
    paymaster: Paymaster | None = None

    def __post_init__(self) -> None:
        require(len(self.sender) == len(self.entry_point) == ADDRESS_BYTES, _CODE)
        require((self.calls.space, self.calls.nonce, self.calls.parent_wallets) == (0, 0, ()), "wallet-user-op-calls")
        require(0 <= self.space < 2**192 and 0 <= self.nonce < 2**_SEQUENCE_BITS, "wallet-user-op-nonce")
        limits = [self.call_gas_limit, self.verification_gas_limit, self.max_fee_per_gas, self.max_priority_fee_per_gas]
        if self.paymaster is not None:
            limits += [self.paymaster.verification_gas_limit, self.paymaster.post_op_gas_limit]
        require(all(0 <= limit <= _UINT128_MAX for limit in limits), "wallet-user-op-gas")
        require(0 <= self.pre_verification_gas < 2**256, "wallet-user-op-gas")

    @property
    def full_nonce(self) -> int:
        """The entry point's nonce: key and sequence in one number."""
        return self.space << _SEQUENCE_BITS | self.nonce

    @property
    def call_data(self) -> bytes:
        """`executeUserOp` of the packed calls."""
        return EXECUTE_USER_OP + encode(dynamic(pack_calls(self.calls, self.sender)))

    @property
    def init_code(self) -> bytes:
        """Factory and its calldata, or nothing."""
        return b"" if self.factory is None else self.factory.address + self.factory.data

    @property
    def paymaster_and_data(self) -> bytes:
        """The paymaster, its gas limits and data, or nothing."""
        if self.paymaster is None:
            return b""
        gas = _pair(self.paymaster.verification_gas_limit, self.paymaster.post_op_gas_limit)
        return self.paymaster.address + gas + self.paymaster.data

    def message(self, chain_id: int) -> bytes:
        """The bytes whose hash is the entry point's `userOpHash`."""
        packed = encode(
            word(self.sender),
            word(self.full_nonce),
            keccak256(self.init_code),
            keccak256(self.call_data),
            _pair(self.verification_gas_limit, self.call_gas_limit),
            word(self.pre_verification_gas),
            _pair(self.max_priority_fee_per_gas, self.max_fee_per_gas),
            keccak256(self.paymaster_and_data),
        )
        return encode(keccak256(packed), word(self.entry_point), word(chain_id))

    def user_op_hash(self, chain_id: int) -> bytes:
        """What the entry point hands to `validateUserOp`, and the wallet to `isValidSignature`."""
        return keccak256(self.message(chain_id))

    def payload(self, chain_id: int) -> MessagePayload:
        """What the wallet's signers sign."""
        return MessagePayload(self.message(chain_id))

    def to_json(self, signature: bytes) -> dict[str, Any]:
        """The unpacked operation as bundlers take it, integers as decimal text."""
        factory, paymaster = self.factory, self.paymaster
        return present(
            sender=checksum(self.sender),
            nonce=str(self.full_nonce),
            factory=factory and checksum(factory.address),
            factoryData=factory and to_hex(factory.data),
            callData=to_hex(self.call_data),
            callGasLimit=str(self.call_gas_limit),
            verificationGasLimit=str(self.verification_gas_limit),
            preVerificationGas=str(self.pre_verification_gas),
            maxFeePerGas=str(self.max_fee_per_gas),
            maxPriorityFeePerGas=str(self.max_priority_fee_per_gas),
            paymaster=paymaster and checksum(paymaster.address),
            paymasterData=paymaster and to_hex(paymaster.data),
            paymasterVerificationGasLimit=paymaster and str(paymaster.verification_gas_limit),
            paymasterPostOpGasLimit=paymaster and str(paymaster.post_op_gas_limit),
            signature=to_hex(signature),
        )


def parse_user_operation(value: object, sender: Address) -> UserOperation:
    """From the library's payload of type "call_4337_07"; a factory and a paymaster are given whole or not at all."""
    found = members(value, required=_REQUIRED, optional=(*_FACTORY, *_PAYMASTER), code=_CODE)
    require(found["type"] == "call_4337_07", _CODE)
    calls = items(found["calls"], most=MAX_CALLS, code="wallet-calls-count")
    factory = paymaster = None
    if _complete(found, _FACTORY):
        factory = Factory(parse_address(found["factory"], _CODE), _data(found["factoryData"]))
    if _complete(found, _PAYMASTER):
        paymaster = Paymaster(
            address=parse_address(found["paymaster"], _CODE),
            data=_data(found["paymasterData"]),
            verification_gas_limit=_number(found, "paymasterVerificationGasLimit"),
            post_op_gas_limit=_number(found, "paymasterPostOpGasLimit"),
        )
    return UserOperation(
        sender=sender,
        calls=CallsPayload(tuple(map(parse_call, calls))),
        space=_number(found, "space"),
        nonce=_number(found, "nonce"),
        call_gas_limit=_number(found, "callGasLimit"),
        verification_gas_limit=_number(found, "verificationGasLimit"),
        pre_verification_gas=_number(found, "preVerificationGas"),
        max_fee_per_gas=_number(found, "maxFeePerGas"),
        max_priority_fee_per_gas=_number(found, "maxPriorityFeePerGas"),
        entry_point=parse_address(found["entrypoint"], _CODE),
        factory=factory,
        paymaster=paymaster,
    )


def _complete(found: dict[str, Any], names: tuple[str, ...]) -> bool:
    given = [name for name in names if name in found]
    require(len(given) in (0, len(names)), _CODE)
    return bool(given)


def _data(value: object) -> bytes:
    return hex_bytes(value, _CODE, most=MAX_PAYLOAD_BYTES)


def _number(found: dict[str, Any], name: str) -> int:
    return parse_decimal(found[name], _CODE)


def _pair(high: int, low: int) -> bytes:
    """Two 128-bit numbers in one word."""
    return high.to_bytes(16, "big") + low.to_bytes(16, "big")
