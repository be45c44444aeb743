"""What the tests of this package share: keys, a session that may spend tokens, payloads signed for it, strategies."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import coincurve
import pytest
from hypothesis import strategies as st

from evm.address import Address, address_from_public_key
from evm.signature import Signature, parse_recoverable
from evm.wallet.attestation import (
    IDENTITY_TYPE_OIDC,
    Attestation,
    AuthData,
    SignedAttestation,
    verify_attestation,
)
from evm.wallet.compact import to_compact
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation, operation_hash
from evm.wallet.payload import Call, CallsPayload
from evm.wallet.sessions.assembly import CallSigned, ExplicitCallSignature, ImplicitCallSignature, assemble
from evm.wallet.sessions.call_hash import call_hash
from evm.wallet.sessions.chain_state import SESSION_MANAGER, ChainState
from evm.wallet.sessions.configuration import (
    Blacklist,
    Branch,
    IdentitySigner,
    Node,
    Tree,
    add,
    image_hash,
    new_tree,
)
from evm.wallet.sessions.permission import ParameterOperation, ParameterRule, Permission, SessionPermissions
from evm.wallet.sessions.session_manager import VerifiedSession, verify_session
from evm.wallet.sessions.session_sig import SessionSignature, parse_session_signature
from evm.wallet.sessions.usage_limits import UsageLimit, encode_increment

WALLET, TOKEN, DAPP, BOB = (Address(bytes([digit]) * 20) for digit in (0xAA, 0x70, 0xDA, 0xB0))
CHAIN_ID, NOW_S = 137, 1_750_000_000
TRANSFER, APPROVE = bytes.fromhex("a9059cbb"), bytes.fromhex("095ea7b3")
SELECTOR_MASK = 0xFFFFFFFF << 224


class Key:
    """A secp256k1 key and its address."""

    def __init__(self, number: int) -> None:
        self._key = coincurve.PrivateKey(bytes([number]) * 32)
        self.address = address_from_public_key(self._key.public_key.format(compressed=False))

    def sign(self, digest: bytes) -> Signature:
        return parse_recoverable(self._key.sign_recoverable(digest, hasher=None))


IDENTITY, APP, OTHER, STRANGER = (Key(number) for number in (11, 12, 13, 14))


def calldata(selector: bytes, *words: int | bytes) -> bytes:
    return selector + b"".join(
        word.to_bytes(32, "big") if isinstance(word, int) else word.rjust(32, b"\0") for word in words
    )


def transfer(amount: int, **changes: Any) -> Call:
    return Call(TOKEN, data=calldata(TRANSFER, BOB, amount), **changes)


def selector_rule(selector: bytes) -> ParameterRule:
    return ParameterRule(ParameterOperation.EQUAL, int.from_bytes(selector, "big") << 224, 0, SELECTOR_MASK)


def at_most(value: int, offset: int = 36, *, cumulative: bool = True, mask: int = 2**256 - 1) -> ParameterRule:
    return ParameterRule(ParameterOperation.LESS_THAN_OR_EQUAL, value, offset, mask, cumulative)


SPEND = Permission(TOKEN, (selector_rule(TRANSFER), at_most(1000)))
ANY = Permission(DAPP)


def session(key: Key = APP, **changes: Any) -> SessionPermissions:
    """May transfer 1000 of the token in all, call the application as it likes, and send 10 wei."""
    fields = {"chain_id": CHAIN_ID, "value_limit": 10, "deadline": NOW_S, "permissions": (SPEND, ANY), **changes}
    return SessionPermissions(key.address, **fields)


def tree(*sessions: SessionPermissions, blacklist: Sequence[Address] = ()) -> Tree:
    found = new_tree([IDENTITY.address], blacklist)
    for each in sessions or (session(),):
        found = add(found, each)
    return found


def attestation(key: Key = APP, **changes: Any) -> Attestation:
    fields: dict[str, Any] = {
        "approved_signer": key.address,
        "identity_type": IDENTITY_TYPE_OIDC,
        "issuer_hash": b"\x01" * 32,
        "audience_hash": b"\x02" * 32,
        "application_data": b"data",
        "auth_data": AuthData("https://dapp.example/", NOW_S - 60),
        **changes,
    }
    return Attestation(**fields)


def attested(found: Attestation | None = None, by: Key = IDENTITY) -> SignedAttestation:
    found = found or attestation()
    return verify_attestation(found, by.sign(found.hash), by.address)


def explicit(
    payload: CallsPayload, index: int, permission: int, key: Key = APP, chain_id: int = CHAIN_ID
) -> CallSigned:
    digest = call_hash(operation_hash(payload, WALLET, chain_id), index)
    return ExplicitCallSignature(key.address, permission, key.sign(digest))


def implicit(payload: CallsPayload, index: int, key: Key = APP, by: SignedAttestation | None = None) -> CallSigned:
    return ImplicitCallSignature(
        by or attested(), key.sign(call_hash(operation_hash(payload, WALLET, CHAIN_ID), index))
    )


def signed(payload: CallsPayload, *permissions: int, of: Tree | None = None, key: Key = APP) -> SessionSignature:
    """Each call signed by one key, under the permission of this index."""
    calls = [explicit(payload, index, permission, key) for index, permission in enumerate(permissions)]
    return assemble(of or tree(), calls)


def increment(*limits: tuple[bytes, int], **changes: Any) -> Call:
    data = encode_increment([UsageLimit(usage_hash, amount) for usage_hash, amount in limits])
    return Call(SESSION_MANAGER, **{"data": data, **changes})


def state(usage: Mapping[bytes, int] = MappingProxyType({}), **changes: Any) -> ChainState:
    return ChainState(**{"chain_id": CHAIN_ID, "timestamp_s": NOW_S, "usage": usage, **changes})


@contextmanager
def refused(reason: str | None, code: str = "wallet-") -> Iterator[None]:
    """Expects a refusal with the contract's reason, and a code that begins like this."""
    with pytest.raises(WalletError) as found:
        yield
    assert (found.value.reason, found.value.code.startswith(code)) == (reason, True)


