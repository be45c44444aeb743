"""Typed documents by which an account acts: operations, forwarded calls, Safe and Sequence payloads, grants."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from evm.address import Address
from evm.authorization import Authorization
from evm.effects.account_changes import account_change
from evm.effects.call import Call, require_at
from evm.effects.documents import documents
from evm.effects.fields import Fields
from evm.effects.messages import delegation, read_preimage
from evm.effects.model import Effect, Kind, Reason
from evm.effects.nesting import safe_operation, safe_refund
from evm.effects.sequence import wallet_calls
from evm.effects.user_operations import ENTRY_POINTS, Operation, halves, packed_gas, user_operation
from evm.errors import EvmError
from evm.wallet.payload import CALLS_TYPE, CONFIG_UPDATE_TYPE, MESSAGE_TYPE, BehaviorOnError
from evm.wallet.payload import Call as WalletCall

_SAFE_TX: Final = (
    "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 {},"
    "uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
)


@documents(_SAFE_TX.format("baseGas"), _SAFE_TX.format("dataGas"))
def _safe_transaction(call: Call, fields: Fields) -> Iterable[Effect]:
    """A confirmation by an owner: with enough of them, anybody can let the Safe do it."""
    target, value, data = fields.address("to"), fields.number("value"), fields.data("data")
    effects = list(safe_operation(call, call.to, target, value, data, fields.number("operation")))
    if fields.number("gasPrice"):
        effects.append(safe_refund(call, fields.address("gasToken"), fields.address("refundReceiver")))
    return [call.nested(Kind.NESTED, effects, account=call.to)]


@documents("SafeMessage(bytes message)")
def _safe_message(call: Call, fields: Fields) -> Iterable[Effect]:
    """The Safe signs bytes; most often the thirty-two of another hash."""
    message = fields.data("message")
    effects = [call.unknown(Reason.HASH)] if len(message) == 32 else read_preimage(call, message)
    return [call.nested(Kind.NESTED, effects, account=call.to)]


_PACKED: Final = (
    "(address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,uint256 preVerificationGas,"
    "bytes32 gasFees,bytes paymasterAndData"
)


@documents("PackedUserOperation" + _PACKED + ")")
def _packed_operation(call: Call, fields: Fields) -> Iterable[Effect]:
    """v0.8: the document is the entry point's own."""
    require_at(call, *ENTRY_POINTS)
    return [user_operation(call, _from_packed(fields), entry_point=call.to)]


@documents("PackedUserOperation" + _PACKED + ",address entryPoint)")
def _packed_operation_of_account(call: Call, fields: Fields) -> Iterable[Effect]:
    """The document is the account's, which names the entry point."""
    return [user_operation(call, _from_packed(fields), entry_point=_entry_point(fields))]


def _from_packed(fields: Fields) -> Operation:
    limits, paymaster = fields.data("accountGasLimits"), fields.data("paymasterAndData")
    return Operation(
        sender=fields.address("sender"),
        init_code=fields.data("initCode"),
        call_data=fields.data("callData"),
        gas=packed_gas(limits, fields.number("preVerificationGas"), paymaster),
        max_fee=halves(fields.data("gasFees"))[1],
        paymaster_and_data=paymaster,
    )


_UNPACKED: Final = (
    "UserOperation(address sender,uint256 nonce,bytes initCode,bytes callData,uint256 callGasLimit,"
    "uint256 verificationGasLimit,uint256 preVerificationGas,uint256 maxFeePerGas,uint256 maxPriorityFeePerGas,"
    "bytes paymasterAndData"
)


@documents(_UNPACKED + ")")
def _unpacked_operation(call: Call, fields: Fields) -> Iterable[Effect]:
    require_at(call, *ENTRY_POINTS)
    return [user_operation(call, _from_unpacked(fields, "sender"), entry_point=call.to)]


@documents(_UNPACKED + ",address entryPoint)")
def _unpacked_operation_of_account(call: Call, fields: Fields) -> Iterable[Effect]:
    return [user_operation(call, _from_unpacked(fields, "sender"), entry_point=_entry_point(fields))]


@documents(
    "SafeOp(address safe,uint256 nonce,bytes initCode,bytes callData,uint128 verificationGasLimit,"
    "uint128 callGasLimit,uint256 preVerificationGas,uint128 maxPriorityFeePerGas,uint128 maxFeePerGas,"
    "bytes paymasterAndData,uint48 validAfter,uint48 validUntil,address entryPoint)"
)
def _safe_operation(call: Call, fields: Fields) -> Iterable[Effect]:
    """Safe's module for ERC-4337."""
    return [user_operation(call, _from_unpacked(fields, "safe"), entry_point=_entry_point(fields))]


