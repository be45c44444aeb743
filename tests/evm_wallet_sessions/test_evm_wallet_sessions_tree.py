"""Session trees and permissions: hashing, both encodings, what is refused, and every bound."""

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evm.address import Address, checksum, parse_address
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.wallet.sessions import configuration, permission, session_json, tree_encoding, usage_limits
from evm.wallet.sessions.configuration import (
    Blacklist,
    Branch,
    IdentitySigner,
    Node,
    Tree,
    flat,
    image_hash,
    leaves,
    minimise,
    validate_configuration,
)
from evm.wallet.sessions.permission import ParameterRule, Permission, SessionPermissions, parse_permissions
from evm.wallet.sessions.session_json import permissions_from_json, permissions_to_json, tree_from_json, tree_to_json
from evm.wallet.sessions.tree_encoding import encode_tree, parse_tree
from evm.wallet.sessions.usage_limits import UsageLimit, encode_increment, parse_increment

from .samples import (
    ADDRESSES,
    APP,
    BOB,
    DAPP,
    IDENTITY,
    LEAVES,
    OTHER,
    SESSIONS,
    SPEND,
    STRANGER,
    TOKEN,
    TREES,
    WORDS,
    refused,
    session,
    tree,
)

NODE = Node(b"\x01" * 32)


def fold(hashes: list[bytes]) -> bytes:
    return reduce(lambda left, right: keccak256(left + right), hashes)


@given(TREES)
def test_tree_survives_both_encodings(found: Tree) -> None:
    assert tree_from_json(tree_to_json(found)) == found
    assert parse_tree(encode_tree(found)) == found


@given(SESSIONS)
def test_session_survives_both_encodings(found: SessionPermissions) -> None:
    assert parse_permissions(found.encoded) == found
    assert permissions_from_json(permissions_to_json(found)) == found


@given(st.lists(st.builds(UsageLimit, st.binary(min_size=32, max_size=32), WORDS), max_size=5))
def test_increment_call_survives_its_encoding(limits: list[UsageLimit]) -> None:
    assert parse_increment(encode_increment(limits)) == tuple(limits)


@given(st.lists(LEAVES, min_size=1, max_size=9))
def test_flat_tree_keeps_its_leaves_and_splits_in_halves(members: list[Any]) -> None:
    found = flat(members)
    assert list(leaves(found)) == members
    half = len(members) // 2
    if half:
        halves = [image_hash(flat(members[:half])), image_hash(flat(members[half:]))]
        assert image_hash(found) == keccak256(b"".join(halves))


@given(st.lists(LEAVES, min_size=2, max_size=5))
def test_branch_folds_its_children_from_the_left(members: list[Any]) -> None:
    """Also where a client library hashes them in one go: hashes, more than two."""
    assert image_hash(Branch(tuple(members))) == fold(list(map(image_hash, members)))
    side_by_side = b"".join(map(encode_tree, members))
    assert image_hash(parse_tree(side_by_side)) == fold(list(map(image_hash, members)))


@given(TREES, st.booleans(), st.data())
def test_minimised_tree_has_the_same_hash_and_shows_what_was_asked_for(
    found: Tree, implicit: bool, data: st.DataObject
) -> None:
    signers = configuration.explicit_signers(found)
    wanted = set(data.draw(st.lists(st.sampled_from(signers), unique=True))) if signers else set()
    identities = configuration.identity_signers(found)
    identity = data.draw(st.sampled_from(identities)) if identities else Address(bytes(20))
    small = minimise(found, signers=wanted, identity_signer=identity, implicit=implicit)
    assert image_hash(small) == image_hash(found)
    assert set(configuration.explicit_signers(small)) == wanted
    assert set(configuration.identity_signers(small)) == set(identities[:1] and [identity])
    assert implicit or not any(isinstance(leaf, Blacklist) for leaf in leaves(small))


