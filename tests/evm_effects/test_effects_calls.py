"""Calls to effects: each function of the tables, encoded by the reference coder, and nothing encoded otherwise."""

from typing import Any

import pytest
from eth_abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from evm.address import ZERO_ADDRESS, Address
from evm.effects import (
    MAX_DEPTH,
    MAX_EFFECTS,
    NO_TOKENS,
    Effect,
    Kind,
    Reason,
    Token,
    Tokens,
    all_effects,
    effects_of_transaction,
)
from evm.effects.call import FUNCTIONS, Call, Walk, read_call
from evm.errors import EvmError
from evm.transaction import Transaction
from tests.evm_effects.made import (
    CHAIN,
    ENTRY_POINT,
    ENTRY_POINT_6,
    FRIEND,
    MAX,
    MULTI_SEND,
    MULTICALL3,
    PERMIT2,
    SAFE,
    THIEF,
    TOKEN,
    WALLET,
    calldata,
    multi_send,
    tx,
)

ERC20: Tokens = {(CHAIN, TOKEN): Token("erc20", "usd", 6)}
ERC721: Tokens = {(CHAIN, TOKEN): Token("erc721", "art")}
TRANSFER = calldata("transfer(address,uint256)", THIEF, 5)


def read(to: Address, data: bytes, tokens: Tokens = NO_TOKENS, value: int = 0) -> tuple[Effect, ...]:
    """The effects of the call of a transaction, without its fee."""
    *effects, fee = effects_of_transaction(tx(to, data, value), WALLET, tokens)
    assert fee.kind is Kind.FEE
    return tuple(effects)


def brief(effect: Effect) -> tuple[Any, ...]:
    asset = None if effect.asset is None else (effect.asset.standard, effect.asset.id)
    return effect.kind.value, effect.account, effect.counterparty, asset, effect.amount


# The selectors of waas-guard-intents.md 2.5, by which the guard's functions are known elsewhere.
PUBLISHED = """a9059cbb 23b872dd 095ea7b3 39509351 a457c2d7 d73dd623 a22cb465 42842e0e b88d4fde f242432a 2eb2c2d6
4000aea0 cae9ca51 3177029f 9bd9bbc6 62ad1b83 d505accf 8fcbaf0c 87517c45 2b67b570 2a2d80d1 36c78516 0d58b1db 30f28b7a
edd9444b 137c29fe e3ee160e ef55bec6 ac9650d8 5ae401dc 1f0464d1 63fb0b96 252dba42 bce38bd7 399542e9 82ad56cb 174dea71
8d80ff0a b61d27f6 34fcd5be 18dfb3c7 e9ae5c53 6a761202 765e827f 1f6a1eb9 7a9a1628 6ea44577 61c2926c 29561426 025b22bc
b93ea7ad 4fcf3eca f727ef1c d0748f71 4598154f 9c145aed 42de1418 49934047 3ed01015 f2fde38b 13af4035 3659cfe6 4f1ef286"""


def test_published_selectors_are_in_the_table() -> None:
    assert set(PUBLISHED.split()) <= {selector.hex() for selector in FUNCTIONS}


