"""More of the corpus: typed documents, texts and configurations that only need a signature."""

from typing import Any

from enclave.guard.judging import Outcome
from evm import rlp
from evm.address import ZERO_ADDRESS, Address
from evm.authorization import Authorization
from evm.effects import effects_of_authorization
from evm.wallet.payload import Call, CallsPayload, ConfigUpdatePayload, MessagePayload
from tests.enclave_guard.corpus import (
    AMOUNT_RULE,
    PERSONAL,
    SELECTOR_RULE,
    TOKENS,
    TYPES_DETAILS,
    TYPES_PERMISSIONS,
    Case,
    Effects,
    approve,
    attestation,
    calls,
    detail,
    operation,
    order,
    packed_operation,
    payload,
    permit,
    permit2,
    safe_tx,
    sequence_calls,
    session,
    sign_in,
    signature_transfer,
    text,
    transfer,
    typed,
)
from tests.enclave_guard.corpus_calls import v2
from tests.enclave_guard.guard_rules import (
    APP_KEY,
    ART,
    DEX,
    NOW_S,
    PAYROLL,
    REACTOR,
    ROUTER,
    SETTLEMENT,
    STRANGER,
    USD,
    WETH,
)
from tests.evm_effects.made import ENTRY_POINT_6, MAX, PERMIT2, SAFE, THIEF, WALLET, calldata

_DENY, _FACTOR = Outcome.DENY.text, Outcome.SECOND_FACTOR.text
SOON = NOW_S + 60
CONSIDERATION = "uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount"


def seaport(offer: dict[str, Any], *paid_to: Address, ends: int = SOON, contract: Address = SETTLEMENT) -> Effects:
    types = {
        "OrderComponents": "address offerer,address zone,OfferItem[] offer,ConsiderationItem[] consideration,"
        "uint8 orderType,uint256 startTime,uint256 endTime,bytes32 zoneHash,uint256 salt,bytes32 conduitKey,"
        "uint256 counter",
        "OfferItem": CONSIDERATION,
        "ConsiderationItem": CONSIDERATION + ",address recipient",
    }
    paid = [item(1, USD, 0, 10**6) | {"recipient": to} for to in paid_to]
    message = {"offerer": WALLET, "zone": ZERO_ADDRESS, "offer": [offer], "consideration": paid, "orderType": 0,
               "startTime": 0, "endTime": ends, "zoneHash": bytes(32), "salt": 0, "conduitKey": bytes(32),
               "counter": 0}  # fmt: skip
    return typed("OrderComponents", types, message, name="Seaport", contract=contract)


def item(kind: int, token: Address, id_: int, amount: int) -> dict[str, Any]:
    return {"itemType": kind, "token": token, "identifierOrCriteria": id_, "startAmount": amount, "endAmount": amount}


def cow(receiver: Address = ZERO_ADDRESS, **changes: Any) -> Effects:
    members = (
        "address sellToken,address buyToken,address receiver,uint256 sellAmount,uint256 buyAmount,uint32 validTo,"
        "bytes32 appData,uint256 feeAmount,string kind,bool partiallyFillable,string sellTokenBalance,"
        "string buyTokenBalance"
    )
    message = {"sellToken": USD, "buyToken": WETH, "receiver": receiver, "sellAmount": 5, "buyAmount": 1,
               "validTo": SOON, "appData": bytes(32), "feeAmount": 0, "kind": "sell", "partiallyFillable": False,
               "sellTokenBalance": "erc20", "buyTokenBalance": "erc20"} | changes  # fmt: skip
    return typed("Order", {"Order": members}, message, name="Gnosis Protocol", contract=SETTLEMENT)


def blur(side: int = 1, *fees: Address, contract: Address = SETTLEMENT, ends: int = SOON) -> Effects:
    types = {
        "Order": "address trader,uint8 side,address matchingPolicy,address collection,uint256 tokenId,uint256 amount,"
        "address paymentToken,uint256 price,uint256 listingTime,uint256 expirationTime,Fee[] fees,uint256 salt,"
        "bytes extraParams,uint256 nonce",
        "Fee": "uint16 rate,address recipient",
    }
    message = {"trader": WALLET, "side": side, "matchingPolicy": STRANGER, "collection": ART, "tokenId": 1,
               "amount": 1, "paymentToken": WETH, "price": 0, "listingTime": 0, "expirationTime": ends,
               "fees": [{"rate": 250, "recipient": fee} for fee in fees], "salt": 0, "extraParams": b"",
               "nonce": 0}  # fmt: skip
    return typed("Order", types, message, name="Blur Exchange", contract=contract)