CALL = Call(DAPP, data=b"\xde\xad\xbe\xef")


def check(signature: SessionSignature, payload: Any, *, of: Tree | None = None, **changes: Any) -> VerifiedSession:
    """Verified from its bytes, as a contract would get it."""
    operation = Operation(payload, WALLET, CHAIN_ID)
    verified = verify_session(parse_session_signature(signature.encoded), operation, state(**changes))
    assert verified.image_hash == image_hash(of or tree())
    return verified


ADDRESSES = st.binary(min_size=20, max_size=20).filter(any).map(Address)
WORDS = st.integers(0, 2**256 - 1)
RULES = st.builds(ParameterRule, st.sampled_from(ParameterOperation), WORDS, WORDS, WORDS, st.booleans())
PERMISSIONS = st.builds(Permission, ADDRESSES, st.lists(RULES, max_size=3).map(tuple))
SESSIONS = st.builds(
    SessionPermissions,
    ADDRESSES,
    WORDS,
    WORDS,
    st.integers(0, 2**64 - 1),
    st.lists(PERMISSIONS, max_size=3).map(tuple),
)
LEAVES = st.one_of(
    SESSIONS,
    st.builds(Blacklist, st.lists(ADDRESSES, max_size=20).map(lambda found: tuple(sorted(found)))),
    st.builds(IdentitySigner, ADDRESSES),
    st.builds(Node, st.binary(min_size=32, max_size=32).filter(any)),
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, min_size=2, max_size=3).map(lambda found: Branch(tuple(found))), max_leaves=12
)


def compact_of(digest: bytes, key: Key = APP) -> bytes:
    """The key's signature in 64 bytes."""
    return to_compact(key.sign(digest))
