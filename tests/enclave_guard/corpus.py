"""What thieves ask wallets to sign, and what their owners do: each with the answer, and the rule that gives it.

Effects are read with the tokens of `guard_rules`. "no-rule" is the answer to what nobody has permitted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from evm import rlp
from evm.address import ZERO_ADDRESS, Address
from evm.authorization import Authorization
from evm.effects import (
    Effect,
    effects_of_attestation,
    effects_of_authorization,
    effects_of_bundle,
    effects_of_message,
    effects_of_payload,
    effects_of_session,
    effects_of_transaction,
    effects_of_typed_data,
    effects_of_user_operation,
)
from evm.message import PersonalMessage
from evm.signature import Signature
from evm.transaction import Transaction, TransactionType
from evm.typed_data import parse_typed_data
from evm.wallet.attestation import Attestation, AuthData
from evm.wallet.legacy.digests import LegacyCall
from evm.wallet.operation_hash import RecoveryPayload
from evm.wallet.payload import BehaviorOnError, Call, CallsPayload, ConfigUpdatePayload, DigestPayload, MessagePayload
from evm.wallet.sessions.permission import ParameterOperation, ParameterRule, Permission, SessionPermissions
from evm.wallet.user_operation import Factory, Paymaster, UserOperation
from tests.enclave_guard.guard_rules import APP_KEY, ART, DEX, NOW_S, PAYROLL, RULES, STRANGER, SWAP, USD
from tests.evm_effects.made import (
    ENTRY_POINT,
    FRIEND,
    MAX,
    MULTI_SEND,
    MULTICALL3,
    PERMIT2,
    SAFE,
    THIEF,
    WALLET,
    calldata,
    document,
    multi_send,
    tx,
)

TOKENS = RULES.tokens
TYPES_PERMIT = {"Permit": "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline"}
TYPES_DETAILS = {"PermitDetails": "address token,uint160 amount,uint48 expiration,uint48 nonce"}
TYPES_PERMISSIONS = {"TokenPermissions": "address token,uint256 amount"}
SAFE_EXECUTE = "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)"
SAFE_TX = {
    "SafeTx": "address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,"
    "address gasToken,address refundReceiver,uint256 nonce"
}
HANDLE_OPS = "handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)"
ETHER = 10**18
Effects = Callable[[], tuple[Effect, ...]]


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and what is to come of it."""

    name: str
    effects: Effects
    outcome: str
    by: str


def call(to: Address | None, data: bytes = b"", value: int = 0, **changes: Any) -> Effects:
    return lambda: effects_of_transaction(replace(tx(to, data, value), **changes), WALLET, TOKENS)


def typed(primary: str, types: dict[str, str], message: dict[str, Any], **more: Any) -> Effects:
    found = document(primary, types, message, **more)
    return lambda: effects_of_typed_data(parse_typed_data(found), WALLET, TOKENS)


def payload(found: Any, chain_id: int = 1) -> Effects:
    return lambda: effects_of_payload(found, WALLET, chain_id, TOKENS)


def calls(*found: Call, chain_id: int = 1) -> Effects:
    return payload(CallsPayload(found), chain_id)


def text(data: bytes) -> Effects:
    return lambda: effects_of_message(PersonalMessage(data, None), WALLET, TOKENS)


def safe(to: Address, data: bytes, operation: int = 0, value: int = 0) -> bytes:
    return calldata(SAFE_EXECUTE, to, value, data, operation, 0, 0, 0, ZERO_ADDRESS, ZERO_ADDRESS, b"")


def safe_tx(to: Address, data: bytes, operation: int = 0, gas_price: int = 0) -> Effects:
    message = {"to": to, "value": 0, "data": data, "operation": operation, "safeTxGas": 0, "baseGas": 0,
               "gasPrice": gas_price, "gasToken": ZERO_ADDRESS, "refundReceiver": THIEF, "nonce": 0}  # fmt: skip
    return typed("SafeTx", SAFE_TX, message, contract=SAFE, name=None)


def transfer(to: Address, amount: int) -> bytes:
    return calldata("transfer(address,uint256)", to, amount)


def approve(to: Address, amount: int) -> bytes:
    return calldata("approve(address,uint256)", to, amount)


def aggregate(*found: tuple[Address, bytes]) -> bytes:
    return calldata("aggregate3((address,bool,bytes)[])", [(to, False, data) for to, data in found])


def detail(amount: int = 2**160 - 1, expiration: int = 2**48 - 1) -> dict[str, Any]:
    return {"token": USD, "amount": amount, "expiration": expiration, "nonce": 0}