TOKEN_CALLS: list[tuple[str, tuple[Any, ...], Tokens, tuple[Any, ...]]] = [
    ("transfer(address,uint256)", (THIEF, 5), NO_TOKENS, ("transfer", WALLET, THIEF, ("erc20", None), 5)),
    (
        "transferFrom(address,address,uint256)",
        (FRIEND, THIEF, 5),
        NO_TOKENS,
        ("transfer", FRIEND, THIEF, ("token", None), 5),
    ),
    (
        "transferFrom(address,address,uint256)",
        (WALLET, THIEF, 5),
        ERC20,
        ("transfer", WALLET, THIEF, ("erc20", None), 5),
    ),
    (
        "transferFrom(address,address,uint256)",
        (WALLET, THIEF, 5),
        ERC721,
        ("transfer", WALLET, THIEF, ("erc721", 5), 1),
    ),
    ("approve(address,uint256)", (THIEF, 5), ERC20, ("approval", WALLET, THIEF, ("erc20", None), 5)),
    ("approve(address,uint256)", (THIEF, 0), ERC20, ("revocation", WALLET, THIEF, ("erc20", None), 0)),
    ("approve(address,uint256)", (THIEF, 0), ERC721, ("approval", WALLET, THIEF, ("erc721", 0), 1)),
    ("approve(address,uint256)", (ZERO_ADDRESS, 7), ERC721, ("revocation", WALLET, ZERO_ADDRESS, ("erc721", 7), 1)),
    ("approve(address,uint256)", (THIEF, 0), NO_TOKENS, ("approval", WALLET, THIEF, ("token", None), 0)),
    ("increaseAllowance(address,uint256)", (THIEF, 5), NO_TOKENS, ("approval", WALLET, THIEF, ("erc20", None), 5)),
    ("increaseApproval(address,uint256)", (THIEF, 5), NO_TOKENS, ("approval", WALLET, THIEF, ("erc20", None), 5)),
    ("decreaseAllowance(address,uint256)", (THIEF, 5), NO_TOKENS, ("revocation", WALLET, THIEF, ("erc20", None), 5)),
    ("setApprovalForAll(address,bool)", (THIEF, True), NO_TOKENS, ("operator", WALLET, THIEF, ("token", None), None)),
    ("setApprovalForAll(address,bool)", (THIEF, False), ERC721, ("revocation", WALLET, THIEF, ("erc721", None), None)),
    (
        "safeTransferFrom(address,address,uint256)",
        (WALLET, THIEF, 9),
        NO_TOKENS,
        ("transfer", WALLET, THIEF, ("erc721", 9), 1),
    ),
    (
        "safeTransferFrom(address,address,uint256,uint256,bytes)",
        (WALLET, THIEF, 9, 4, b""),
        NO_TOKENS,
        ("transfer", WALLET, THIEF, ("erc1155", 9), 4),
    ),
    (
        "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
        (FRIEND, THIEF, 5, 9, 27, b"r" * 32, b"s" * 32),
        NO_TOKENS,
        ("approval", FRIEND, THIEF, ("erc20", None), 5),
    ),
    (
        "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)",
        (FRIEND, THIEF, 5, 9, True, 27, b"r" * 32, b"s" * 32),
        NO_TOKENS,
        ("approval", FRIEND, THIEF, ("erc20", None), MAX),
    ),
    ("authorizeOperator(address)", (THIEF,), NO_TOKENS, ("operator", WALLET, THIEF, ("erc20", None), None)),
    (
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
        (FRIEND, THIEF, 5, 0, 9, b"n" * 32, 27, b"r" * 32, b"s" * 32),
        NO_TOKENS,
        ("transfer", FRIEND, THIEF, ("erc20", None), 5),
    ),
]


@pytest.mark.parametrize(("signature", "values", "tokens", "expected"), TOKEN_CALLS)
def test_token_calls_say_who_gets_what_of_whom(
    signature: str, values: tuple[Any, ...], tokens: Tokens, expected: tuple[Any, ...]
) -> None:
    [effect] = read(TOKEN, calldata(signature, *values), tokens)
    assert brief(effect) == expected
    assert effect.contract == TOKEN