_0X = "address makerToken,address takerToken,uint128 makerAmount,uint128 takerAmount,"


def rfq(taker: Address = ZERO_ADDRESS, maker: Address = WALLET, expiry: int = SOON, token: Address = USD) -> Effects:
    members = _0X + "address maker,address taker,address txOrigin,bytes32 pool,uint64 expiry,uint256 salt"
    message = {"makerToken": token, "takerToken": WETH, "makerAmount": 5, "takerAmount": 5, "maker": maker,
               "taker": taker, "txOrigin": STRANGER, "pool": bytes(32), "expiry": expiry, "salt": 0}  # fmt: skip
    return typed("RfqOrder", {"RfqOrder": members}, message, name="ZeroEx", contract=SETTLEMENT)


def one_inch(receiver: Address = ZERO_ADDRESS, ends: int = SOON, token: Address = USD) -> Effects:
    members = (
        "uint256 salt,address maker,address receiver,address makerAsset,address takerAsset,uint256 makingAmount,"
        "uint256 takingAmount,uint256 makerTraits"
    )
    message = {"salt": 0, "maker": WALLET, "receiver": receiver, "makerAsset": token, "takerAsset": WETH,
               "makingAmount": 5, "takingAmount": 5, "makerTraits": ends << 80}  # fmt: skip
    return typed("Order", {"Order": members}, message, name="1inch Aggregation Router", contract=SETTLEMENT)


def uniswap_x(
    *paid_to: Address, spender: Address = REACTOR, type_: str = "LimitOrder", deadline: int = SOON
) -> Effects:
    types = {
        "PermitWitnessTransferFrom": "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,"
        f"{type_} witness",
        type_: "OrderInfo info,address inputToken,uint256 inputAmount,OutputToken[] outputs",
        "OrderInfo": "address reactor,address swapper,uint256 nonce,uint256 deadline",
        "OutputToken": "address token,uint256 amount,address recipient",
        **TYPES_PERMISSIONS,
    }
    outputs = [{"token": WETH, "amount": 5, "recipient": to} for to in paid_to]
    info = {"reactor": spender, "swapper": WALLET, "nonce": 0, "deadline": deadline}
    witness = {"info": info, "inputToken": USD, "inputAmount": 5, "outputs": outputs}
    message = {"permitted": {"token": USD, "amount": 5}, "spender": spender, "nonce": 0, "deadline": deadline,
               "witness": witness}  # fmt: skip
    return typed("PermitWitnessTransferFrom", types, message, contract=PERMIT2, name="Permit2")


def permit_single(spender: Address, amount: int, expiration: int, *, contract: Address = PERMIT2) -> Effects:
    types = {"PermitSingle": "PermitDetails details,address spender,uint256 sigDeadline", **TYPES_DETAILS}
    message = {"details": detail(amount, expiration), "spender": spender, "sigDeadline": MAX}
    return typed("PermitSingle", types, message, contract=contract, name="Permit2")


def operation_6(data: bytes, contract: Address = ENTRY_POINT_6) -> Effects:
    members = (
        "address sender,uint256 nonce,bytes initCode,bytes callData,uint256 callGasLimit,uint256 verificationGasLimit,"
        "uint256 preVerificationGas,uint256 maxFeePerGas,uint256 maxPriorityFeePerGas,bytes paymasterAndData"
    )
    message = {"sender": WALLET, "nonce": 0, "initCode": b"", "callData": data, "callGasLimit": 1,
               "verificationGasLimit": 1, "preVerificationGas": 1, "maxFeePerGas": 1, "maxPriorityFeePerGas": 1,
               "paymasterAndData": b""}  # fmt: skip
    return typed("UserOperation", {"UserOperation": members}, message, contract=contract)


def execute(to: Address, data: bytes) -> bytes:
    return calldata("execute(address,uint256,bytes)", to, 0, data)