def permit(spender: Address, value: int, *, owner: Address = WALLET, **more: Any) -> Effects:
    message = {"owner": owner, "spender": spender, "value": value, "nonce": 0, "deadline": MAX}
    return typed("Permit", TYPES_PERMIT, message, **({"contract": USD} | more))


def permit2(spender: Address, *details: dict[str, Any], contract: Address = PERMIT2) -> Effects:
    types = {"PermitBatch": "PermitDetails[] details,address spender,uint256 sigDeadline", **TYPES_DETAILS}
    message = {"details": list(details), "spender": spender, "sigDeadline": MAX}
    return typed("PermitBatch", types, message, contract=contract, name="Permit2")


def signature_transfer(spender: Address, deadline: int) -> Effects:
    members = "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline"
    message = {"permitted": {"token": USD, "amount": 5}, "spender": spender, "nonce": 0, "deadline": deadline}
    types = {"PermitTransferFrom": members, **TYPES_PERMISSIONS}
    return typed("PermitTransferFrom", types, message, contract=PERMIT2)


def order(*offer: dict[str, Any]) -> Effects:
    types = {
        "OrderComponents": "address offerer,address zone,OfferItem[] offer,ConsiderationItem[] consideration,"
        "uint8 orderType,uint256 startTime,uint256 endTime,bytes32 zoneHash,uint256 salt,bytes32 conduitKey,"
        "uint256 counter",
        "OfferItem": "uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount",
        "ConsiderationItem": "uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,"
        "uint256 endAmount,address recipient",
    }
    message = {"offerer": WALLET, "zone": THIEF, "offer": list(offer), "consideration": [], "orderType": 0,
               "startTime": 0, "endTime": 99, "zoneHash": bytes(32), "salt": 0, "conduitKey": bytes(32),
               "counter": 0}  # fmt: skip
    return typed("OrderComponents", types, message, name="Seaport", contract=STRANGER)


def packed_operation(data: bytes, **changes: Any) -> Effects:
    members = (
        "address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,"
        "uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData"
    )
    message = {"sender": WALLET, "nonce": 0, "initCode": b"", "callData": data, "accountGasLimits": bytes(32),
               "preVerificationGas": 0, "gasFees": bytes(32), "paymasterAndData": b""}  # fmt: skip
    types = {"PackedUserOperation": members}
    contract = changes.pop("contract", ENTRY_POINT)
    return typed("PackedUserOperation", types, message | changes, contract=contract)


def operation(*found: Call, **changes: Any) -> Effects:
    made = replace(UserOperation(WALLET, CallsPayload(found), 0, 0, 1, 1, 1, 1, 1), **changes)
    return lambda: effects_of_user_operation(made, 1, TOKENS)


def sequence_calls(*found: dict[str, Any], chain: int | None = 1) -> Effects:
    types = {
        "Calls": "Call[] calls,uint256 space,uint256 nonce,address[] wallets",
        "Call": "address to,uint256 value,bytes data,uint256 gasLimit,bool delegateCall,bool onlyFallback,"
        "uint256 behaviorOnError",
    }
    blank = {"value": 0, "data": b"", "gasLimit": 0, "delegateCall": False, "onlyFallback": False, "behaviorOnError": 1}
    message = {"calls": [blank | one for one in found], "space": 0, "nonce": 0, "wallets": []}
    return typed("Calls", types, message, contract=SAFE, name="Sequence Wallet", version="3", chainId=chain)


def session(*rules: ParameterRule, deadline: int = NOW_S + 60, target: Address = USD, signer: Address = APP_KEY,
            chain_id: int = 1, value: int = 0) -> Effects:  # fmt: skip
    found = SessionPermissions(signer, chain_id, value, deadline, (Permission(target, rules),))
    return lambda: effects_of_session(found, WALLET, TOKENS)


SELECTOR_RULE = ParameterRule(
    ParameterOperation.EQUAL, int.from_bytes(transfer(WALLET, 0)[:4].ljust(32, b"\0"), "big"), 0, 0xFFFFFFFF << 224
)
AMOUNT_RULE = ParameterRule(ParameterOperation.LESS_THAN_OR_EQUAL, 50, 36, cumulative=True)


def attestation(url: str, key: Address = THIEF) -> Effects:
    found = Attestation(key, b"\0\0\0\1", bytes(32), bytes(32), b"", AuthData(url, 1))
    return lambda: effects_of_attestation(found, WALLET, TOKENS)


def with_authorization() -> Effects:
    """A set code transaction that carries somebody's authorization; whose, its signature says."""
    from evm.authorization import verify_authorization

    signed = verify_authorization(Authorization(1, STRANGER, 0), Signature(1, 1, 0))
    made = Transaction(TransactionType.SET_CODE, 1, 0, 1, 1, 21_000, PAYROLL, 0, b"", (), (signed,))
    return lambda: effects_of_transaction(made, WALLET, TOKENS)