PERMIT2_CALLS: list[tuple[str, tuple[Any, ...], list[tuple[Any, ...]]]] = [
    (
        "approve(address,address,uint160,uint48)",
        (TOKEN, THIEF, 2**160 - 1, 99),
        [("approval", WALLET, THIEF, ("erc20", None), 2**160 - 1)],
    ),
    (
        "permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)",
        (FRIEND, ((TOKEN, 5, 99, 0), THIEF, 9), b"s" * 65),
        [("approval", FRIEND, THIEF, ("erc20", None), 5)],
    ),
    (
        "permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)",
        (FRIEND, ([(TOKEN, 5, 99, 0), (TOKEN, 6, 99, 1)], THIEF, 9), b"s" * 65),
        [("approval", FRIEND, THIEF, ("erc20", None), 5), ("approval", FRIEND, THIEF, ("erc20", None), 6)],
    ),
    (
        "transferFrom(address,address,uint160,address)",
        (FRIEND, THIEF, 5, TOKEN),
        [("transfer", FRIEND, THIEF, ("erc20", None), 5)],
    ),
    (
        "transferFrom((address,address,uint160,address)[])",
        ([(FRIEND, THIEF, 5, TOKEN)],),
        [("transfer", FRIEND, THIEF, ("erc20", None), 5)],
    ),
    (
        "permitTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes)",
        (((TOKEN, 5), 0, 9), (THIEF, 4), FRIEND, b"s" * 65),
        [("transfer", FRIEND, THIEF, ("erc20", None), 4)],
    ),
    (
        "permitTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes)",
        (([(TOKEN, 5)], 0, 9), [(THIEF, 4)], FRIEND, b"s" * 65),
        [("transfer", FRIEND, THIEF, ("erc20", None), 4)],
    ),
]


@pytest.mark.parametrize(("signature", "values", "expected"), PERMIT2_CALLS)
def test_permit2_is_understood_at_its_address_and_nowhere_else(
    signature: str, values: tuple[Any, ...], expected: list[tuple[Any, ...]]
) -> None:
    data = calldata(signature, *values)
    assert [brief(effect) for effect in read(PERMIT2, data)] == expected
    [elsewhere] = read(THIEF, data)
    assert elsewhere.reason is Reason.IMPOSTOR


def test_a_permit2_allowance_ends_with_its_expiration() -> None:
    [effect] = read(PERMIT2, calldata("approve(address,address,uint160,uint48)", TOKEN, THIEF, 5, 99))
    assert effect.expires_s == 99


def test_a_function_that_the_known_standard_does_not_have_is_unknown() -> None:
    [effect] = read(TOKEN, TRANSFER, ERC721)
    assert effect.reason is Reason.STANDARD
    [effect] = read(TOKEN, calldata("setApprovalForAll(address,bool)", THIEF, True), ERC20)
    assert effect.reason is Reason.STANDARD


def test_value_sent_along_is_an_effect_of_its_own() -> None:
    coins, transfer = read(TOKEN, TRANSFER, value=7)
    assert brief(coins) == ("native", WALLET, TOKEN, ("native", None), 7)
    assert transfer.kind is Kind.TRANSFER
    [empty] = read(FRIEND, b"")
    assert brief(empty) == ("native", WALLET, FRIEND, ("native", None), 0)


def test_the_fee_is_all_gas_at_the_highest_price() -> None:
    *_, fee = effects_of_transaction(tx(FRIEND), WALLET)
    assert (fee.kind, fee.amount) == (Kind.FEE, 21_000)


def test_a_creation_is_one_and_its_value_leaves() -> None:
    coins, creation, _ = effects_of_transaction(tx(None, b"\x60\x00", 7), WALLET)
    assert (coins.kind, coins.counterparty, coins.amount) == (Kind.NATIVE, None, 7)
    assert creation.kind is Kind.CREATION


