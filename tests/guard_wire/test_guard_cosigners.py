"""Passkeys, session keys and contracts among those who sign beside the guard: who counts, as whom, and why not."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from enclave.guard.limits import MAX_WALLET_MODULES
from evm.address import Address, checksum, parse_address
from evm.fields import UINT256_MAX
from evm.signature import parse_signature
from evm.wallet.attestation import verify_attestation
from evm.wallet.configuration import Configuration
from evm.wallet.configuration_json import configuration_to_json
from evm.wallet.context import EXTENSIONS
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.passkeys.public_key import PasskeyPublicKey
from evm.wallet.passkeys.signature import encode_passkey_signature, passkey_signature
from evm.wallet.payload import Call, CallsPayload, ConfigUpdatePayload
from evm.wallet.sessions.assembly import CallSigned, ExplicitCallSignature, ImplicitCallSignature, assemble
from evm.wallet.sessions.call_hash import call_hash
from evm.wallet.sessions.chain_state import SESSION_MANAGER, ChainState
from evm.wallet.sessions.configuration import add, image_hash, new_tree
from evm.wallet.sessions.explicit import PlannedCall, increment_call
from evm.wallet.sessions.permission import ParameterOperation, ParameterRule, Permission, SessionPermissions
from evm.wallet.sessions.session_manager import SessionManager
from evm.wallet.sessions.usage_limits import UsageLimit, encode_increment
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import key_signature, sapient_signature
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.merging import assemble as assemble_wallet
from evm.wallet.signature.verifying import verify_signature
from evm.wallet.topology import Branch, NestedLeaf, SapientLeaf, SignerLeaf, Topology
from tests.enclave_guard.guard_rules import DOCUMENT, PAYROLL, STRANGER, USD
from tests.evm_effects.made import THIEF, calldata
from tests.evm_wallet_sessions.samples import APP, IDENTITY, OTHER, Key, attestation
from tests.guard_wire.guard_world import (
    CHAIN,
    OWNER,
    GuardWorld,
    RefusedByGuard,
    approval,
    hash_signature,
    request_for,
    said,
)

PASSKEYS: Final = EXTENSIONS["Rc5"].passkeys
SELECTOR_MASK: Final = 0xFFFFFFFF << 224
SPENDING: Final = 10_000 * 10**6
SESSION_BUDGET: Final = {"id": "session-day", "asset": "usd", "per": "session", "window_s": 86400, "at_most": "100"}
PERMITTED: Final = {"id": "managers", "decision": "allow", "effects": ["nested"],
                    "contracts": [checksum(SESSION_MANAGER)]}  # fmt: skip


class Passkey:
    """A P-256 key, as an authenticator holds it."""

    def __init__(self, number: int) -> None:
        self._key = ec.derive_private_key(number, ec.SECP256R1())
        point = self._key.public_key().public_numbers()
        self.public = PasskeyPublicKey(point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big"), True)

    def sign(self, digest: bytes) -> bytes:
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        client = f'{{"type":"webauthn.get","challenge":"{challenge}"}}'.encode()
        data = bytes(32) + b"\x05" + bytes(4)
        r, s = decode_dss_signature(self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256())))
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        words = (r.to_bytes(32, "big"), min(s, order - s).to_bytes(32, "big"))
        return encode_passkey_signature(passkey_signature(self.public, data, client, *words))


PASSKEY, LOST = Passkey(7), Passkey(8)


def spending(key: Key = APP, deadline: int = 2**40, chain_id: int = CHAIN) -> SessionPermissions:
    """A session that may pay 10,000 of the token in all."""
    selector = int.from_bytes(transfer(1)[:4].ljust(32, b"\0"), "big")
    rules = (
        ParameterRule(ParameterOperation.EQUAL, selector, 0, SELECTOR_MASK),
        ParameterRule(ParameterOperation.LESS_THAN_OR_EQUAL, SPENDING, 36, UINT256_MAX, cumulative=True),
    )
    return SessionPermissions(key.address, chain_id, 0, deadline, (Permission(USD, rules),))


def transfer(amount: int, to: Address = PAYROLL) -> bytes:
    return calldata("transfer(address,uint256)", to, amount)


TREE: Final = add(add(new_tree([IDENTITY.address], ()), spending()), spending(OTHER))


class Guarded:
    """A wallet of one owner, a passkey and two sessions, each beside the guard, that the guard knows."""

    def __init__(self, guard: GuardWorld, own: Address) -> None:
        self.guard = guard
        login = Branch(SignerLeaf(parse_address(OWNER.address), 1), SapientLeaf(PASSKEYS, 1, PASSKEY.public.root))
        sessions = NestedLeaf(Branch(SapientLeaf(SESSION_MANAGER, 1, image_hash(TREE)), SignerLeaf(own, 1)), 255, 2)
        guarded = Branch(NestedLeaf(login, 1, 1), SignerLeaf(own, 1))
        self.configuration = Configuration(2, 0, Branch(guarded, sessions))

    async def register(self) -> "Guarded":
        asked = {"configuration": configuration_to_json(self.configuration)}
        self.wallet = parse_address((await self.guard.ask("Register", asked, "GuardWallets"))["address"])
        return self

    def request(self, payload: Any, *signatures: dict[str, str], **changes: Any) -> dict[str, Any]:
        return request_for(payload, wallet=self.wallet, **changes) | {"signatures": list(signatures)}

    def operation(self, payload: Any) -> Operation:
        return Operation(payload, self.wallet, CHAIN)

    def by_passkey(self, payload: Any, key: Passkey = PASSKEY, **changes: str) -> dict[str, str]:
        data = key.sign(self.operation(payload).digest)
        return sapient(PASSKEYS, key.public.root, data) | changes

    def planned(self, *calls: Call, key: Key = APP, usage: dict[bytes, int] | None = None) -> CallsPayload:
        """The calls behind the one that writes down what they use."""
        session, state = spending(key), ChainState(CHAIN, 1, usage or {})
        first = increment_call([PlannedCall(call, session, 0) for call in calls], key.address, state)
        assert first is not None
        return CallsPayload((first, *calls))

    def session_data(self, payload: CallsPayload, key: Key = APP) -> bytes:
        digest = self.operation(payload).digest
        signed: list[CallSigned] = [
            ExplicitCallSignature(key.address, 0, key.sign(call_hash(digest, index)))
            for index in range(len(payload.calls))
        ]
        return assemble(TREE, signed).encoded

    def by_session(self, payload: CallsPayload, key: Key = APP) -> dict[str, str]:
        return sapient(SESSION_MANAGER, image_hash(TREE), self.session_data(payload, key))


def sapient(module: Address, root: bytes, data: bytes) -> dict[str, str]:
    return {"address": checksum(module), "type": "Sapient", "imageHash": "0x" + root.hex(), "data": "0x" + data.hex()}


@pytest.fixture
async def guard(pki_folder: Path) -> AsyncIterator[GuardWorld]:
    made = GuardWorld(pki_folder, budgets=[*DOCUMENT["budgets"], SESSION_BUDGET], rules=[*DOCUMENT["rules"], PERMITTED])
    await made.boot()
    yield made
    await made.stop()


@pytest.fixture
async def guarded(guard: GuardWorld) -> Guarded:
    return await Guarded(guard, await guard.address()).register()


async def refused(asking: Any) -> str:
    with pytest.raises(RefusedByGuard) as caught:
        await asking
    return caught.value.cause


PAYMENT: Final = CallsPayload((Call(USD, data=transfer(5)),))


async def askers(guard: GuardWorld) -> list[str]:
    """Who is named as the session in the recorded decisions."""
    document = (await guard.ask("Get", {}, "GuardRules"))["document"].encode()
    read = {"approval": approval(0, said("read guard decisions", document, 1))}
    lines = (await guard.ask("Decisions", read, "GuardRules"))["lines"]
    return [json.loads(line)["session"] for line in lines]


async def test_a_passkey_counts_as_itself(guarded: Guarded) -> None:
    await guarded.guard.sign(guarded.request(PAYMENT, guarded.by_passkey(PAYMENT)))
    assert (await askers(guarded.guard))[-1] == f"passkey 0x{PASSKEY.public.root.hex()}"


async def test_a_passkey_that_is_not_the_wallets_or_signed_something_else_does_not_count(guarded: Guarded) -> None:
    other = CallsPayload(PAYMENT.calls, nonce=1)
    for signature, why in (
        (guarded.by_passkey(PAYMENT, LOST), "unregistered"),
        (guarded.by_passkey(PAYMENT, LOST, imageHash="0x" + PASSKEY.public.root.hex()), "image-hash"),
        (guarded.by_passkey(other), "wallet-passkey-challenge"),
        (guarded.by_passkey(PAYMENT, address=checksum(STRANGER)), "unregistered"),
        (guarded.by_passkey(PAYMENT, imageHash=""), "unregistered"),
    ):
        assert await refused(guarded.guard.sign(guarded.request(PAYMENT, signature))) == f"guard:unsigned:{why}"


async def test_a_session_key_counts_by_its_address_and_has_a_budget_of_its_own(guarded: Guarded) -> None:
    sixty = Call(USD, data=transfer(60 * 10**6))
    payload = guarded.planned(sixty)
    await guarded.guard.sign(guarded.request(payload, guarded.by_session(payload)))
    assert (await askers(guarded.guard))[-1] == checksum(APP.address)
    again = await refused(guarded.guard.sign(guarded.request(payload, guarded.by_session(payload))))
    assert again == "guard:deny:budget:session-day"
    others = guarded.planned(sixty, key=OTHER)
    await guarded.guard.sign(guarded.request(others, guarded.by_session(others, OTHER)))


async def test_a_session_goes_on_from_what_it_has_used(guarded: Guarded) -> None:
    usage = {spending().permissions[0].usage_hash(APP.address, 1): 9_000 * 10**6}
    payload = guarded.planned(Call(USD, data=transfer(50 * 10**6)), usage=usage)
    await guarded.guard.sign(guarded.request(payload, guarded.by_session(payload)))
    SessionManager(ChainState(CHAIN, 1, usage)).recover(guarded.operation(payload), guarded.session_data(payload))


async def test_a_session_that_claims_to_have_used_less_gets_what_the_chain_refuses(guarded: Guarded) -> None:
    payload = guarded.planned(Call(USD, data=transfer(50 * 10**6)))
    await guarded.guard.sign(guarded.request(payload, guarded.by_session(payload)))
    usage = {spending().permissions[0].usage_hash(APP.address, 1): 9_990 * 10**6}
    with pytest.raises(WalletError):
        SessionManager(ChainState(CHAIN, 1, usage)).recover(guarded.operation(payload), guarded.session_data(payload))


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ([Call(USD, data=transfer(SPENDING + 1))], "wallet-session-permission-rule"),
        ([Call(USD, data=transfer(SPENDING)), Call(USD, data=transfer(1))], "wallet-session-permission-rule"),
        ([Call(USD, data=calldata("approve(address,uint256)", PAYROLL, 1))], "wallet-session-permission-rule"),
        ([Call(STRANGER, data=transfer(1))], "wallet-session-permission-target"),
        ([Call(USD, 1, transfer(1))], "wallet-session-value-limit"),
        ([Call(USD, data=transfer(1), delegate_call=True)], "wallet-session-delegate-call"),
    ],
)
async def test_what_a_session_may_not_do_makes_nobody_count(guarded: Guarded, calls: list[Call], why: str) -> None:
    hash_ = spending().permissions[0].usage_hash(APP.address, 1)
    used = sum(int.from_bytes(call.data[36:68], "big") for call in calls)
    first = Call(SESSION_MANAGER, data=encode_increment([UsageLimit(hash_, used)]))
    payload = CallsPayload((first, *calls))
    cause = await refused(guarded.guard.sign(guarded.request(payload, guarded.by_session(payload))))
    assert cause == f"guard:unsigned:{why}"


async def test_a_session_that_nobody_registered_or_that_signed_something_else_does_not_count(guarded: Guarded) -> None:
    stranger = Key(99)
    payload = guarded.planned(Call(USD, data=transfer(5)), key=stranger)
    tree = add(new_tree([IDENTITY.address], ()), spending(stranger))
    own = [ExplicitCallSignature(stranger.address, 0, stranger.sign(call_hash(guarded.operation(payload).digest, at)))
           for at in range(2)]  # fmt: skip
    made_up = sapient(SESSION_MANAGER, image_hash(tree), assemble(tree, own).encoded)
    assert await refused(guarded.guard.sign(guarded.request(payload, made_up))) == "guard:unsigned:unregistered"
    made_up["imageHash"] = "0x" + image_hash(TREE).hex()
    assert await refused(guarded.guard.sign(guarded.request(payload, made_up))) == "guard:unsigned:image-hash"
    payload, moved = guarded.planned(Call(USD, data=transfer(5))), guarded.planned(Call(USD, data=transfer(6)))
    listed = guarded.by_session(payload)
    assert await refused(guarded.guard.sign(guarded.request(moved, listed))) == "guard:unsigned:wallet-session-signer"


async def test_a_session_that_has_ended_does_not_count(guard: GuardWorld) -> None:
    guarded = Guarded(guard, await guard.address())
    ended = add(new_tree([IDENTITY.address], ()), spending(deadline=1))
    sessions = SapientLeaf(SESSION_MANAGER, 2, image_hash(ended))
    guarded.configuration = Configuration(2, 0, Branch(guarded.configuration.topology, sessions))
    await guarded.register()
    payload = guarded.planned(Call(USD, data=transfer(5)))
    digest = guarded.operation(payload).digest
    calls = [ExplicitCallSignature(APP.address, 0, APP.sign(call_hash(digest, at))) for at in range(2)]
    listed = sapient(SESSION_MANAGER, image_hash(ended), assemble(ended, calls).encoded)
    assert await refused(guard.sign(guarded.request(payload, listed))) == "guard:unsigned:wallet-session-expired"


async def test_an_implicit_session_counts_by_the_key_that_its_identity_signer_attested(guarded: Guarded) -> None:
    key = Key(77)
    found = attestation(key)
    digest = guarded.operation(PAYMENT).digest
    for by, why in ((IDENTITY, ""), (OTHER, "wallet-session")):
        attested = verify_attestation(found, by.sign(found.hash), by.address)
        tree = TREE if by is IDENTITY else add(new_tree([by.address], ()), spending())
        calls = [ImplicitCallSignature(attested, key.sign(call_hash(digest, 0)))]
        listed = sapient(SESSION_MANAGER, image_hash(TREE), assemble(tree, calls).encoded)
        asked = guarded.guard.sign(guarded.request(PAYMENT, listed))
        if why:
            assert (await refused(asked)).startswith("guard:unsigned:")
        else:
            await asked
            assert (await askers(guarded.guard))[-1] == checksum(key.address)


async def test_contracts_whose_word_nobody_here_knows_do_not_count_and_do_not_harm(guarded: Guarded) -> None:
    owner = hash_signature(guarded.operation(PAYMENT).digest)
    recovery = EXTENSIONS["Rc5"].recovery
    for listed, why in (
        ({"address": OWNER.address, "type": "Erc1271", "data": "0x1234"}, "erc1271"),
        ({"address": OWNER.address, "type": "Erc1271", "data": "0x12" + "6492" * 16}, "erc6492"),
        (sapient(recovery, bytes(32), b"1234"), "unregistered"),
        (sapient(SESSION_MANAGER, image_hash(TREE), b"1234"), "wallet-session-signature-length"),
    ):
        cause = await refused(guarded.guard.sign(guarded.request(PAYMENT, listed)))
        assert cause == f"guard:unsigned:{why}"
        await guarded.guard.sign(guarded.request(PAYMENT, listed, owner))


async def test_sessions_of_a_later_configuration_count_once_the_guard_has_signed_the_update(pki_folder: Path) -> None:
    updates = [rule for rule in DOCUMENT["rules"] if rule["id"] != "no-control-change"]
    allow = {"id": "updates", "decision": "allow", "effects": ["account-change"], "counterparties": ["any"]}
    guard = GuardWorld(pki_folder, rules=[allow, *updates, PERMITTED])
    await guard.boot()
    try:
        guarded = await Guarded(guard, await guard.address()).register()
        key = Key(55)
        tree = add(TREE, spending(key))
        leaf = SapientLeaf(SESSION_MANAGER, 1, image_hash(tree))
        later = Configuration(2, 1, Branch(guarded.configuration.topology, leaf))
        payload = guarded.planned(Call(USD, data=transfer(5)), key=key)
        digest = guarded.operation(payload).digest
        calls = [ExplicitCallSignature(key.address, 0, key.sign(call_hash(digest, at))) for at in range(2)]
        listed = sapient(SESSION_MANAGER, image_hash(tree), assemble(tree, calls).encoded)
        assert await refused(guard.sign(guarded.request(payload, listed))) == "guard:unsigned:unregistered"
        update = ConfigUpdatePayload(later.image_hash)
        await guard.sign(guarded.request(update, hash_signature(guarded.operation(update).digest)))
        shown = {"configuration": configuration_to_json(later), "wallet": checksum(guarded.wallet)}
        await guard.ask("Register", shown, "GuardWallets")
        await guard.sign(guarded.request(payload, listed))
    finally:
        await guard.stop()


def balanced(leaves: list[Topology]) -> Topology:
    half = len(leaves) // 2
    return leaves[0] if len(leaves) == 1 else Branch(balanced(leaves[:half]), balanced(leaves[half:]))


async def test_of_many_modules_the_newest_count(guard: GuardWorld) -> None:
    guarded = Guarded(guard, await guard.address())
    keys = [Passkey(100 + number) for number in range(MAX_WALLET_MODULES + 1)]
    passkeys: list[Topology] = [SapientLeaf(PASSKEYS, 1, key.public.root) for key in keys]
    topology = Branch(SignerLeaf(await guard.address(), 1), balanced(passkeys))
    guarded.configuration = Configuration(2, 0, topology)
    await guarded.register()
    dropped = guarded.request(PAYMENT, guarded.by_passkey(PAYMENT, keys[0]))
    assert await refused(guard.sign(dropped)) == "guard:unsigned:unregistered"
    for key in (keys[1], keys[-1]):
        await guard.sign(guarded.request(PAYMENT, guarded.by_passkey(PAYMENT, key)))


class TwoKeys:
    """A session and the guard, of whom each is needed."""

    def __init__(self, guarded: Guarded, own: Address) -> None:
        self._guarded, self._own = guarded, own

    def verify(self, payload: CallsPayload, data: bytes | None, sig: str | None) -> None:
        """As the wallet's contract does; `WalletError` otherwise."""
        operation = self._guarded.operation(payload)
        leaves = []
        if data is not None:
            leaves.append(sapient_signature(SESSION_MANAGER, image_hash(TREE), data, compact=False))
        if sig is not None:
            leaves.append(key_signature(self._own, parse_signature(bytes.fromhex(sig[2:]))))
        configuration = self._guarded.configuration
        made = encode_signature(assemble_wallet(configuration, operation, leaves))
        known = KnownContracts(CHAIN, sapient={SESSION_MANAGER: SessionManager(ChainState(CHAIN, 1))})
        verify_signature(made, operation, configuration.image_hash, known)


async def test_a_session_and_the_guard_move_something_together_and_neither_does_alone(guarded: Guarded) -> None:
    own = await guarded.guard.address()
    both = TwoKeys(guarded, own)
    payload = guarded.planned(Call(USD, data=transfer(5)))
    data, listed = guarded.session_data(payload), guarded.by_session(payload)
    sig = await guarded.guard.sign(guarded.request(payload, listed))
    both.verify(payload, data, sig)
    for alone in ((data, None), (None, sig)):
        with pytest.raises(WalletError, match="weight"):
            both.verify(payload, *alone)


async def test_a_session_in_the_wrong_hands_gets_what_the_rules_allow_and_no_more(guarded: Guarded) -> None:
    """On the chain its permission would let it pay anybody."""
    theft = guarded.planned(Call(USD, data=transfer(5, THIEF)))
    cause = await refused(guarded.guard.sign(guarded.request(theft, guarded.by_session(theft))))
    assert cause == "guard:deny:thieves"
    with pytest.raises(WalletError, match="weight"):
        TwoKeys(guarded, await guarded.guard.address()).verify(theft, guarded.session_data(theft), None)