def wrapped(data: bytes, to: Address, levels: int) -> bytes:
    for _ in range(levels):
        data = aggregate((to, data))
        to = MULTICALL3
    return data


def sign_in(site: str, account: Address = WALLET) -> bytes:
    return f"{site} wants you to sign in with your Ethereum account:\n0x{account.hex()}\n\n".encode()


PERSONAL = b"\x19Ethereum Signed Message:\n"

HOSTILE = [
    # approvals
    Case("unlimited approval to a thief", call(USD, approve(THIEF, MAX)), "deny", "thieves"),
    Case("unlimited approval to a stranger", call(USD, approve(STRANGER, MAX)), "deny", "no-unlimited"),
    Case("unlimited approval to the exchange itself", call(USD, approve(DEX, MAX)), "deny", "no-unlimited"),
    Case("approval just below unlimited", call(USD, approve(DEX, MAX - 1)), "deny", "no-unlimited"),
    Case("approval of all bits of a narrower token", call(USD, approve(DEX, 2**96 - 1)), "deny", "no-unlimited"),
    Case("small approval to a stranger", call(USD, approve(STRANGER, 1)), "deny", "no-rule"),
    Case("approval in an unknown token", call(STRANGER, approve(DEX, 1)), "deny", "no-rule"),
    Case("raised allowance of a thief", call(USD, calldata("increaseAllowance(address,uint256)", THIEF, 1)), "deny",
         "thieves"),
    Case("raised allowance without a limit", call(USD, calldata("increaseAllowance(address,uint256)", DEX, MAX)),
         "deny", "no-unlimited"),
    Case("old spelling of a raised allowance", call(USD, calldata("increaseApproval(address,uint256)", STRANGER, 1)),
         "deny", "no-rule"),
    Case("every item to a thief", call(ART, calldata("setApprovalForAll(address,bool)", THIEF, True)), "deny",
         "thieves"),
    Case("every item to a stranger", call(ART, calldata("setApprovalForAll(address,bool)", STRANGER, True)), "deny",
         "no-operators"),
    Case("every item of an unknown token", call(STRANGER, calldata("setApprovalForAll(address,bool)", DEX, True)),
         "deny", "no-operators"),
    Case("operator of ERC-777", call(USD, calldata("authorizeOperator(address)", STRANGER)), "deny", "no-operators"),
    Case("approval with a call", call(USD, calldata("approveAndCall(address,uint256,bytes)", DEX, 1, b"x")), "deny",
         "no-rule"),
    Case("approval of item zero, which looks like a revocation", call(ART, approve(STRANGER, 0)), "deny", "no-rule"),
    Case("zero approval in an unknown token", call(STRANGER, approve(STRANGER, 0)), "deny", "no-rule"),
    # permits and other signatures
    Case("permit phishing", permit(THIEF, MAX), "deny", "thieves"),
    Case("permit for a stranger", permit(STRANGER, 1), "deny", "no-rule"),
    Case("unlimited permit for the exchange", permit(DEX, MAX), "deny", "no-unlimited"),
    Case("permit that never ends, for the exchange", permit(DEX, 1), "deny", "no-rule"),
    Case("permit on no chain in particular", permit(DEX, 1, chainId=None), "deny", "no-every-chain"),
    Case("permit on a chain that is not served", permit(DEX, 1, chainId=5), "deny", "chain"),
    Case("permit that no contract checks", permit(DEX, 1, contract=None), "deny", "no-rule"),
    Case("permit carried by oneself for a thief",
         call(USD, calldata("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", WALLET, THIEF, MAX, MAX,
                            27, b"r" * 32, b"s" * 32)), "deny", "thieves"),
    Case("permit of DAI",
         typed("Permit", {"Permit": "address holder,address spender,uint256 nonce,uint256 expiry,bool allowed"},
               {"holder": WALLET, "spender": STRANGER, "nonce": 0, "expiry": 0, "allowed": True}, contract=USD), "deny",
         "no-unlimited"),
    Case("permit of an item",
         typed("Permit", {"Permit": "address spender,uint256 tokenId,uint256 nonce,uint256 deadline"},
               {"spender": STRANGER, "tokenId": 1, "nonce": 0, "deadline": MAX}, contract=ART), "deny", "no-rule"),
    Case("batch of Permit2", permit2(THIEF, detail(), detail(5)), "deny", "thieves"),
    Case("batch of Permit2 for a stranger", permit2(STRANGER, detail()), "deny", "no-unlimited"),
    Case("batch of Permit2 with one long grant among short ones",
         permit2(DEX, detail(5, NOW_S + 60), detail(5)), "deny", "no-rule"),
    Case("Permit2 at a contract that is not Permit2", permit2(DEX, detail(5, NOW_S + 60), contract=THIEF), "deny",
         "no-rule"),
    Case("transfer by signature through Permit2", signature_transfer(STRANGER, NOW_S + 60), "deny", "no-rule"),
    Case("transfer by signature without an end", signature_transfer(DEX, MAX), "deny", "no-rule"),
    Case("Permit2 allowance on chain",
         call(PERMIT2, calldata("approve(address,address,uint160,uint48)", USD, THIEF, 5, 9)), "deny", "thieves"),
    Case("ERC-3009 transfer by signature",
         typed("TransferWithAuthorization",
               {"TransferWithAuthorization": "address from,address to,uint256 value,uint256 validAfter,"
                                             "uint256 validBefore,bytes32 nonce"},
               {"from": WALLET, "to": STRANGER, "value": 5, "validAfter": 0, "validBefore": MAX, "nonce": bytes(32)},
               contract=USD), "deny", "no-rule"),
    Case("sale for nothing",
         order({"itemType": 2, "token": ART, "identifierOrCriteria": 7, "startAmount": 1, "endAmount": 1}), "deny",
         "no-rule"),
    Case("sale of whatever item fits",
         order({"itemType": 4, "token": ART, "identifierOrCriteria": 0, "startAmount": 1, "endAmount": 1}), "deny",
         "no-rule"),
    Case("document of an unknown type", typed("Mail", {"Mail": "string text"}, {"text": "hi"}, contract=DEX), "deny",
         "no-rule"),
    Case("delegation of ERC-7710",
         typed("Delegation",
               {"Delegation": "address delegate,address delegator,bytes32 authority,Caveat[] caveats,uint256 salt",
                "Caveat": "address enforcer,bytes terms"},
               {"delegate": STRANGER, "delegator": WALLET, "authority": b"\xff" * 32, "caveats": [], "salt": 1},
               contract=STRANGER), "deny", "no-rule"),
    # transfers
    Case("transfer to a thief", call(USD, transfer(THIEF, 1)), "deny", "thieves"),
    Case("transfer to a stranger", call(USD, transfer(STRANGER, 1)), "deny", "no-rule"),
    Case("address poisoning: nothing, from somebody else",
         call(USD, calldata("transferFrom(address,address,uint256)", PAYROLL, STRANGER, 0)), "deny", "no-rule"),
    Case("nothing, from somebody else, to the payroll",
         call(USD, calldata("transferFrom(address,address,uint256)", FRIEND, PAYROLL, 0)), "review", "safe-pay"),
    Case("coins to a stranger", call(STRANGER, b"", 1), "deny", "no-rule"),
    Case("nothing to a stranger, with data that pays", call(STRANGER, transfer(PAYROLL, 1)), "deny", "no-rule"),
    Case("coins to a token contract", call(USD, transfer(PAYROLL, 1), 1), "deny", "no-rule"),
    Case("more than the budget of a day", call(USD, transfer(PAYROLL, 10_001 * 10**6)), "deny", "budget:usd-day"),
    Case("more than one request may take", call(USD, transfer(PAYROLL, 9_000 * 10**6)), "deny", "budget:usd-request"),
    Case("the budget in a hundred pieces",
         calls(*[Call(USD, data=transfer(PAYROLL, 101 * 10**6)) for _ in range(100)]), "deny", "budget:usd-day"),
    Case("more coins than the budget", call(PAYROLL, b"", 3 * ETHER), "deny", "budget:coins-day"),
    Case("a fee that empties the wallet", call(PAYROLL, b"", 0, gas=10**9, max_fee_per_gas=10**9,
                                               max_priority_fee_per_gas=1), "deny", "budget:fee-request"),
    Case("art to a stranger", call(ART, calldata("safeTransferFrom(address,address,uint256)", WALLET, STRANGER, 1)),
         "deny", "no-rule"),
    Case("ERC-777 send, whose hooks run", call(USD, calldata("send(address,uint256,bytes)", PAYROLL, 1, b"")), "deny",
         "no-rule"),
    Case("registration of ERC-777 hooks",
         call(STRANGER, calldata("setInterfaceImplementer(address,bytes32,address)", WALLET, b"i" * 32, STRANGER)),
         "deny", "no-control-change"),
    Case("transfer with a call", call(USD, calldata("transferAndCall(address,uint256,bytes)", PAYROLL, 1, b"x")),
         "deny", "no-rule"),
    Case("function that the token does not have",
         call(USD, calldata("safeTransferFrom(address,address,uint256)", WALLET, PAYROLL, 1)), "deny", "no-rule"),
    Case("transfer with a trailing byte", call(USD, transfer(PAYROLL, 1) + b"\0"), "deny", "no-rule"),
    Case("transfer with dirty bits", call(USD, transfer(PAYROLL, 1)[:4] + b"\1" + transfer(PAYROLL, 1)[5:]), "deny",
         "no-rule"),
    Case("transfer on a chain that is not served", call(USD, transfer(PAYROLL, 1), chain_id=5), "deny", "chain"),
    Case("transfer of the same address on another chain", call(USD, transfer(PAYROLL, 1), chain_id=137), "deny",
         "no-rule"),
    # wrapping
    Case("multicall that hides an approval", call(MULTICALL3, aggregate((USD, approve(THIEF, MAX)))), "deny",
         "thieves"),
    Case("good payment and one bad approval",
         calls(Call(USD, data=transfer(PAYROLL, 1)), Call(USD, data=approve(STRANGER, MAX))), "deny", "no-unlimited"),
    Case("multicall that spends what was approved to it",
         call(MULTICALL3, aggregate((USD, calldata("transferFrom(address,address,uint256)", WALLET, STRANGER, 1)))),
         "deny", "no-rule"),
    Case("multicall of an unknown contract", call(STRANGER, aggregate((USD, transfer(PAYROLL, 1)))), "deny",
         "no-rule"),
    Case("the contract's own multicall, at a stranger's",
         call(STRANGER, calldata("multicall(bytes[])", [transfer(PAYROLL, 1)])), "deny", "no-rule"),
    Case("eight multicalls deep", call(MULTICALL3, wrapped(transfer(THIEF, 1), USD, 8)), "deny", "thieves"),
    Case("deeper than anybody looks", call(MULTICALL3, wrapped(transfer(PAYROLL, 1), USD, 10)), "deny", "no-rule"),
    Case("empty batch at a stranger's",
         call(STRANGER, calldata("safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", WALLET, WALLET, [],
                                 [], b"")), "deny", "no-rule"),
    Case("delegate call in a Safe", call(SAFE, safe(STRANGER, b"1234", 1)), "deny", "no-rule"),
    Case("delegate call in the batch of a Safe",
         call(SAFE, safe(MULTI_SEND, multi_send((1, STRANGER, 0, b"1234")), 1)), "deny", "no-rule"),
    Case("batch of a Safe that hides a transfer",
         call(SAFE, safe(MULTI_SEND, multi_send((0, USD, 0, transfer(PAYROLL, 1)), (0, USD, 0, transfer(THIEF, 1))),
                         1)),
         "deny", "thieves"),
    Case("batch of a Safe with bytes left over",
         call(SAFE, safe(MULTI_SEND, calldata("multiSend(bytes)", b"\0" * 84), 1)), "deny", "no-rule"),
    Case("confirmation of a Safe's delegate call", safe_tx(STRANGER, b"1234", 1), "deny", "no-rule"),
    Case("confirmation of a Safe's transfer to a thief", safe_tx(USD, transfer(THIEF, 1)), "deny", "thieves"),
    Case("confirmation with a refund of gas for a thief", safe_tx(USD, transfer(PAYROLL, 1), gas_price=1), "deny",
         "no-rule"),
    Case("module for a Safe", call(SAFE, safe(SAFE, calldata("enableModule(address)", STRANGER))), "deny",
         "no-control-change"),
    Case("owner of a Safe", call(SAFE, safe(SAFE, calldata("swapOwner(address,address,address)", WALLET, PAYROLL,
                                                           STRANGER))), "deny", "no-control-change"),
    Case("hash that a Safe signs", typed("SafeMessage", {"SafeMessage": "bytes message"}, {"message": b"h" * 32},
                                         contract=SAFE), "deny", "no-rule"),
    Case("forwarded request",
         typed("ForwardRequest",
               {"ForwardRequest": "address from,address to,uint256 value,uint256 gas,uint256 nonce,bytes data"},
               {"from": WALLET, "to": USD, "value": 0, "gas": 9, "nonce": 0, "data": transfer(THIEF, 1)},
               contract=STRANGER), "deny", "thieves"),
    Case("meta transaction",
         typed("MetaTransaction", {"MetaTransaction": "uint256 nonce,address from,bytes functionSignature"},
               {"nonce": 0, "from": WALLET, "functionSignature": approve(THIEF, MAX)}, contract=USD), "deny",
         "thieves"),
    Case("unknown function of the exchange", call(DEX, bytes.fromhex("deadbeef")), "deny", "no-rule"),
    Case("the exchange's function at a stranger's", call(STRANGER, bytes.fromhex(SWAP[2:])), "deny", "no-rule"),
    Case("known function of the exchange, malformed", call(DEX, calldata("multicall(bytes[])", []) + b"\0"), "deny",
         "no-rule"),
    # accounts and their keys
    Case("new owner of a contract", call(STRANGER, calldata("transferOwnership(address)", THIEF)), "deny",
         "no-control-change"),
    Case("upgrade of a proxy", call(STRANGER, calldata("upgradeTo(address)", THIEF)), "deny", "no-control-change"),
    Case("upgrade of a proxy, with a call",
         call(STRANGER, calldata("upgradeToAndCall(address,bytes)", THIEF, b"1234")), "deny", "no-control-change"),
    Case("creation of a contract", call(None, b"\x60\x00"), "deny", "no-rule"),
    Case("EIP-7702 to an unknown contract",
         lambda: effects_of_authorization(Authorization(1, STRANGER, 0), WALLET, TOKENS), "deny", "no-delegation"),
    Case("EIP-7702 to a thief", lambda: effects_of_authorization(Authorization(1, THIEF, 0), WALLET, TOKENS), "deny",
         "thieves"),
    Case("EIP-7702 inside a transaction", with_authorization(), "deny", "no-delegation"),
    Case("EIP-7702 as a message", payload(MessagePayload(b"\x05" + rlp.encode([1, STRANGER, 0]))), "deny",
         "no-delegation"),
    Case("EIP-7702 for chain 0 as a message", payload(MessagePayload(b"\x05" + rlp.encode([0, STRANGER, 0]))), "deny",
         "no-rule"),
    Case("EIP-7702 as a document",
         typed("Authorization", {"Authorization": "uint256 chainId,address address,uint256 nonce"},
               {"chainId": 1, "address": STRANGER, "nonce": 0}), "deny", "no-delegation"),
    Case("EIP-7702 through an operation", packed_operation(b"", initCode=bytes.fromhex("7702") + bytes(18)), "deny",
         "no-rule"),
    Case("configuration update", payload(ConfigUpdatePayload(b"h" * 32)), "deny", "no-control-change"),
    Case("configuration update on every chain", payload(ConfigUpdatePayload(b"h" * 32), 0), "deny", "no-every-chain"),
    Case("configuration update hidden in a call to itself",
         calls(Call(USD, data=transfer(PAYROLL, 1)),
               Call(WALLET, data=calldata("updateImageHash(bytes32)", b"h" * 32))),
         "deny", "no-control-change"),
    Case("configuration update two calls deep",
         calls(Call(WALLET, data=calldata("selfExecute(bytes)", bytes.fromhex("1105") + (36).to_bytes(3, "big")
                                          + calldata("updateImageHash(bytes32)", b"h" * 32)))), "deny",
         "no-control-change"),
    Case("hook for a wallet", calls(Call(WALLET, data=calldata("addHook(bytes4,address)", b"abcd", THIEF))), "deny",
         "no-control-change"),
    Case("implementation of a wallet", calls(Call(WALLET, data=calldata("updateImplementation(address)", THIEF))),
         "deny", "no-control-change"),
    Case("static signature of a wallet",
         calls(Call(WALLET, data=calldata("setStaticSignature(bytes32,address,uint96)", b"h" * 32, THIEF, 9))), "deny",
         "no-control-change"),
    Case("delegate call of a wallet", calls(Call(STRANGER, data=b"1234", delegate_call=True)), "deny", "no-rule"),
    Case("delegate call that looks like a payment", calls(Call(USD, data=transfer(PAYROLL, 1), delegate_call=True)),
         "deny", "no-rule"),
    Case("theft as a fallback of a payment",
         calls(Call(USD, data=transfer(PAYROLL, 1), behavior_on_error=BehaviorOnError.IGNORE),
               Call(USD, data=transfer(THIEF, 1), only_fallback=True)), "deny", "thieves"),
    Case("theft behind an abort",
         calls(Call(USD, data=transfer(PAYROLL, 1), behavior_on_error=BehaviorOnError.ABORT),
               Call(USD, data=transfer(THIEF, 1))), "deny", "thieves"),
    Case("payment on every chain at once", calls(Call(USD, data=transfer(PAYROLL, 1)), chain_id=0), "deny",
         "no-every-chain"),
    Case("payload without calls", calls(), "deny", "no-effects"),
    Case("recovery", payload(RecoveryPayload(CallsPayload((Call(USD, data=transfer(PAYROLL, 1)),)))), "deny",
         "no-control-change"),
    Case("bundle of an older wallet with a delegate call",
         lambda: effects_of_bundle([LegacyCall(STRANGER, 0, b"", delegate_call=True)], WALLET, 1, TOKENS), "deny",
         "no-rule"),
    Case("bundle of another wallet inside a call",
         calls(Call(STRANGER, data=calldata("execute((bool,bool,uint256,address,uint256,bytes)[],uint256,bytes)",
                                            [(False, True, 0, USD, 0, transfer(PAYROLL, 1))], 0, b""))), "deny",
         "no-rule"),
    Case("payload of another wallet as a document", sequence_calls({"to": USD, "data": transfer(THIEF, 1)}), "deny",
         "thieves"),
    Case("payload of another wallet with a delegate call",
         sequence_calls({"to": STRANGER, "data": b"1234", "delegateCall": True}), "deny", "no-rule"),
    # sessions
    Case("session whose key nobody knows", session(SELECTOR_RULE, AMOUNT_RULE, signer=STRANGER), "deny", "no-rule"),
    Case("session for a thief", session(SELECTOR_RULE, AMOUNT_RULE, signer=THIEF), "deny", "thieves"),
    Case("session with unlimited value", session(SELECTOR_RULE), "deny", "no-rule"),
    Case("session for any function of a contract", session(), "deny", "no-rule"),
    Case("session without an end", session(SELECTOR_RULE, AMOUNT_RULE, deadline=0), "deny", "no-rule"),
    Case("session for too long", session(SELECTOR_RULE, AMOUNT_RULE, deadline=NOW_S + 90_000), "deny", "no-rule"),
    Case("session on every chain", session(SELECTOR_RULE, AMOUNT_RULE, chain_id=0), "deny", "no-every-chain"),
    Case("implicit session of an unknown application", attestation("https://thief.example"), "deny", "thieves"),
    Case("implicit session that does not end", attestation("https://app.example", APP_KEY), "deny", "no-rule"),
    # operations
    Case("operation as the preimage of its hash", payload(MessagePayload(b"k" * 96)), "deny", "no-rule"),
    Case("operation with theft inside", operation(Call(USD, data=transfer(THIEF, 1))), "deny", "thieves"),
    Case("operation with a paymaster",
         operation(Call(USD, data=transfer(PAYROLL, 1)), paymaster=Paymaster(STRANGER, b"", 1, 1)), "deny", "no-rule"),
    Case("operation with a factory", operation(Call(USD, data=transfer(PAYROLL, 1)), factory=Factory(STRANGER, b"")),
         "deny", "no-rule"),
    Case("operation at a stranger's entry point",
         operation(Call(USD, data=transfer(PAYROLL, 1)), entry_point=STRANGER), "deny", "no-rule"),
    Case("operation as a document", packed_operation(calldata("execute(address,uint256,bytes)", USD, 0,
                                                              transfer(THIEF, 1))), "deny", "thieves"),
    Case("operation whose gas empties the wallet",
         operation(Call(USD, data=transfer(PAYROLL, 1)), call_gas_limit=10**9, max_fee_per_gas=10**9), "deny",
         "budget:fee-request"),
    Case("bundle of operations",
         call(ENTRY_POINT, calldata(HANDLE_OPS, [(WALLET, 0, b"", calldata("execute(address,uint256,bytes)", USD, 0,
                                    transfer(THIEF, 1)), bytes(32), 1, bytes(32), b"", b"")], WALLET)), "deny",
         "thieves"),
    # messages
    Case("hash as a message", text(b"h" * 32), "deny", "no-every-chain"),
    Case("hash as text", text(b"0x" + b"ab" * 32), "deny", "no-every-chain"),
    Case("hash as the message of a wallet", payload(MessagePayload(PERSONAL + b"32" + b"h" * 32)), "deny", "no-rule"),
    Case("bare digest", payload(DigestPayload(b"d" * 32)), "deny", "no-rule"),
    Case("typed data as a message", payload(MessagePayload(b"\x19\x01" + bytes(64))), "deny", "no-rule"),
    Case("transaction as a message", payload(MessagePayload(b"\x02" + rlp.encode([1, 2, 3]))), "deny", "no-rule"),
    Case("old transaction as a message", payload(MessagePayload(rlp.encode([1, 2, 3]))), "deny", "no-rule"),
    Case("bytes as a message", payload(MessagePayload(b"transfer everything")), "deny", "no-rule"),
    Case("prefix with the wrong length", payload(MessagePayload(PERSONAL + b"9hello")), "deny", "no-rule"),
    Case("sign-in at a phishing site", text(sign_in("app.example.evil")), "deny", "no-rule"),
    Case("sign-in with a look-alike letter", text(sign_in("\u0430pp.example")), "deny", "no-rule"),
    Case("sign-in as somebody else", text(sign_in("app.example", THIEF)), "deny", "no-every-chain"),
]  # fmt: skip