def _containers() -> list[tuple[str, Address, bytes, Address]]:
    """A container around `TRANSFER` to `TOKEN`, and who the inner sender is."""
    word = (0).to_bytes(32, "big")
    packed = bytes.fromhex("11") + bytes([4]) + TOKEN + len(TRANSFER).to_bytes(3, "big") + TRANSFER
    legacy = [(False, True, 0, TOKEN, 0, TRANSFER)]
    single = TOKEN + word + TRANSFER
    return [
        ("multicall", TOKEN, calldata("multicall(bytes[])", [TRANSFER]), WALLET),
        ("multicall with deadline", TOKEN, calldata("multicall(uint256,bytes[])", 9, [TRANSFER]), WALLET),
        ("multicall with hash", TOKEN, calldata("multicall(bytes32,bytes[])", b"h" * 32, [TRANSFER]), WALLET),
        ("batch", TOKEN, calldata("batch(bytes[],bool)", [TRANSFER], True), WALLET),
        ("aggregate", MULTICALL3, calldata("aggregate((address,bytes)[])", [(TOKEN, TRANSFER)]), MULTICALL3),
        ("try", MULTICALL3, calldata("tryAggregate(bool,(address,bytes)[])", False, [(TOKEN, TRANSFER)]), MULTICALL3),
        (
            "aggregate3",
            MULTICALL3,
            calldata("aggregate3((address,bool,bytes)[])", [(TOKEN, True, TRANSFER)]),
            MULTICALL3,
        ),
        (
            "aggregate3Value",
            MULTICALL3,
            calldata("aggregate3Value((address,bool,uint256,bytes)[])", [(TOKEN, True, 0, TRANSFER)]),
            MULTICALL3,
        ),
        (
            "Safe",
            SAFE,
            calldata(
                "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
                TOKEN,
                0,
                TRANSFER,
                0,
                0,
                0,
                0,
                WALLET,
                WALLET,
                b"",
            ),
            SAFE,
        ),
        (
            "Safe module",
            SAFE,
            calldata("execTransactionFromModule(address,uint256,bytes,uint8)", TOKEN, 0, TRANSFER, 0),
            SAFE,
        ),
        ("multiSend, called", MULTI_SEND, multi_send((0, TOKEN, 0, TRANSFER)), MULTI_SEND),
        (
            "forwarder",
            THIEF,
            calldata(
                "execute((address,address,uint256,uint256,uint256,bytes),bytes)",
                (FRIEND, TOKEN, 0, 9, 9, TRANSFER),
                b"",
            ),
            FRIEND,
        ),
        (
            "forwarder, newer",
            THIEF,
            calldata(
                "execute((address,address,uint256,uint256,uint48,bytes,bytes))", (FRIEND, TOKEN, 0, 9, 9, TRANSFER, b"")
            ),
            FRIEND,
        ),
        (
            "meta transaction",
            TOKEN,
            calldata(
                "executeMetaTransaction(address,bytes,bytes32,bytes32,uint8)",
                FRIEND,
                TRANSFER,
                b"r" * 32,
                b"s" * 32,
                27,
            ),
            FRIEND,
        ),
        ("account", SAFE, calldata("execute(address,uint256,bytes)", TOKEN, 0, TRANSFER), SAFE),
        ("account batch", SAFE, calldata("executeBatch((address,uint256,bytes)[])", [(TOKEN, 0, TRANSFER)]), SAFE),
        ("account batch of two", SAFE, calldata("executeBatch(address[],bytes[])", [TOKEN], [TRANSFER]), SAFE),
        (
            "account batch of three",
            SAFE,
            calldata("executeBatch(address[],uint256[],bytes[])", [TOKEN], [0], [TRANSFER]),
            SAFE,
        ),
        ("ERC-7579", SAFE, calldata("execute(bytes32,bytes)", bytes(32), single), SAFE),
        (
            "ERC-7579 batch",
            SAFE,
            calldata(
                "execute(bytes32,bytes)",
                b"\x01" + bytes(31),
                encode(["(address,uint256,bytes)[]"], [[("0x" + TOKEN.hex(), 0, TRANSFER)]]),
            ),
            SAFE,
        ),
        ("Sequence v3", SAFE, calldata("execute(bytes,bytes)", packed, b""), SAFE),
        ("Sequence v3, itself", WALLET, calldata("selfExecute(bytes)", packed), WALLET),
        (
            "Sequence v2",
            SAFE,
            calldata("execute((bool,bool,uint256,address,uint256,bytes)[],uint256,bytes)", legacy, 0, b""),
            SAFE,
        ),
        (
            "Sequence v2, itself",
            WALLET,
            calldata("selfExecute((bool,bool,uint256,address,uint256,bytes)[])", legacy),
            WALLET,
        ),
        (
            "entry point v0.7",
            ENTRY_POINT,
            calldata(
                "handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)",
                [
                    (
                        SAFE,
                        0,
                        b"",
                        calldata("execute(address,uint256,bytes)", TOKEN, 0, TRANSFER),
                        bytes(32),
                        1,
                        bytes(32),
                        b"",
                        b"",
                    )
                ],
                WALLET,
            ),
            SAFE,
        ),
        (
            "entry point v0.6",
            ENTRY_POINT_6,
            calldata(
                "handleOps((address,uint256,bytes,bytes,uint256,uint256,uint256,uint256,uint256,bytes,bytes)[],"
                "address)",
                [
                    (
                        SAFE,
                        0,
                        b"",
                        calldata("execute(address,uint256,bytes)", TOKEN, 0, TRANSFER),
                        1,
                        1,
                        1,
                        1,
                        1,
                        b"",
                        b"",
                    )
                ],
                WALLET,
            ),
            SAFE,
        ),
    ]