def test_10_minimised_branch_of_three_hashes_folds() -> None:
    three = Branch((IdentitySigner(BOB), IdentitySigner(DAPP), IdentitySigner(TOKEN)))
    small = minimise(Branch((three, session())), signers=[APP.address], identity_signer=WALLET_NONE, implicit=False)
    assert small == Branch((Node(fold(list(map(image_hash, three.children)))), session()))


def test_10_signer_is_the_same_whatever_the_case_of_its_letters() -> None:
    """One library compares addresses as text when it chooses what to show, and so hides a session that signs."""
    written = [checksum(APP.address), checksum(APP.address).lower(), "0x" + APP.address.hex().upper()]
    for text in written:
        small = minimise(
            tree(session(APP)), signers=[parse_address(text)], identity_signer=IDENTITY.address, implicit=False
        )
        assert configuration.explicit_signers(small) == [APP.address]


WALLET_NONE = Address(bytes(20))


# --- building ---


def test_tree_grows_and_shrinks() -> None:
    first, second = session(APP), session(OTHER)
    grown = configuration.add(configuration.add(tree(first), second), IdentitySigner(STRANGER.address))
    assert configuration.explicit_signers(grown) == [APP.address, OTHER.address]
    assert configuration.identity_signers(grown) == [IDENTITY.address, STRANGER.address]
    shrunk = configuration.remove_session(grown, OTHER.address)
    assert configuration.remove_identity_signer(shrunk, STRANGER.address) == tree(first)
    barred = configuration.with_blacklist(grown, {BOB, DAPP})
    assert [leaf for leaf in leaves(barred) if isinstance(leaf, Blacklist)] == [Blacklist(tuple(sorted([BOB, DAPP])))]
    for each in (tree(first), grown, shrunk, barred):
        validate_configuration(each)


def test_what_cannot_be_added_or_removed() -> None:
    with refused(None, "wallet-session-tree-signer-twice"):
        configuration.add(tree(), session(value_limit=0))
    with refused(None, "wallet-session-tree-leaf-twice"):
        configuration.add(tree(), IdentitySigner(IDENTITY.address))
    for remove in (configuration.remove_session, configuration.remove_identity_signer):
        with refused(None, "wallet-session-tree-no-such-leaf"):
            remove(tree(), BOB)
    with refused(None, "wallet-session-tree-no-blacklist"):
        configuration.with_blacklist(NODE, [BOB])


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (IdentitySigner(BOB), "InvalidBlacklist"),
        (Branch((IdentitySigner(BOB), Blacklist(), Blacklist())), "InvalidBlacklist"),
        (Branch((Blacklist(), session())), "InvalidIdentitySigner"),
        (Branch((Blacklist(), IdentitySigner(BOB), session(), session(value_limit=0))), None),
        (Branch((Blacklist(), IdentitySigner(BOB), IdentitySigner(BOB))), None),
    ],
)
def test_configuration_that_is_not_whole(found: Tree, reason: str | None) -> None:
    with refused(reason):
        validate_configuration(found)


# --- refusals ---


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Blacklist((DAPP, BOB)), "InvalidBlacklistUnsorted"),
        (lambda: Blacklist((Address(b"\1"),)), None),
        (lambda: IdentitySigner(Address(bytes(20))), "InvalidIdentitySigner"),
        (lambda: Node(bytes(32)), None),
        (lambda: Node(b"\1" * 31), None),
        (lambda: Branch((NODE,)), None),
        (lambda: Permission(Address(b"")), None),
        (lambda: session(chain_id=2**256), None),
        (lambda: session(value_limit=-1), None),
        (lambda: session(deadline=2**64), None),
        (lambda: SessionPermissions(Address(bytes(20)), 0, 0, 0, ()), None),
        (lambda: ParameterRule(permission.ParameterOperation.EQUAL, 2**256, 0), None),
        (lambda: UsageLimit(b"", 0), None),
        (lambda: UsageLimit(bytes(32), 2**256), "Panic"),
        (lambda: flat([]), None),
    ],
)
def test_values_that_have_no_meaning(make: Any, reason: str | None) -> None:
    with refused(reason):
        make()