def authorized(receiver: Address, ends: int = SOON, primary: str = "TransferWithAuthorization") -> Effects:
    members = "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce"
    message = {"from": WALLET, "to": receiver, "value": 5, "validAfter": 0, "validBefore": ends, "nonce": bytes(32)}
    return typed(primary, {primary: members}, message, contract=USD)


HOSTILE = [
    # permits
    Case("permit of 2^255", permit(DEX, 2**255), _DENY, "no-unlimited"),
    Case("permit of 2^96 - 1", permit(DEX, 2**96 - 1), _DENY, "no-unlimited"),
    Case("permit for the wallet's tokens, signed for somebody else", permit(THIEF, 5, owner=SAFE), _DENY, "thieves"),
    Case("permit of DAI for a thief",
         typed("Permit", {"Permit": "address holder,address spender,uint256 nonce,uint256 expiry,bool allowed"},
               {"holder": WALLET, "spender": THIEF, "nonce": 0, "expiry": 0, "allowed": True}, contract=USD), _DENY,
         "thieves"),
    Case("permit whose members stand in another order",
         typed("Permit", {"Permit": "address spender,address owner,uint256 value,uint256 nonce,uint256 deadline"},
               {"owner": WALLET, "spender": DEX, "value": 5, "nonce": 0, "deadline": SOON}, contract=USD), _DENY,
         "no-rule"),
    Case("permit with one more member",
         typed("Permit", {"Permit": "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline,"
                                    "bytes extra"},
               {"owner": WALLET, "spender": DEX, "value": 5, "nonce": 0, "deadline": SOON, "extra": b""},
               contract=USD), _DENY, "no-rule"),
    Case("permit of Permit2 for one token, for a thief", permit_single(THIEF, 5, SOON), _DENY, "thieves"),
    Case("permit of Permit2 without a bound", permit_single(DEX, 2**160 - 1, SOON), _DENY, "no-unlimited"),
    Case("permit of Permit2 that does not end", permit_single(DEX, 5, 2**48 - 1), _DENY, "no-rule"),
    Case("permit of Permit2 at a contract that has its name", permit_single(DEX, 5, SOON, contract=STRANGER), _DENY,
         "no-rule"),
    Case("batch of Permit2 that hides one thief's share", permit2(DEX, detail(5, SOON), detail()), _DENY,
         "no-unlimited"),
    Case("transfer by signature for a thief", signature_transfer(THIEF, SOON), _DENY, "thieves"),
    Case("transfer by signature with a witness that nobody knows", uniswap_x(WALLET, type_="Mystery"), _DENY,
         "no-rule"),
    Case("transfer by signature, ERC-3009, to a thief", authorized(THIEF), _DENY, "thieves"),
    Case("receipt by signature, ERC-3009, for a thief", authorized(THIEF, primary="ReceiveWithAuthorization"), _DENY,
         "thieves"),
    # orders
    Case("art sold, and the thief is paid", seaport(item(2, ART, 1, 1), THIEF), _DENY, "thieves"),
    Case("art sold, and a stranger is paid beside the wallet", seaport(item(2, ART, 1, 1), WALLET, STRANGER), _DENY,
         "no-rule"),
    Case("art sold at a market that nobody knows", seaport(item(2, ART, 1, 1), WALLET, contract=STRANGER), _DENY,
         "no-rule"),
    Case("art sold without an end", seaport(item(2, ART, 1, 1), WALLET, ends=MAX), _DENY, "no-rule"),
    Case("offer of all that the wallet has of a token", seaport(item(1, USD, 0, MAX), WALLET), _DENY,
         "budget:usd-day"),
    Case("sale of unknown items", seaport(item(3, STRANGER, 1, 1), WALLET), _DENY, "no-rule"),
    Case("sale of whatever a root says", order(item(4, ART, 7, 1)), _DENY, "no-rule"),
    Case("sale whose kind of item does not exist", seaport(item(9, ART, 1, 1), WALLET), _DENY, "no-rule"),
    Case("order whose receiver is a thief", cow(THIEF), _DENY, "thieves"),
    Case("order whose receiver is a stranger", cow(STRANGER), _DENY, "no-rule"),
    Case("order with a fee that empties the wallet", cow(feeAmount=10**12), _DENY, "budget:usd-day"),
    Case("order that stands for years", cow(validTo=2**32 - 1), _DENY, "no-rule"),
    Case("order in a token that nobody knows", cow(sellToken=STRANGER), _DENY, "no-rule"),
    Case("art listed at nothing, at a market that nobody knows", blur(contract=STRANGER), _DENY, "no-rule"),
    Case("art listed, and a fee for a thief", blur(1, THIEF), _DENY, "thieves"),
    Case("art listed without an end", blur(1, ends=MAX), _DENY, "no-rule"),
    Case("listing of which only a root is shown", typed("Root", {"Root": "bytes32 root"}, {"root": b"r" * 32},
                                                        contract=SETTLEMENT), _DENY, "no-rule"),
    Case("quote for a thief alone", rfq(THIEF), _DENY, "thieves"),
    Case("quote of a stranger that the wallet takes", rfq(WALLET, maker=STRANGER), _DENY, "no-rule"),
    Case("quote without an end", rfq(expiry=2**64 - 1), _DENY, "no-rule"),
    Case("quote in a token that nobody knows", rfq(token=STRANGER), _DENY, "no-rule"),
    Case("limit order that pays a thief", one_inch(THIEF), _DENY, "thieves"),
    Case("limit order without an end", one_inch(ends=0), _DENY, "no-rule"),
    Case("intent of which a thief gets the output", uniswap_x(THIEF), _DENY, "thieves"),
    Case("intent of which a stranger gets a part", uniswap_x(WALLET, STRANGER), _DENY, "no-rule"),
    Case("intent at a reactor that nobody knows", uniswap_x(WALLET, spender=STRANGER), _DENY, "no-rule"),
    Case("bulk order", typed("BulkOrder", {"BulkOrder": "Leaf[2] tree", "Leaf": "bytes32 hash"},
                             {"tree": [{"hash": bytes(32)}, {"hash": bytes(32)}]}, contract=SETTLEMENT), _DENY,
         "no-rule"),
    # operations
    Case("operation of the sixth version with theft inside", operation_6(execute(USD, transfer(THIEF, 1))), _DENY,
         "thieves"),
    Case("operation of the sixth version at a stranger's", operation_6(execute(USD, transfer(PAYROLL, 1)), STRANGER),
         _DENY, "no-rule"),
    Case("packed operation that approves a thief", packed_operation(execute(USD, approve(THIEF, MAX))), _DENY,
         "thieves"),
    Case("packed operation at a stranger's", packed_operation(execute(USD, transfer(PAYROLL, 1)), contract=STRANGER),
         _DENY, "no-rule"),
    Case("packed operation with a paymaster", packed_operation(execute(USD, transfer(PAYROLL, 1)),
                                                               paymasterAndData=STRANGER + bytes(32)), _DENY,
         "no-rule"),
    Case("packed operation of a new account", packed_operation(execute(USD, transfer(PAYROLL, 1)),
                                                               initCode=STRANGER + b"1234"), _DENY, "no-rule"),
    Case("packed operation whose gas empties the wallet",
         packed_operation(b"", accountGasLimits=b"\xff" * 32, gasFees=b"\xff" * 32), _DENY, "budget:coins-day"),
    Case("operation with a delegate call", operation(Call(STRANGER, data=b"1234", delegate_call=True)), _DENY,
         "no-rule"),
    # acting for accounts
    Case("confirmation of a module for a Safe", safe_tx(SAFE, calldata("enableModule(address)", THIEF)), _DENY,
         "no-control-change"),
    Case("confirmation of approve-all", safe_tx(ART, calldata("setApprovalForAll(address,bool)", STRANGER, True)),
         _DENY, "no-operators"),
    Case("confirmation of a swap for a thief", safe_tx(ROUTER, v2(THIEF)), _DENY, "thieves"),
    Case("payload of another wallet on every chain", sequence_calls({"to": USD, "data": transfer(PAYROLL, 1)}, chain=0),
         _DENY, "no-every-chain"),
    Case("payload of a wallet by another domain's name",
         typed("Calls", {"Calls": "Call[] calls,uint256 space,uint256 nonce,address[] wallets",
                         "Call": "address to,uint256 value,bytes data,uint256 gasLimit,bool delegateCall,"
                                 "bool onlyFallback,uint256 behaviorOnError"},
               {"calls": [{"to": USD, "value": 0, "data": transfer(THIEF, 1), "gasLimit": 0, "delegateCall": False,
                           "onlyFallback": False, "behaviorOnError": 1}], "space": 0, "nonce": 0, "wallets": []},
               contract=SAFE, name="Sequence WaIlet", version="3"), _DENY, "thieves"),
    Case("configuration of another wallet as a document",
         typed("ConfigUpdate", {"ConfigUpdate": "bytes32 imageHash,address[] wallets"},
               {"imageHash": b"h" * 32, "wallets": []}, contract=SAFE, name="Sequence Wallet", version="3"), _DENY,
         "no-control-change"),
    Case("message of another wallet that hides a transaction",
         typed("Message", {"Message": "bytes message,address[] wallets"},
               {"message": b"\2" + rlp.encode([1, 2]), "wallets": []}, contract=SAFE, name="Sequence Wallet",
               version="3"), _DENY, "no-rule"),
    Case("forwarded approval",
         typed("ForwardRequest", {"ForwardRequest": "address from,address to,uint256 value,uint256 gas,uint256 nonce,"
                                                    "uint48 deadline,bytes data"},
               {"from": WALLET, "to": USD, "value": 0, "gas": 9, "nonce": 0, "deadline": SOON,
                "data": approve(STRANGER, MAX)}, contract=STRANGER), _DENY, "no-unlimited"),
    Case("votes by signature", typed("Delegation", {"Delegation": "address delegatee,uint256 nonce,uint256 expiry"},
                                     {"delegatee": THIEF, "nonce": 0, "expiry": MAX}, contract=STRANGER), _DENY,
         "thieves"),
    # EIP-7702
    Case("EIP-7702 on every chain, as a document",
         typed("Authorization", {"Authorization": "uint256 chainId,address address,uint256 nonce"},
               {"chainId": 0, "address": STRANGER, "nonce": 0}), _DENY, "no-rule"),
    Case("EIP-7702 on a chain that is not served",
         lambda: effects_of_authorization(Authorization(5, STRANGER, 0), WALLET, TOKENS), _DENY, "chain"),
    Case("EIP-7702 as the message of a wallet, on no chain", payload(MessagePayload(
        b"\x05" + rlp.encode([1, THIEF, 0])), 0), _DENY, "thieves"),
    # texts
    Case("hash as text, in capitals", text(b"AB" * 32), _DENY, "no-every-chain"),
    Case("hash as text, as the message of a wallet", payload(MessagePayload(PERSONAL + b"64" + b"ab" * 32)), _DENY,
         "no-rule"),
    Case("sign-in at a site with a port", text(sign_in("app.example:8443")), _DENY, "no-rule"),
    Case("sign-in at a site below the known one", text(sign_in("evil.app.example")), _DENY, "no-rule"),
    Case("sign-in at a site that begins with a name of a user", text(sign_in("app.example@evil.example")), _DENY,
         "no-rule"),
    Case("sign-in at an address in numbers", text(sign_in("203.0.113.7")), _DENY, "no-rule"),
    Case("bytes of a typed document under the personal prefix of a wallet",
         payload(MessagePayload(b"\x19\x00" + THIEF + b"data")), _DENY, "no-rule"),
    Case("sign-in behind a line of its own", text(b"\n" + sign_in("evil.example")), _DENY, "no-every-chain"),
    Case("sign-in in small letters", text(sign_in("evil.example").lower().replace(b"ethereum", b"solana")), _DENY,
         "no-every-chain"),
    Case("nothing as the message of a wallet", payload(MessagePayload(b"")), _DENY, "no-rule"),
    # wallets and sessions
    Case("configuration update in the name of a parent", payload(ConfigUpdatePayload(b"h" * 32, (SAFE,))), _DENY,
         "no-control-change"),
    Case("payment in the name of a parent", payload(CallsPayload((Call(USD, data=transfer(PAYROLL, 1)),), 0, 0,
                                                                 (SAFE,))), "review", "safe-pay"),
    Case("session that may call the wallet itself", session(SELECTOR_RULE, target=WALLET), _DENY, "no-rule"),
    Case("session with coins without a bound", session(SELECTOR_RULE, AMOUNT_RULE, value=MAX), _DENY,
         "no-rule"),
    Case("session with more coins than the budget", session(SELECTOR_RULE, AMOUNT_RULE, value=3 * 10**18), _DENY,
         "budget:coins-day"),
    Case("implicit session by a look-alike site", attestation("https://app.example.evil.test", THIEF), _DENY,
         "thieves"),
    Case("delegate call inside a session's call", calls(Call(STRANGER, data=b"", delegate_call=True)), _DENY,
         "no-rule"),
]  # fmt: skip


