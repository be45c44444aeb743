"""Wrapped coins, vaults, bridges, exchanges, orders: who pays, and who gets what comes of it."""

from typing import Any

import pytest
from eth_abi import encode

from evm.address import ZERO_ADDRESS, Address, checksum
from evm.effects import Asset, Effect, Kind, Reason, all_effects, effects_of_transaction, effects_of_typed_data
from evm.effects.effect_words import effect_words
from evm.effects.model import ALL, COIN
from evm.typed_data import parse_typed_data
from tests.evm_effects.made import FRIEND, PERMIT2, THIEF, TOKEN, WALLET, calldata, document, tx

OTHER = Address(b"\x2b" * 20)
CONTRACT = Address(b"\x99" * 20)
COINS = Asset("native")
SELF, ROUTER = (Address(number.to_bytes(20, "big")) for number in (1, 2))
PATH = TOKEN + (500).to_bytes(3, "big") + OTHER


def read(data: bytes, value: int = 0, to: Address = CONTRACT) -> list[Effect]:
    """The effects without the coins that go along, and without the fee."""
    return list(effects_of_transaction(tx(to, data, value), WALLET)[1 if value else 0 : -1])


def moved(effect: Effect) -> tuple[Any, ...]:
    return effect.kind, effect.account, effect.counterparty, effect.asset, effect.amount


def erc20(contract: Address) -> Asset:
    return Asset("erc20", contract)


@pytest.mark.parametrize(
    ("data", "value", "expected"),
    [
        (calldata("deposit()"), 5, (Kind.APPROVAL, WALLET, WALLET, COINS, 5)),
        (calldata("depositTo(address)", THIEF), 5, (Kind.APPROVAL, WALLET, THIEF, COINS, 5)),
        (calldata("withdraw(uint256)", 5), 0, (Kind.TRANSFER, WALLET, CONTRACT, erc20(CONTRACT), 5)),
        (calldata("withdrawTo(address,uint256)", THIEF, 5), 0, (Kind.TRANSFER, WALLET, THIEF, erc20(CONTRACT), 5)),
        (calldata("deposit(uint256,address)", 5, THIEF), 0, (Kind.TRANSFER, WALLET, THIEF, erc20(CONTRACT), ALL)),
        (calldata("mint(uint256,address)", 5, THIEF), 0, (Kind.TRANSFER, WALLET, THIEF, erc20(CONTRACT), 5)),
        (calldata("redeem(uint256,address,address)", 5, THIEF, FRIEND), 0,
         (Kind.TRANSFER, FRIEND, THIEF, erc20(CONTRACT), 5)),
        (calldata("supply(address,uint256,address,uint16)", TOKEN, 5, WALLET, 0), 0,
         (Kind.TRANSFER, WALLET, CONTRACT, erc20(TOKEN), 5)),
        (calldata("supply(address,uint256,address,uint16)", TOKEN, 5, THIEF, 0), 0,
         (Kind.TRANSFER, WALLET, THIEF, erc20(TOKEN), 5)),
        (calldata("deposit(bytes,bytes,bytes,bytes32)", b"k" * 48, b"\1" + bytes(11) + THIEF, b"s" * 96, bytes(32)), 5,
         (Kind.APPROVAL, WALLET, THIEF, COINS, 5)),
        (calldata("depositForBurn(uint256,uint32,bytes32,address)", 5, 1, bytes(12) + THIEF, TOKEN), 0,
         (Kind.TRANSFER, WALLET, THIEF, erc20(TOKEN), 5)),
        (calldata("depositForBurn(uint256,uint32,bytes32,address)", 5, 1, b"\1" * 32, TOKEN), 0,
         (Kind.TRANSFER, WALLET, None, erc20(TOKEN), 5)),
        (calldata("burn(uint256)", 5), 0, (Kind.TRANSFER, WALLET, ZERO_ADDRESS, Asset("token", CONTRACT), 5)),
        (calldata("swapExactTokensForTokens(uint256,uint256,address[],address,uint256)", 5, 1, [TOKEN, OTHER], WALLET,
                  9), 0, (Kind.TRANSFER, WALLET, CONTRACT, erc20(TOKEN), 5)),
        (calldata("swapTokensForExactTokens(uint256,uint256,address[],address,uint256)", 5, 8, [TOKEN, OTHER], THIEF,
                  9), 0, (Kind.TRANSFER, WALLET, THIEF, erc20(TOKEN), 8)),
        (calldata("exactInput((bytes,address,uint256,uint256))", (PATH, WALLET, 5, 1)), 0,
         (Kind.TRANSFER, WALLET, CONTRACT, erc20(TOKEN), 5)),
        (calldata("exactOutput((bytes,address,uint256,uint256))", (PATH, WALLET, 5, 8)), 0,
         (Kind.TRANSFER, WALLET, CONTRACT, erc20(OTHER), 8)),
    ],
)  # fmt: skip
def test_what_is_paid_in_leaves_for_the_contract_or_for_whoever_gets_what_comes_of_it(
    data: bytes, value: int, expected: tuple[Any, ...]
) -> None:
    [effect] = read(data, value)
    assert moved(effect) == expected