def test_blacklist_may_name_an_address_twice_as_the_contract_allows() -> None:
    assert parse_tree(encode_tree(Blacklist((BOB, BOB)))) == Blacklist((BOB, BOB))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", None),
        ("50", "InvalidNodeType"),
        ("ff", "InvalidNodeType"),
        ("10" + "01" * 31, None),
        ("20", None),
        ("2100", None),
        ("2105" + "10", None),
        ("40" + "00" * 20, "InvalidIdentitySigner"),
        ("32" + "22" * 20 + "11" * 20, "InvalidBlacklistUnsorted"),
        ("31" + "22" * 19, None),
        ("3f0002" + "22" * 20, None),
    ],
)
def test_bytes_that_are_no_tree(data: str, reason: str | None) -> None:
    with refused(reason, "wallet-session-tree"):
        parse_tree(bytes.fromhex(data))


def test_operation_beyond_the_last_is_the_contracts_panic() -> None:
    encoded = bytearray(session().encoded)
    at = encoded.index(SPEND.rules[1].encoded)
    encoded[at] = 8
    with refused("Panic", "wallet-permission-operation"):
        parse_permissions(bytes(encoded))


@pytest.mark.parametrize("length", [0, 92, len(session().encoded) - 1, len(session().encoded) + 1])
def test_permissions_have_one_length(length: int) -> None:
    with refused(None, "wallet-permission-length"):
        parse_permissions(session().encoded.ljust(length, b"\0")[:length])


def test_other_forms_of_a_size_or_count_mean_the_same() -> None:
    """As the contract reads them: a size in more bytes than needed, a short blacklist with a long count."""
    branch = Branch((NODE, NODE))
    items = encode_tree(NODE) * 2
    assert encode_tree(branch) == b"\x21" + bytes([len(items)]) + items
    assert parse_tree(b"\x24" + len(items).to_bytes(4, "big") + items) == branch
    assert parse_tree(b"\x3f\x00\x01" + BOB) == Blacklist((BOB,))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        usage_limits.INCREMENT_SELECTOR,
        b"\0" + encode_increment([])[1:],
        encode_increment([]) + b"\0",
        encode_increment([UsageLimit(bytes(32), 1)])[:-1],
        usage_limits.INCREMENT_SELECTOR + bytes(32) + bytes(32),
    ],
)
def test_increment_call_has_one_encoding(data: bytes) -> None:
    with refused(None, "wallet-session-usage"):
        parse_increment(data)


LEAF_JSON = {"type": "identity-signer", "identitySigner": "0x" + "b0" * 20}
RULE_JSON = {"cumulative": False, "operation": 0, "value": "0x" + "00" * 32, "offset": "4", "mask": "0x" + "00" * 32}


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        [LEAF_JSON],
        "0x00",
        {},
        {"type": "nested"},
        {"type": 7},
        {**LEAF_JSON, "more": 1},
        {"type": "identity-signer"},
        {"type": "implicit-blacklist", "blacklist": None},
        {"type": "implicit-blacklist", "blacklist": ["0x" + "b0" * 20, "0x" + "a0" * 20]},
        {**permissions_to_json(session()), "chainId": "0x1"},
        {**permissions_to_json(session()), "chainId": "01"},
        {**permissions_to_json(session()), "deadline": str(2**64)},
        {**permissions_to_json(session()), "signer": "0x" + "00" * 20},
        {**permissions_to_json(session()), "permissions": [{"target": "0x" + "b0" * 20}]},
        *(
            {
                **permissions_to_json(session()),
                "permissions": [{"target": "0x" + "b0" * 20, "rules": [{**RULE_JSON, **change}]}],
            }
            for change in ({"cumulative": 0}, {"operation": 4}, {"value": "0x00"}, {"offset": 1.5}, {"more": 1})
        ),
    ],
)
def test_json_that_is_no_tree(value: Any) -> None:
    with pytest.raises(EvmError):
        tree_from_json(value)