CONTAINERS = _containers()


@pytest.mark.parametrize(("to", "data", "sender"), [c[1:] for c in CONTAINERS], ids=[c[0] for c in CONTAINERS])
def test_what_lies_in_a_container_comes_to_light_and_the_container_with_it(
    to: Address, data: bytes, sender: Address
) -> None:
    [container] = read(to, data)
    assert container.kind is Kind.NESTED
    assert container.contract == to
    [moved] = [effect for effect in container.walk() if effect.kind is Kind.TRANSFER]
    assert (moved.account, moved.counterparty, moved.amount) == (sender, THIEF, 5)


@pytest.mark.parametrize(("to", "data"), [c[1:3] for c in CONTAINERS], ids=[c[0] for c in CONTAINERS])
def test_a_container_in_which_one_byte_is_too_many_is_unknown(to: Address, data: bytes) -> None:
    for wrong in (data + b"\0", data + bytes(32), data[:-1]):
        [effect] = read(to, wrong)
        assert (effect.kind, effect.reason) == (Kind.UNKNOWN, Reason.ENCODING)


def test_a_delegate_call_of_a_safe_is_one_and_its_batch_is_looked_into() -> None:
    batch = multi_send((0, TOKEN, 0, TRANSFER), (1, THIEF, 0, b"1234"))
    data = calldata(
        "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
        MULTI_SEND, 0, batch, 1, 0, 0, 0, WALLET, WALLET, b"",
    )  # fmt: skip
    [container] = read(SAFE, data)
    outer, moved, inner = list(container.walk())[1:]
    assert (outer.kind, outer.contract, outer.account) == (Kind.DELEGATE_CALL, MULTI_SEND, SAFE)
    assert (moved.kind, moved.account) == (Kind.TRANSFER, SAFE)
    assert (inner.kind, inner.contract, inner.account) == (Kind.DELEGATE_CALL, THIEF, SAFE)


def test_what_may_fail_in_a_batch_is_conditional_and_counted_all_the_same() -> None:
    [container] = read(MULTICALL3, calldata("aggregate3((address,bool,bytes)[])", [(TOKEN, True, TRANSFER)]))
    assert [effect.conditional for effect in container.walk()] == [False, True]


def test_an_operation_with_a_paymaster_or_a_factory_names_them() -> None:
    data = calldata(
        "handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)",
        [(SAFE, 0, FRIEND + b"init", b"", bytes(32), 1, bytes(32), THIEF + b"data", b"")], WALLET,
    )  # fmt: skip
    [container] = read(ENTRY_POINT, data)
    kinds = {effect.kind: effect.contract for effect in container.walk()}
    assert kinds[Kind.CREATION] == FRIEND
    assert kinds[Kind.UNKNOWN] == THIEF


def test_an_operation_pays_for_all_of_its_gas() -> None:
    limits = (7).to_bytes(16, "big") + (5).to_bytes(16, "big")
    fees = (1).to_bytes(16, "big") + (10).to_bytes(16, "big")
    data = calldata(
        "handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)",
        [(SAFE, 0, b"", b"", limits, 3, fees, b"", b"")], WALLET,
    )  # fmt: skip
    [fee] = [effect for effect in all_effects(read(ENTRY_POINT, data)) if effect.kind is Kind.FEE]
    assert (fee.account, fee.amount) == (SAFE, 15 * 10)