def test_coins_beside_a_swap_do_not_hide_the_tokens_that_it_may_take() -> None:
    signature = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))"
    coins, tokens = read(calldata(signature, (TOKEN, OTHER, 1, THIEF, 5, 1, 0)), 1)
    assert moved(coins) == (Kind.APPROVAL, WALLET, THIEF, COINS, 1)
    assert moved(tokens) == (Kind.TRANSFER, WALLET, THIEF, erc20(TOKEN), 5)


def test_a_transaction_of_a_safe_that_refunds_its_gas_has_no_bound() -> None:
    signature = "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)"
    [outer] = read(calldata(signature, FRIEND, 1, b"", 0, 0, 0, 1, TOKEN, THIEF, b""))
    moving, refund = outer.effects
    assert moving.kind is Kind.NATIVE
    assert (refund.reason, refund.counterparty, refund.asset) == (Reason.CODE, THIEF, erc20(TOKEN))


@pytest.mark.parametrize("bits", [96, 112, 128, 160, 255, 256])
def test_approvals_of_all_bits_of_any_width_are_unlimited(bits: int) -> None:
    for amount in (2**bits - 1, min(2**bits, 2**256 - 1)):
        [effect] = read(calldata("approve(address,uint256)", THIEF, amount))
        assert effect.unlimited
    [limited] = read(calldata("approve(address,uint256)", THIEF, 2**96 - 2))
    assert not limited.unlimited


def universal(*commands: tuple[int, list[str], list[Any]]) -> bytes:
    inputs = [encode(types, values) for _, types, values in commands]
    return calldata("execute(bytes,bytes[],uint256)", bytes(number for number, _, _ in commands), inputs, 9)


def test_commands_of_the_universal_router_are_followed_to_who_gets_what() -> None:
    swap = (0x00, ["address", "uint256", "uint256", "bytes", "bool"], [checksum(ROUTER), 5, 1, PATH, True])
    rest = (0x84, ["address", "address", "uint256"], [checksum(OTHER), checksum(THIEF), 0])
    coins = (0x0C, ["address", "uint256"], [checksum(SELF), 1])
    opaque = (0x10, ["bytes"], [b""])
    [outer] = read(universal(swap, rest, coins, opaque))
    assert (outer.kind, outer.contract) == (Kind.NESTED, CONTRACT)
    paid, swept, unwrapped, unknown = outer.effects
    assert moved(paid) == (Kind.TRANSFER, WALLET, CONTRACT, erc20(TOKEN), 5)
    assert moved(swept) == (Kind.TRANSFER, WALLET, THIEF, erc20(OTHER), None)
    assert (swept.conditional, paid.conditional) == (True, False)
    assert moved(unwrapped) == (Kind.NATIVE, WALLET, WALLET, COIN, None)
    assert (unknown.reason, unknown.function) == (Reason.SELECTOR, "command 0x10")
    assert effect_words(unwrapped).startswith("Send coins from")