ORDINARY = [
    Case("permit of Permit2 for one token", permit_single(DEX, 5, SOON), _FACTOR, "permit-dex"),
    Case("batch of Permit2 of two", permit2(DEX, detail(5, SOON), detail(6, SOON)), _FACTOR, "permit-dex"),
    Case("permit of nothing takes it back", permit(DEX, 0), "allow", "revoke"),
    Case("permit of nothing for a thief takes it back", permit(THIEF, 0), "allow", "revoke"),
    Case("permit of DAI taken back",
         typed("Permit", {"Permit": "address holder,address spender,uint256 nonce,uint256 expiry,bool allowed"},
               {"holder": WALLET, "spender": THIEF, "nonce": 0, "expiry": 0, "allowed": False}, contract=USD), "allow",
         "revoke"),
    Case("authorization taken back by signature",
         typed("CancelAuthorization", {"CancelAuthorization": "address authorizer,bytes32 nonce"},
               {"authorizer": WALLET, "nonce": bytes(32)}, contract=USD), "allow", "revoke"),
    Case("art sold at a known market", seaport(item(2, ART, 1, 1), WALLET), _FACTOR, "sell"),
    Case("offer for art", seaport(item(1, WETH, 0, 5), WALLET), _FACTOR, "sell"),
    Case("order", cow(), _FACTOR, "sell"),
    Case("order whose receiver is the wallet", cow(WALLET), _FACTOR, "sell"),
    Case("order to buy", cow(kind="buy"), _FACTOR, "sell"),
    Case("order with a fee", cow(feeAmount=1), _FACTOR, "sell"),
    Case("larger order", cow(sellAmount=2_000 * 10**6), _FACTOR, "sell"),
    Case("order that needs a review", cow(sellAmount=6_000 * 10**6), "review", "budget:usd-day"),
    Case("art listed", blur(), _FACTOR, "sell"),
    Case("bid for art", blur(0), _FACTOR, "sell"),
    Case("quote", rfq(), _FACTOR, "sell"),
    Case("quote of somebody that the wallet takes", rfq(WALLET, maker=PAYROLL), _FACTOR, "sell"),
    Case("limit order", one_inch(), _FACTOR, "sell"),
    Case("limit order whose receiver is the wallet", one_inch(WALLET), _FACTOR, "sell"),
    Case("intent", uniswap_x(WALLET), _FACTOR, "permit-reactor"),
    Case("intent in two outputs", uniswap_x(WALLET, WALLET), _FACTOR, "permit-reactor"),
    Case("operation of two payments",
         operation(Call(USD, data=transfer(PAYROLL, 1)), Call(USD, data=transfer(PAYROLL, 2))), "allow", "operations"),
    Case("operation that pays coins", operation(Call(PAYROLL, 5)), "allow", "operations"),
    Case("operation that takes back", operation(Call(USD, data=approve(THIEF, 0))), "allow", "operations"),
    Case("sign-in with a scheme", text(b"https://" + sign_in("app.example")), "allow", "text"),
    Case("sign-in in capitals", text(sign_in("APP.example")), "allow", "text"),
    Case("text in another script", text("\u8acb\u7c3d\u540d".encode()), "allow", "text"),
    Case("text of 31 bytes", text(b"x" * 31), "allow", "text"),
    Case("text that is nearly a hash", text(b"0x" + b"ab" * 31), "allow", "text"),
    Case("long text", text(b"terms " * 1000), "allow", "text"),
    Case("text as the message of a wallet", payload(MessagePayload(PERSONAL + b"8I agree.")), "allow", "text"),
    Case("session for a day", session(SELECTOR_RULE, AMOUNT_RULE, deadline=NOW_S + 86_400), _FACTOR, "session"),
    Case("session with some coins", session(SELECTOR_RULE, AMOUNT_RULE, value=5), _FACTOR, "session"),
    Case("session of the application's key", session(SELECTOR_RULE, AMOUNT_RULE, signer=APP_KEY), _FACTOR, "session"),
]  # fmt: skip