CHANGES: list[tuple[str, tuple[Any, ...], Address | None]] = [
    ("transferOwnership(address)", (THIEF,), THIEF),
    ("renounceOwnership()", (), None),
    ("upgradeTo(address)", (THIEF,), THIEF),
    ("enableModule(address)", (THIEF,), THIEF),
    ("swapOwner(address,address,address)", (WALLET, FRIEND, THIEF), THIEF),
    ("grantRole(bytes32,address)", (b"r" * 32, THIEF), THIEF),
    ("setInterfaceImplementer(address,bytes32,address)", (WALLET, b"i" * 32, THIEF), THIEF),
    ("updateImageHash(bytes32)", (b"h" * 32,), None),
    ("updateImplementation(address)", (THIEF,), THIEF),
    ("addHook(bytes4,address)", (b"abcd", THIEF), THIEF),
    ("setStaticSignature(bytes32,address,uint96)", (b"h" * 32, THIEF, 9), THIEF),
    ("installModule(uint256,address,bytes)", (1, THIEF, b""), THIEF),
]


@pytest.mark.parametrize(("signature", "values", "new"), CHANGES)
def test_a_change_of_control_names_what_changes_and_for_whom(
    signature: str, values: tuple[Any, ...], new: Address | None
) -> None:
    [effect] = read(SAFE, calldata(signature, *values))
    assert (effect.kind, effect.account, effect.counterparty) == (Kind.ACCOUNT_CHANGE, SAFE, new)


def test_a_call_in_no_table_is_unknown() -> None:
    [effect] = read(THIEF, b"\xde\xad\xbe\xef")
    assert (effect.kind, effect.reason, effect.selector) == (Kind.UNKNOWN, Reason.SELECTOR, b"\xde\xad\xbe\xef")


_STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "address": st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
    "bool": st.booleans(),
    "bytes": st.binary(max_size=70),
    "string": st.text(max_size=20),
}


def _strategy(type_: str) -> st.SearchStrategy[Any]:
    if type_.endswith("[]"):
        return st.lists(_strategy(type_[:-2]), max_size=3)
    if type_.startswith("("):
        from evm.abi import split_types

        return st.tuples(*map(_strategy, split_types(type_[1:-1])))
    if type_.startswith("uint"):
        most = 2 ** int(type_[4:]) - 1
        return st.integers(0, most) | st.sampled_from([0, most])
    if type_ in _STRATEGIES:
        return _STRATEGIES[type_]
    size = int(type_[5:])
    return st.binary(min_size=size, max_size=size)


@st.composite
def encoded_calls(draw: st.DrawFn) -> bytes:
    selector = draw(st.sampled_from(sorted(FUNCTIONS)))
    types = FUNCTIONS[selector].types
    return selector + encode(types, [draw(_strategy(type_)) for type_ in types])


def whole(data: bytes) -> tuple[Effect, ...]:
    return read_call(Call(Walk(NO_TOKENS), CHAIN, WALLET, TOKEN, 0, data))


@settings(max_examples=300, deadline=None)
@given(encoded_calls())
def test_every_function_of_the_table_reads_what_the_reference_encodes(data: bytes) -> None:
    """No reader breaks on any arguments; what it cannot use is unknown, never nothing."""
    effects = whole(data)
    assert effects
    assert effects[0].function == FUNCTIONS[data[:4]].name


@settings(max_examples=300, deadline=None)
@given(encoded_calls(), st.binary(min_size=1, max_size=40))
def test_nothing_may_follow_the_arguments(data: bytes, more: bytes) -> None:
    [effect] = whole(data + more)
    assert (effect.kind, effect.reason) == (Kind.UNKNOWN, Reason.ENCODING)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 11), st.integers(1, 255))
def test_dirty_upper_bits_of_an_address_are_not_decoded(at: int, bits: int) -> None:
    dirty = bytearray(TRANSFER)
    dirty[4 + at] ^= bits
    [effect] = read(TOKEN, bytes(dirty))
    assert effect.reason is Reason.ENCODING


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"", *sorted(FUNCTIONS)]), st.binary(max_size=300))
def test_any_bytes_are_effects(selector: bytes, data: bytes) -> None:
    assert whole(selector + data)


