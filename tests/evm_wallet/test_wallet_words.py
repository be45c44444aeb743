"""Configurations in words: every signer is shown, and every change of who may sign is said."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from evm.address import ZERO_ADDRESS, Address, checksum
from evm.wallet.configuration import Configuration
from evm.wallet.default_wallet import DEFAULT_GUARD, Module, default_configuration
from evm.wallet.topology import (
    WALLET_AS_SIGNER,
    AnyAddressSubdigestLeaf,
    Branch,
    NestedLeaf,
    NodeLeaf,
    SapientLeaf,
    SignerLeaf,
    SubdigestLeaf,
)
from evm.wallet.words import KNOWN_NAMES, configuration_words, difference_words, places

from .samples import KEYS, WALLET, address_of, configurations, two_of_two

LOGIN, DEVICE, OTHER = (address_of(key) for key in KEYS[:3])
NAMES = {LOGIN: "login", DEVICE: "device"}


def test_new_wallet_is_read_line_by_line() -> None:
    sessions = Module(Address(b"\x01" * 20), b"\x02" * 32)
    found = default_configuration(
        [SignerLeaf(LOGIN, 1)], [SignerLeaf(DEVICE, 1)], guard=DEFAULT_GUARD, sessions=sessions
    )
    names = {**KNOWN_NAMES, **NAMES, sessions.address: "sessions"}
    guard, second = checksum(DEFAULT_GUARD.wallet), checksum(DEFAULT_GUARD.fallback)
    assert configuration_words(found, names) == [
        "Needs a weight of 2; checkpoint 0",
        f'  weight 1: {checksum(LOGIN)} "login"',
        f'  weight 1: {checksum(DEVICE)} "device"',
        "  weight 1 once these reach 1 of 2",
        f'    weight 1: {guard} "guard", alone enough',
        f'    weight 1: {second} "guard, second key", alone enough',
        "  weight 255 once these reach 2 of 2, alone enough",
        f'    weight 1: the contract {checksum(sessions.address)} "sessions" for 0x{"02" * 32}',
        "    weight 1 once these reach 1 of 2",
        f'      weight 1: {checksum(DEFAULT_GUARD.sessions)} "guard of sessions", alone enough',
        f'      weight 1: {second} "guard, second key", alone enough',
    ]


@pytest.mark.parametrize(
    ("topology", "line"),
    [
        (SapientLeaf(WALLET, 1, WALLET_AS_SIGNER), f"  weight 1: the wallet {checksum(WALLET)}, alone enough"),
        (SubdigestLeaf(b"\x03" * 32), "  approved in advance: the operation 0x" + "03" * 32),
        (
            AnyAddressSubdigestLeaf(b"\x03" * 32),
            "  approved in advance, for whatever address this configuration has: the operation 0x" + "03" * 32,
        ),
        (NodeLeaf(b"\x03" * 32), "  NOT SHOWN: 0x" + "03" * 32),
    ],
)
def test_every_kind_of_leaf_has_its_words(topology: Any, line: str) -> None:
    assert configuration_words(Configuration(1, 0, topology))[-1] == line


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"threshold": 0}, "ANYONE can act"),
        ({"threshold": 70000}, "NOBODY can sign"),
        ({"threshold": 3}, "The signers that are shown"),
        ({"topology": SignerLeaf(ZERO_ADDRESS, 2)}, "ANYONE can sign for the zero address"),
    ],
)
def test_danger_is_the_first_line(changes: dict[str, Any], start: str) -> None:
    dangerous = replace(two_of_two(), **changes)
    assert configuration_words(dangerous)[0].startswith(start)
    assert difference_words(two_of_two(), dangerous)[0].startswith(start)


def test_checkpointer_is_named() -> None:
    lines = configuration_words(replace(two_of_two(), checkpointer=LOGIN), NAMES)
    assert lines[1] == f'{checksum(LOGIN)} "login" may refuse configurations that are not the newest'


def test_difference_names_what_comes_and_what_goes() -> None:
    old = Configuration(1, 4, Branch(SignerLeaf(LOGIN, 1), NestedLeaf(SignerLeaf(DEVICE, 1), 2, 1)))
    new = Configuration(2, 5, Branch(SignerLeaf(LOGIN, 2), NestedLeaf(SignerLeaf(OTHER, 1), 2, 1)), WALLET)
    assert difference_words(old, new, NAMES) == [
        "The threshold changes from 1 to 2",
        "The checkpoint changes from 4 to 5",
        f"The checkpointer changes from {checksum(ZERO_ADDRESS)} to {checksum(WALLET)}",
        f'Removed: weight 1: {checksum(LOGIN)} "login"',
        f'Removed: weight 1: {checksum(DEVICE)} "device", inside a part of weight 2 at 1',
        f'Added: weight 2: {checksum(LOGIN)} "login"',
        f"Added: weight 1: {checksum(OTHER)}, inside a part of weight 2 at 1",
    ]


def test_other_shape_of_the_same_signers_is_said() -> None:
    old = two_of_two()
    assert isinstance(old.topology, Branch)
    new = replace(old, topology=Branch(old.topology.right, old.topology.left))
    assert difference_words(old, new) == ["The signers stay the same, in another order"]
    assert difference_words(old, old) == []


def test_other_grouping_of_the_same_signers_is_no_mere_order() -> None:
    """Two parts of weight 1 may have become one."""
    login, device = SignerLeaf(LOGIN, 1), SignerLeaf(DEVICE, 1)
    apart = Configuration(2, 0, Branch(NestedLeaf(login, 1, 1), NestedLeaf(device, 1, 1)))
    together = Configuration(2, 0, NestedLeaf(Branch(login, device), 1, 1))
    assert difference_words(together, apart) == ["The same signers are GROUPED OTHERWISE: read the whole"]


@given(configurations, configurations)
def test_no_change_goes_without_a_word(old: Configuration, new: Configuration) -> None:
    assert bool(difference_words(old, new)) == (old.image_hash != new.image_hash)
    shown = "\n".join(configuration_words(new))
    for place in places(new.topology):
        if isinstance(place.leaf, SignerLeaf | SapientLeaf):
            assert f"{checksum(place.leaf.address)}" in shown