def test_json_rule_of_these_tests_is_right_but_for_its_changes() -> None:
    found = {
        **permissions_to_json(session()),
        "permissions": [{"target": "0x" + "b0" * 20, "rules": [RULE_JSON]}],
    }
    assert tree_from_json([LEAF_JSON, found])


# --- bounds ---


def deep(levels: int) -> Any:
    found: Any = "0x" + "01" * 32
    for _ in range(levels):
        found = [found, "0x" + "01" * 32]
    return found


def test_depth_is_bounded_in_both_encodings() -> None:
    found = tree_from_json(deep(configuration.MAX_DEPTH))
    assert configuration.depth(found) == configuration.MAX_DEPTH
    assert parse_tree(encode_tree(found)) == found
    too_deep = Branch((found, NODE))
    with refused(None, "wallet-session-tree-depth"):
        tree_from_json(deep(configuration.MAX_DEPTH + 1))
    with refused(None, "wallet-session-tree-depth"):
        parse_tree(encode_tree(too_deep))
    with refused(None, "wallet-session-tree-depth"):
        validate_configuration(too_deep)
    with refused(None, "wallet-session-tree"):
        parse_tree(b"\x2f" * 10_000)


def test_leaves_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (configuration, session_json):
        monkeypatch.setattr(module, "MAX_LEAVES", 4)
    pair = ["0x" + "01" * 32] * 2
    tree_from_json([pair, pair])
    flat([NODE] * 4)
    with refused(None, "wallet-session-tree-leaves-count"):
        tree_from_json([pair, [pair, "0x" + "01" * 32]])
    with refused(None, "wallet-session-tree-leaves-count"):
        flat([NODE] * 5)


def test_encoded_tree_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_tree(tree())
    monkeypatch.setattr(tree_encoding, "MAX_TREE_BYTES", len(data))
    parse_tree(data)
    monkeypatch.setattr(tree_encoding, "MAX_TREE_BYTES", len(data) - 1)
    with refused(None, "wallet-session-tree-bytes"):
        parse_tree(data)


def test_blacklist_is_bounded() -> None:
    full = Blacklist((BOB,) * configuration.MAX_BLACKLIST)
    assert parse_tree(encode_tree(full)) == full
    with refused(None, "wallet-session-tree-blacklist-count"):
        Blacklist((BOB,) * (configuration.MAX_BLACKLIST + 1))
    with refused(None, "wallet-session-tree-blacklist-count"):
        parse_tree(b"\x3f" + (configuration.MAX_BLACKLIST + 1).to_bytes(2, "big"))


def test_permissions_and_rules_are_bounded() -> None:
    rules = (SPEND.rules[0],) * permission.MAX_RULES
    full = session(permissions=(Permission(TOKEN),) * permission.MAX_PERMISSIONS)
    assert parse_permissions(full.encoded) == full
    assert len(Permission(TOKEN, rules).encoded) == 21 + permission.MAX_RULES * permission.RULE_BYTES
    with refused("RulesLengthExceedsMax"):
        Permission(TOKEN, (*rules, SPEND.rules[0]))
    with refused(None, "wallet-permission-count"):
        session(permissions=(Permission(TOKEN),) * (permission.MAX_PERMISSIONS + 1))


def test_increment_call_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_limits, "MAX_LIMITS", 2)
    limits = [UsageLimit(bytes(32), 1)] * 3
    assert len(parse_increment(encode_increment(limits[:2]))) == 2
    with refused(None, "wallet-session-usage-count"):
        parse_increment(encode_increment(limits))


@given(st.lists(ADDRESSES, max_size=20))
def test_blacklist_of_any_length_survives_its_encoding(addresses: list[Address]) -> None:
    found = Blacklist(tuple(sorted(addresses)))
    data = encode_tree(found)
    assert data[0] == 0x30 | min(len(addresses), 15)
    assert parse_tree(data) == found