def _from_unpacked(fields: Fields, sender: str) -> Operation:
    verification = 3 * fields.number("verificationGasLimit")  # v0.6 charges it up to three times
    return Operation(
        sender=fields.address(sender),
        init_code=fields.data("initCode"),
        call_data=fields.data("callData"),
        gas=fields.number("callGasLimit") + verification + fields.number("preVerificationGas"),
        max_fee=fields.number("maxFeePerGas"),
        paymaster_and_data=fields.data("paymasterAndData"),
    )


def _entry_point(fields: Fields) -> Address:
    entry_point = fields.address("entryPoint")
    if entry_point not in ENTRY_POINTS:
        raise EvmError("effects-impostor")
    return entry_point


_FORWARD: Final = "ForwardRequest(address from,address to,uint256 value,uint256 gas,uint256 nonce,{}bytes data)"


@documents(_FORWARD.format(""), _FORWARD.format("uint48 deadline,"))
def _forward_request(call: Call, fields: Fields) -> Iterable[Effect]:
    """ERC-2771: the forwarder calls, and the target takes `from` for the sender."""
    account = fields.address("from")
    effects = call.inner(fields.address("to"), fields.number("value"), fields.data("data"), sender=account)
    return [call.nested(Kind.NESTED, effects, account=account)]


@documents("MetaTransaction(uint256 nonce,address from,bytes functionSignature)")
def _meta_transaction(call: Call, fields: Fields) -> Iterable[Effect]:
    account = fields.address("from")
    effects = call.inner(call.to, 0, fields.data("functionSignature"), sender=account)
    return [call.nested(Kind.NESTED, effects, account=account)]


@documents(CALLS_TYPE)
def _wallet_calls(call: Call, fields: Fields) -> Iterable[Effect]:
    """A payload of the Sequence wallet that the domain names, of which the signer is a signer."""
    acting = _acting_wallet(call, fields)
    calls = [_wallet_call(found) for found in fields.structs("calls")]
    return [call.nested(Kind.NESTED, wallet_calls(call, acting, calls), account=acting)]


def _acting_wallet(call: Call, fields: Fields) -> Address:
    """The outermost of its parents carries a payload out; without parents it is the wallet itself."""
    return next(iter(fields.addresses("wallets")), call.to)


def _wallet_call(fields: Fields) -> WalletCall:
    behavior = fields.number("behaviorOnError")
    if behavior > max(BehaviorOnError):
        raise EvmError("effects-typed-data")
    return WalletCall(
        to=fields.address("to"),
        value=fields.number("value"),
        data=fields.data("data"),
        gas_limit=fields.number("gasLimit"),
        delegate_call=fields.flag("delegateCall"),
        only_fallback=fields.flag("onlyFallback"),
        behavior_on_error=BehaviorOnError(behavior),
    )


@documents(MESSAGE_TYPE)
def _wallet_message(call: Call, fields: Fields) -> Iterable[Effect]:
    acting = _acting_wallet(call, fields)
    as_wallet = replace(call, sender=acting)
    return [call.nested(Kind.NESTED, read_preimage(as_wallet, fields.data("message")), account=acting)]


@documents(CONFIG_UPDATE_TYPE)
def _wallet_update(call: Call, fields: Fields) -> Iterable[Effect]:
    return [account_change(replace(call, to=_acting_wallet(call, fields)))]


@documents("Delegation(address delegatee,uint256 nonce,uint256 expiry)")
def _votes(call: Call, fields: Fields) -> Iterable[Effect]:
    """Votes of a governance token (ERC-5805)."""
    return [call.effect(Kind.GRANT, counterparty=fields.address("delegatee"))]


@documents(
    "Authorization(uint256 chainId,address address,uint256 nonce)",
    "Authorization(uint256 chainId,address address,uint64 nonce)",
)
def _authorization(call: Call, fields: Fields) -> Iterable[Effect]:
    """EIP-7702 dressed as a document; a wallet that is asked for it this way will not be asked for anything better."""
    authorization = Authorization(fields.number("chainId"), fields.address("address"), fields.number("nonce"))
    return [delegation(call, call.sender, authorization)]
