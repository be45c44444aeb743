"""Delegations as the deployed manager hashes and reads them: published vectors, contexts, terms at exact lengths."""

import dataclasses

import coincurve
import pytest

from evm.address import Address
from evm.authorization import Authorization
from evm.delegations.context import (
    MAX_CHAIN_LINKS,
    MAX_CONTEXT_BYTES,
    SignedDelegation,
    disable_call,
    encode_context,
    parse_context,
)
from evm.delegations.deployment import METAMASK
from evm.delegations.errors import DelegationError
from evm.delegations.model import MAX_CAVEATS, MAX_TERMS_BYTES, ROOT_AUTHORITY, Caveat, Delegation, Manager
from evm.delegations.terms import (
    ENFORCERS,
    Amount,
    CalldataSlice,
    ExactCalldata,
    Item,
    Once,
    PerPeriod,
    Redeemers,
    Revocable,
    Revocations,
    Stream,
    Targets,
    Terms,
    Times,
    Uses,
    ValueAtMost,
    encode_terms,
    parse_terms,
)
from evm.errors import EvmError
from evm.signature import parse_recoverable

from .samples import CHAIN, EXECUTOR, PAYEE, USDC, WALLET, code_of, delegation

B = bytes.fromhex


def published(*terms: Terms) -> Delegation:
    return Delegation(EXECUTOR, WALLET, ROOT_AUTHORITY, tuple(map(METAMASK.caveat, terms)), 1)


def test_published_hash_and_digest() -> None:
    found = published(Targets((USDC,)), Times(0, 1800000000))
    assert found.hash == B("f20e1f84c4f08aca50c6d96429aa03bc51cce6e38c52810a1d2745a5f6b4b6b6")
    assert found.digest(METAMASK.manager, 137) == B("d4f3a1b3e182b34d32b1dce3ffd365b16ed223bd0659b962ea4c80e984561798")


def test_published_signature() -> None:
    found = published(ValueAtMost(0), Amount(USDC, 100))
    key = coincurve.PrivateKey(b"\x11" * 32)
    signature = parse_recoverable(key.sign_recoverable(found.digest(METAMASK.manager, 137), hasher=None))
    assert bytes(signature) == B(
        "fe37ea39c7468ccc4d2708d1f9e6d99c03390231fcb196fe33e23093e9a27e9a3f334b40e79ab128b5df8f5369aa3615b73ceb7821618a4d"
        "a12ceb0a9147cc081c"
    )


def test_published_authorization() -> None:
    code = Address(B("63c0c19a282a1b52b07dd5a65b58948a07dae32b"))
    expected = "e44944a773c29f75c950071bc43f50567e0a60a6d22aa04ab0a9d501f55736cb"
    assert Authorization(137, code, 5).digest == B(expected)


def test_document_and_digest_are_one() -> None:
    found = delegation()
    document = found.typed_data(METAMASK.manager, CHAIN)
    assert document.digest == found.digest(METAMASK.manager, CHAIN)
    assert document.verifying_contract == METAMASK.manager.address


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Delegation)])
def test_every_field_is_under_the_hash(field: str) -> None:
    other = {
        "delegate": PAYEE,
        "delegator": PAYEE,
        "authority": b"\x11" * 32,
        "caveats": delegation().caveats[::-1],
        "salt": 1,
    }
    assert delegation(**{field: other[field]}).hash != delegation().hash


def test_digest_is_bound_to_chain_and_manager() -> None:
    other = Manager(PAYEE, "DelegationManager", "1")
    digests = {delegation().digest(METAMASK.manager, 1), delegation().digest(METAMASK.manager, 137)}
    digests |= {delegation().digest(manager, 1) for manager in (other, dataclasses.replace(other, version="2"))}
    assert len(digests) == 4


@pytest.mark.parametrize("chain_id", [0, -1, 2**64])
def test_chain_0_and_no_chain_have_no_digest(chain_id: int) -> None:
    assert code_of(delegation().digest, METAMASK.manager, chain_id) == "delegation-chain-id"
    assert code_of(delegation().typed_data, METAMASK.manager, chain_id) == "delegation-chain-id"


TERMS: dict[str, tuple[Terms, str, int]] = {
    "targets": (Targets((USDC, PAYEE)), "AllowedTargetsEnforcer", 40),
    "slice": (CalldataSlice(4, b"\x01"), "AllowedCalldataEnforcer", 33),
    "exact": (ExactCalldata(b"\x01\x02"), "ExactCalldataEnforcer", 2),
    "nothing": (ExactCalldata(b""), "ExactCalldataEnforcer", 0),
    "token amount": (Amount(USDC, 5), "ERC20TransferAmountEnforcer", 52),
    "coin amount": (Amount(None, 5), "NativeTokenTransferAmountEnforcer", 32),
    "token period": (PerPeriod(USDC, 1, 2, 3), "ERC20PeriodTransferEnforcer", 116),
    "coin period": (PerPeriod(None, 1, 2, 3), "NativeTokenPeriodTransferEnforcer", 96),
    "token stream": (Stream(USDC, 1, 2, 3, 4), "ERC20StreamingEnforcer", 148),
    "coin stream": (Stream(None, 1, 2, 3, 4), "NativeTokenStreamingEnforcer", 128),
    "value": (ValueAtMost(7), "ValueLteEnforcer", 32),
    "times": (Times(1, 2), "TimestampEnforcer", 32),
    "uses": (Uses(3), "LimitedCallsEnforcer", 32),
    "nonce": (Revocable(3), "NonceEnforcer", 32),
    "id": (Once(3), "IdEnforcer", 32),
    "redeemers": (Redeemers((EXECUTOR,)), "RedeemerEnforcer", 20),
    "item": (Item(USDC, 3), "ERC721TransferEnforcer", 52),
    "revocations": (Revocations(0x3F), "ApprovalRevocationEnforcer", 1),
}