def test_a_command_that_is_not_encoded_as_it_must_be_is_unknown() -> None:
    [outer] = read(calldata("execute(bytes,bytes[],uint256)", b"\0", [b"\1"], 9))
    [effect] = outer.effects
    assert effect.reason is Reason.ENCODING
    [uneven] = read(calldata("execute(bytes,bytes[],uint256)", b"\0\0", [b"\1"], 9))
    assert uneven.reason is Reason.ENCODING


def test_commands_inside_commands_are_read_as_deep_as_any_calls() -> None:
    data = encode(["bytes", "bytes[]"], [b"\x04", [encode(["address"] * 2 + ["uint256"],
                                                          [checksum(TOKEN), checksum(THIEF), 0])]])  # fmt: skip
    for _ in range(4):
        data = encode(["bytes", "bytes[]"], [b"\x21", [data]])
    found = list(all_effects(tuple(read(calldata("execute(bytes,bytes[])", b"", [])[:4] + data))))
    assert found[-1].counterparty == THIEF
    for _ in range(6):
        data = encode(["bytes", "bytes[]"], [b"\x21", [data]])
    assert list(all_effects(tuple(read(calldata("execute(bytes,bytes[])", b"", [])[:4] + data))))[-1].reason is (
        Reason.TOO_DEEP
    )


_SELLING = "address sellToken,address buyToken,address receiver,uint256 sellAmount,uint256 buyAmount,uint32 validTo,"
_COW = _SELLING + (
    "bytes32 appData,uint256 feeAmount,string kind,bool partiallyFillable,string sellTokenBalance,"
    "string buyTokenBalance"
)


def cow(receiver: Address) -> list[Effect]:
    message = {"sellToken": TOKEN, "buyToken": OTHER, "receiver": receiver, "sellAmount": 5, "buyAmount": 1,
               "validTo": 9, "appData": bytes(32), "feeAmount": 2, "kind": "sell", "partiallyFillable": False,
               "sellTokenBalance": "erc20", "buyTokenBalance": "erc20"}  # fmt: skip
    found = document("Order", {"Order": _COW}, message, contract=CONTRACT, name="Gnosis Protocol")
    return list(effects_of_typed_data(parse_typed_data(found), WALLET))


@pytest.mark.parametrize("receiver", [WALLET, ZERO_ADDRESS])
def test_an_order_offers_to_whoever_comes_and_pays_the_seller(receiver: Address) -> None:
    [sold] = cow(receiver)
    assert moved(sold) == (Kind.TRANSFER, WALLET, None, erc20(TOKEN), 7)
    assert (sold.signed, sold.expires_s) == (True, 9)


def test_an_order_that_pays_somebody_else_shows_whom() -> None:
    _, paid = cow(THIEF)
    assert moved(paid) == (Kind.TRANSFER, WALLET, THIEF, erc20(OTHER), None)
    assert paid.signed


def test_a_quote_is_read_from_the_side_that_signs_it() -> None:
    members = (
        "address makerToken,address takerToken,uint128 makerAmount,uint128 takerAmount,address maker,address taker,"
        "address txOrigin,uint256 expiryAndNonce"
    )
    message = {"makerToken": TOKEN, "takerToken": OTHER, "makerAmount": 5, "takerAmount": 6, "txOrigin": FRIEND,
               "expiryAndNonce": 9 << 192}  # fmt: skip
    for maker, taker, expected in (
        (WALLET, FRIEND, (WALLET, FRIEND, erc20(TOKEN), 5)),
        (FRIEND, WALLET, (WALLET, FRIEND, erc20(OTHER), 6)),
        (WALLET, ZERO_ADDRESS, (WALLET, None, erc20(TOKEN), 5)),
    ):
        found = document("OtcOrder", {"OtcOrder": members}, message | {"maker": maker, "taker": taker},
                         contract=CONTRACT)  # fmt: skip
        [sold] = effects_of_typed_data(parse_typed_data(found), WALLET)
        assert (moved(sold)[1:], sold.expires_s) == (expected, 9)