ORDINARY = [
    Case("payment", call(USD, transfer(PAYROLL, 500 * 10**6)), "allow", "pay"),
    Case("payment by transferFrom", call(USD, calldata("transferFrom(address,address,uint256)", WALLET, PAYROLL, 5)),
         "allow", "pay"),
    Case("payment to oneself does not count", call(USD, transfer(WALLET, 50_000 * 10**6)), "allow", "pay"),
    Case("payment of coins", call(PAYROLL, b"", ETHER), "allow", "pay-coins"),
    Case("payment of coins on the other chain", call(PAYROLL, b"", ETHER, chain_id=137), "allow", "pay-coins"),
    Case("larger payment", call(USD, transfer(PAYROLL, 1_001 * 10**6)), "second-factor", "budget:usd-day"),
    Case("largest payment", call(USD, transfer(PAYROLL, 5_001 * 10**6)), "review", "budget:usd-day"),
    Case("payroll of many", calls(*[Call(USD, data=transfer(PAYROLL, 9 * 10**6)) for _ in range(100)]), "allow", "pay"),
    Case("payment with a nonce of its own", calls(Call(USD, data=transfer(PAYROLL, 1))), "allow", "pay"),
    Case("payment that may fail",
         calls(Call(USD, data=transfer(PAYROLL, 1), behavior_on_error=BehaviorOnError.IGNORE)), "allow", "pay"),
    Case("approval for a swap", call(USD, approve(DEX, 100 * 10**6)), "allow", "approve-dex"),
    Case("approval and swap", calls(Call(USD, data=approve(DEX, 10**6)), Call(DEX, data=bytes.fromhex(SWAP[2:]))),
         "allow", "approve-dex"),
    Case("swap of coins", call(DEX, bytes.fromhex(SWAP[2:]) + bytes(64), ETHER), "allow", "pay-coins"),
    Case("swap", call(DEX, bytes.fromhex(SWAP[2:]) + bytes(64)), "allow", "swap"),
    Case("approval to Permit2", call(USD, approve(PERMIT2, 100 * 10**6)), "allow", "approve-dex"),
    Case("allowance through Permit2",
         call(PERMIT2, calldata("approve(address,address,uint160,uint48)", USD, DEX, 5, NOW_S + 60)), "allow",
         "approve-dex"),
    Case("short permit through Permit2", permit2(DEX, detail(5, NOW_S + 60)), "second-factor", "permit-dex"),
    Case("short transfer by signature", signature_transfer(DEX, NOW_S + 60), "second-factor", "permit-dex"),
    Case("revocation", call(USD, approve(STRANGER, 0)), "allow", "revoke"),
    Case("revocation of a thief", call(USD, approve(THIEF, 0)), "allow", "revoke"),
    Case("revocation of an operator", call(ART, calldata("setApprovalForAll(address,bool)", THIEF, False)), "allow",
         "revoke"),
    Case("lockdown of Permit2", call(PERMIT2, calldata("lockdown((address,address)[])", [(USD, THIEF)])), "allow",
         "revoke"),
    Case("lowered allowance", call(USD, calldata("decreaseAllowance(address,uint256)", THIEF, 5)), "allow", "revoke"),
    Case("art to the payroll", call(ART, calldata("safeTransferFrom(address,address,uint256)", WALLET, PAYROLL, 1)),
         "review", "give-art"),
    Case("payment inside a multicall of the wallet itself",
         calls(Call(WALLET, data=calldata("selfExecute(bytes)", bytes.fromhex("11") + bytes([4]) + USD
                                          + (68).to_bytes(3, "big") + transfer(PAYROLL, 1)))), "allow", "batch"),
    Case("payment out of a multicall", call(MULTICALL3, aggregate((USD, calldata(
        "transferFrom(address,address,uint256)", WALLET, PAYROLL, 1)))), "allow", "batch"),
    Case("payment by a Safe", call(SAFE, safe(USD, transfer(PAYROLL, 1))), "review", "safe-pay"),
    Case("batch of a Safe",
         call(SAFE, safe(MULTI_SEND, multi_send((0, USD, 0, transfer(PAYROLL, 1)), (0, PAYROLL, 5, b"")), 1)),
         "review", "safe-pay"),
    Case("operation", operation(Call(USD, data=transfer(PAYROLL, 1))), "allow", "operations"),
    Case("session with bounds", session(SELECTOR_RULE, AMOUNT_RULE), "second-factor", "session"),
    Case("text", text(b"I agree."), "allow", "text"),
    Case("empty text", text(b""), "allow", "text"),
    Case("text of 33 bytes", text(b"x" * 33), "allow", "text"),
    Case("sign-in", text(sign_in("app.example")), "allow", "text"),
    Case("sign-in as the message of a wallet",
         payload(MessagePayload(PERSONAL + str(len(sign_in("app.example"))).encode() + sign_in("app.example"))),
         "allow", "text"),
]  # fmt: skip