@pytest.mark.parametrize("name", TERMS)
def test_terms_are_written_and_read_at_their_exact_length(name: str) -> None:
    terms, enforcer, length = TERMS[name]
    assert encode_terms(terms) == (enforcer, encode_terms(terms)[1])
    data = encode_terms(terms)[1]
    assert len(data) == length
    assert parse_terms(enforcer, data) == terms
    open_ended = enforcer in ("AllowedCalldataEnforcer", "ExactCalldataEnforcer")
    if not open_ended:
        for other in (data[:-1], data + b"\0", b""):
            assert code_of(parse_terms, enforcer, other) == "delegation-terms"


def test_every_understood_enforcer_has_a_sample() -> None:
    assert {enforcer for _, enforcer, _ in TERMS.values()} == ENFORCERS == METAMASK.enforcers.keys()
    assert len(set(METAMASK.enforcers.values())) == len(ENFORCERS)


@pytest.mark.parametrize(
    ("enforcer", "data"),
    [
        ("AllowedCalldataEnforcer", bytes(32)),
        ("ERC20PeriodTransferEnforcer", USDC + bytes(96)),
        ("NativeTokenStreamingEnforcer", bytes(128)),
        ("NativeTokenStreamingEnforcer", (5).to_bytes(32, "big") * 4),
        ("ApprovalRevocationEnforcer", b"\0"),
        ("ApprovalRevocationEnforcer", b"\x40"),
    ],
)
def test_terms_without_meaning_are_refused(enforcer: str, data: bytes) -> None:
    assert code_of(parse_terms, enforcer, data) == "delegation-terms"


@pytest.mark.parametrize("enforcer", ["OwnershipTransferEnforcer", "LogicalOrWrapperEnforcer", ""])
def test_enforcers_that_are_not_understood_have_no_terms(enforcer: str) -> None:
    assert code_of(parse_terms, enforcer, bytes(20)) == "delegation-enforcer"


def test_context_is_written_and_read() -> None:
    root = SignedDelegation(delegation(), b"\x12" * 65)
    link = SignedDelegation(
        delegation(delegator=EXECUTOR, delegate=PAYEE, authority=delegation().hash), b"", (b"\0",) * 5
    )
    for chain in ([root], [link, root]):
        found = parse_context("0x" + encode_context(chain).hex())
        assert [each.delegation for each in found] == [each.delegation for each in chain]
        assert [each.signature for each in found] == [each.signature for each in chain]
    assert found[0].arguments == (b"\0",) * 5
    assert disable_call(delegation())[:4] == B("49934047")


def test_context_that_is_encoded_otherwise_is_refused() -> None:
    good = encode_context([SignedDelegation(delegation(), b"\x12" * 65)])
    for bad in (good[:-32], good + bytes(32), good[:-1] + b"\x01", b"", encode_context([])):
        assert code_of(parse_context, "0x" + bad.hex()) == "delegation-context"
    for value in (None, good, good.hex(), "0x1"):
        assert code_of(parse_context, value) == "delegation-context"


def test_format_is_bounded() -> None:
    link = SignedDelegation(delegation(), b"")
    assert len(parse_context("0x" + encode_context([link] * MAX_CHAIN_LINKS).hex())) == MAX_CHAIN_LINKS
    assert code_of(parse_context, "0x" + encode_context([link] * (MAX_CHAIN_LINKS + 1)).hex()) == "delegation-context"
    assert code_of(parse_context, "0x" + "00" * (MAX_CONTEXT_BYTES + 1)) == "delegation-context"
    signature = bytes(MAX_CONTEXT_BYTES - len(encode_context([link])))
    fitting = encode_context([SignedDelegation(delegation(), signature)])
    assert len(fitting) == MAX_CONTEXT_BYTES
    assert parse_context("0x" + fitting.hex())[0].signature == signature
    caveat = Caveat(USDC, bytes(MAX_TERMS_BYTES))
    assert len(delegation(*[caveat] * MAX_CAVEATS).caveats) == MAX_CAVEATS
    assert code_of(delegation, *[caveat] * (MAX_CAVEATS + 1)) == "delegation-caveats"
    assert code_of(Caveat, USDC, bytes(MAX_TERMS_BYTES + 1)) == "delegation-terms"
    assert code_of(Caveat, USDC[1:], b"") == "delegation-enforcer"
    assert code_of(delegation, salt=2**256) == "delegation-salt"
    assert code_of(delegation, authority=b"") == "delegation-parties"
    assert issubclass(DelegationError, EvmError)