def test_the_outputs_of_an_intent_are_read_out_of_its_witness() -> None:
    types = {
        "PermitWitnessTransferFrom": "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,"
        "DutchOrder witness",
        "DutchOrder": "address swapper,Output[] outputs",
        "Output": "address token,uint256 startAmount,uint256 endAmount,address recipient",
        "TokenPermissions": "address token,uint256 amount",
    }
    outputs = [{"token": OTHER, "startAmount": 5, "endAmount": 4, "recipient": who} for who in (WALLET, THIEF)]
    message = {"permitted": {"token": TOKEN, "amount": 5}, "spender": CONTRACT, "nonce": 0, "deadline": 9,
               "witness": {"swapper": WALLET, "outputs": outputs}}  # fmt: skip
    found = document("PermitWitnessTransferFrom", types, message, contract=PERMIT2)
    allowed, paid = effects_of_typed_data(parse_typed_data(found), WALLET)
    assert (allowed.kind, allowed.counterparty, allowed.amount) == (Kind.APPROVAL, CONTRACT, 5)
    assert moved(paid) == (Kind.TRANSFER, WALLET, THIEF, erc20(OTHER), None)


def test_a_diamond_cut_changes_the_diamond_and_runs_its_initialization() -> None:
    signature = "diamondCut((address,uint8,bytes4[])[],address,bytes)"
    change, again, run = read(calldata(signature, [(THIEF, 0, [b"abcd"])], FRIEND, b"1234"))
    assert (again.kind, again.counterparty) == (Kind.ACCOUNT_CHANGE, FRIEND)
    assert (change.kind, change.account, change.counterparty) == (Kind.ACCOUNT_CHANGE, CONTRACT, THIEF)
    assert (run.kind, run.account, run.contract) == (Kind.DELEGATE_CALL, CONTRACT, FRIEND)
    [alone] = read(calldata(signature, [(THIEF, 0, [b"abcd"])], ZERO_ADDRESS, b""))
    assert alone.kind is Kind.ACCOUNT_CHANGE


def test_the_admin_of_a_proxy_changes_the_proxy_and_not_itself() -> None:
    change, run = read(calldata("upgradeAndCall(address,address,bytes)", TOKEN, THIEF, b"1234"))
    assert (change.account, change.counterparty, run.account, run.contract) == (TOKEN, THIEF, TOKEN, THIEF)


def test_a_deployer_without_functions_makes_a_contract_whatever_the_salt_looks_like() -> None:
    deployer = Address(bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c"))
    [effect] = read(calldata("transfer(address,uint256)", FRIEND, 1), to=deployer)
    assert (effect.kind, effect.selector) == (Kind.CREATION, b"")


@pytest.mark.parametrize(("operation", "kind"), [(0, Kind.NATIVE), (1, Kind.DELEGATE_CALL), (2, Kind.CREATION)])
def test_operations_of_accounts_are_told_apart(operation: int, kind: Kind) -> None:
    [outer] = read(calldata("execute(address,uint256,bytes,uint8)", FRIEND, 1, b"", operation))
    assert outer.effects[0].kind is kind
    [wrong] = read(calldata("execute(address,uint256,bytes,uint8)", FRIEND, 1, b"", 9))
    assert wrong.reason is Reason.ENCODING


def test_what_is_scheduled_counts_as_done() -> None:
    inner = calldata("transfer(address,uint256)", THIEF, 1)
    [outer] = read(calldata("schedule(address,uint256,bytes,bytes32,bytes32,uint256)", TOKEN, 0, inner, bytes(32),
                            bytes(32), 9))  # fmt: skip
    [effect] = outer.effects
    assert moved(effect) == (Kind.TRANSFER, CONTRACT, THIEF, erc20(TOKEN), 1)


def test_functions_of_a_smart_wallet_without_a_chain_hold_on_every_chain() -> None:
    inner = calldata("addOwnerAddress(address)", THIEF)
    [outer] = read(calldata("executeWithoutChainIdValidation(bytes[])", [inner]))
    assert {effect.chain_id for effect in all_effects((outer,))} == {0}