def test_a_known_function_with_nothing_to_do_is_still_a_call_of_its_contract() -> None:
    data = calldata("safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", WALLET, THIEF, [], [], b"")
    [effect] = read(THIEF, data)
    assert (effect.kind, effect.reason, effect.contract) == (Kind.UNKNOWN, Reason.EMPTY, THIEF)


def nested(levels: int) -> bytes:
    data = TRANSFER
    for _ in range(levels):
        data = calldata("multicall(bytes[])", [data])
    return data


def test_calls_deeper_than_the_limit_are_unknown_and_not_passed_over() -> None:
    deepest = list(all_effects(read(TOKEN, nested(MAX_DEPTH))))
    assert deepest[-1].kind is Kind.TRANSFER
    too_deep = list(all_effects(read(TOKEN, nested(MAX_DEPTH + 1))))
    assert too_deep[-1].reason is Reason.TOO_DEEP


def test_a_batch_that_is_delegate_called_too_deep_is_unknown_as_well() -> None:
    data = multi_send((0, TOKEN, 0, TRANSFER))
    for _ in range(MAX_DEPTH + 1):
        data = multi_send((1, MULTI_SEND, 0, data))
    assert list(all_effects(read(MULTI_SEND, data)))[-1].reason is Reason.TOO_DEEP


def test_more_effects_than_the_limit_are_refused_as_a_whole() -> None:
    fits = calldata("multicall(bytes[])", [TRANSFER] * (MAX_EFFECTS - 2))  # and the container, and the fee
    assert len(list(all_effects(effects_of_transaction(big(fits), WALLET)))) == MAX_EFFECTS
    more = calldata("multicall(bytes[])", [TRANSFER] * (MAX_EFFECTS - 1))
    with pytest.raises(EvmError, match="effects-too-many"):
        effects_of_transaction(big(more), WALLET)


def big(data: bytes) -> Transaction:
    """A transaction with more calldata than the wire lets through: the bound on effects stands by itself."""
    small = tx(TOKEN)
    object.__setattr__(small, "data", data)
    return small


@pytest.mark.parametrize("mode", [b"\0\0" + b"\1" + bytes(29), b"\0\2" + bytes(30), b"\2" + bytes(31)])
def test_a_mode_of_erc_7579_that_nobody_knows_is_not_decoded(mode: bytes) -> None:
    [effect] = read(SAFE, calldata("execute(bytes32,bytes)", mode, TOKEN + bytes(32) + TRANSFER))
    assert effect.reason is Reason.ENCODING


@pytest.mark.parametrize("cut", [1, 40, len(TRANSFER)])
def test_a_batch_whose_last_call_is_cut_off_is_not_decoded(cut: int) -> None:
    packed = bytes([0]) + TOKEN + bytes(32) + len(TRANSFER).to_bytes(32, "big") + TRANSFER
    [effect] = read(MULTI_SEND, calldata("multiSend(bytes)", packed[:-cut]))
    assert effect.reason is Reason.ENCODING


def test_what_only_an_entry_point_calls_is_nothing_that_anybody_else_calls() -> None:
    packed = bytes.fromhex("11") + bytes([4]) + TOKEN + len(TRANSFER).to_bytes(3, "big") + TRANSFER
    data = calldata("executeUserOp(bytes)", packed)
    [effect] = read(SAFE, data)
    assert effect.reason is Reason.IMPOSTOR
    [nested] = read_call(Call(Walk(NO_TOKENS), CHAIN, ENTRY_POINT, SAFE, 0, data))
    assert nested.effects[0].kind is Kind.TRANSFER


def test_dirty_bits_behind_a_selector_are_not_decoded() -> None:
    data = bytearray(calldata("addHook(bytes4,address)", b"abcd", THIEF))
    data[4 + 31] = 1
    [effect] = read(SAFE, bytes(data))
    assert effect.reason is Reason.ENCODING
