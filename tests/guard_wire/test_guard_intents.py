"""What a guard makes of an intent by itself: a bundle or intent that differs in any one field is signed by nobody.

All sub-types of transactions, and all intents that sign, for wallets of both generations.
"""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import coincurve
import pytest

from enclave.guard.intent_request import parse_intent_request, sign_request_of
from evm.address import Address, address_from_public_key, checksum
from evm.errors import EvmError
from evm.intents.bundle import Bundle, bundle_of
from evm.intents.names import parse_intent_data
from evm.intents.shown_wallet import ShownWallet, ShownWalletV2, ShownWalletV3
from evm.intents.signable import Signing, signable
from evm.intents.user_wallet import ChildWalletV2, UserWallet, WalletV3
from evm.wallet.configuration import Configuration
from evm.wallet.context import DEFAULT_CONTEXT
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.payload import BehaviorOnError, Call
from evm.wallet.topology import Branch, SignerLeaf
from tests.evm_intents.samples import DATA, NOW_S, TRANSACTIONS, K1Key, R1Key, received, signed, unsigned

KEY = coincurve.PrivateKey(b"\x51" * 32)
INSTRUMENT = address_from_public_key(KEY.public_key.format(compressed=False))
GUARD = Address(b"\x52" * 20)
TREE = Branch(SignerLeaf(INSTRUMENT, 1), SignerLeaf(GUARD, 1))
V3 = ShownWalletV3(Configuration(2, 0, TREE), DEFAULT_CONTEXT)
V2 = ShownWalletV2(V2Configuration(2, 0, TREE), "123|0xab", b"\x53" * 32)
SHOWN: dict[str, ShownWallet] = {"third generation": V3, "second generation": V2}
SIGNING = ("signMessage", "signTypedData", "sessionAuthProof", "adoptChildWallet")
SIGNED = [(generation, name) for generation in SHOWN for name in (*TRANSACTIONS, *SIGNING)]
SIGNED.remove(("third generation", "adoptChildWallet"))
ONE_MORE = {"type": "transaction", "to": checksum(GUARD), "value": "99", "data": "0x"}
NOT_IN_V2 = ("only_fallback",)


def wallet_of(shown: ShownWallet) -> UserWallet:
    if isinstance(shown, ShownWalletV2):
        return shown.verify(GUARD)[0]
    return WalletV3(DEFAULT_CONTEXT.wallet_address(shown.configuration.image_hash))


def sign(digest: bytes) -> str:
    made = KEY.sign_recoverable(digest, hasher=None)
    return "0x" + (made[:64] + bytes([27 + made[64]])).hex()


def envelope(shown: ShownWallet, name: str, data: dict[str, Any], key: K1Key | R1Key | None = None) -> dict[str, Any]:
    whole = {**data, "wallet": checksum(wallet_of(shown).address)}
    return signed(unsigned(name, whole), key)


def judged(shown: ShownWallet, intent: dict[str, Any], digest: bytes) -> tuple[Address, ...] | str:
    """Who has signed in the guard's eyes, or with what it refuses."""
    request = {"intent": intent, "wallet": shown.as_json(), "signature": sign(digest)}
    try:
        asked = parse_intent_request(received(request), NOW_S)
        return tuple(Address(bytes(by)) for by in sign_request_of(asked, GUARD).cosigners)
    except EvmError as error:
        return error.code


def digest_of(shown: ShownWallet, intent: dict[str, Any]) -> bytes:
    data: Any = parse_intent_data(intent["name"], received(intent["data"]))
    found: Signing = data
    return signable(found, wallet_of(shown), intent["signatures"][0]["sessionId"], NOW_S).digest


def sending(shown: ShownWallet, name: str) -> dict[str, Any]:
    data = {"network": "137", "identifier": "test", "transactions": [TRANSACTIONS[name], ONE_MORE]}
    return envelope(shown, "sendTransaction", data)


def bundle_for(intent: dict[str, Any]) -> Bundle:
    data: Any = parse_intent_data("sendTransaction", received(intent["data"]))
    return bundle_of(data)


def bundle_digest_for(shown: ShownWallet, bundle: Bundle) -> bytes:
    if isinstance(shown, ShownWalletV2):
        wallet = wallet_of(shown)
        assert isinstance(wallet, ChildWalletV2)
        return replace(wallet, address=bundle.wallet).digest(bundle.chain_id, bundle.legacy_digest)
    return bundle.operation.digest


def other(value: Any) -> Any:
    """Another value of the same kind."""
    match value:
        case BehaviorOnError():
            return BehaviorOnError.IGNORE
        case bool():
            return not value
        case int():
            return value + 1
        case bytes():
            return Address(value[:-1] + bytes([value[-1] ^ 1])) if len(value) == 20 else value + b"\x00"
    raise AssertionError(value)


def mutated_calls(calls: tuple[Call, ...]) -> Iterator[tuple[str, tuple[Call, ...]]]:
    for number, call in enumerate(calls):
        for field in fields(call):
            changed = replace(call, **{field.name: other(getattr(call, field.name))})
            yield f"call {number} {field.name}", (*calls[:number], changed, *calls[number + 1 :])
        yield f"without call {number}", calls[:number] + calls[number + 1 :]
    yield "one call more", (*calls, calls[0])
    if len(calls) > 1:
        yield "calls in another order", calls[::-1]


def mutated(bundle: Bundle) -> Iterator[tuple[str, Bundle]]:
    for name in ("chain_id", "wallet", "space", "nonce"):
        yield name, replace(bundle, **{name: other(getattr(bundle, name))})
    for name, calls in mutated_calls(bundle.calls):
        yield name, replace(bundle, calls=calls)


@pytest.mark.parametrize("generation", SHOWN)
@pytest.mark.parametrize("name", TRANSACTIONS)
def test_bundle_that_differs_in_one_field_was_signed_by_nobody(generation: str, name: str) -> None:
    shown = SHOWN[generation]
    intent = sending(shown, name)
    bundle = bundle_for(intent)
    assert judged(shown, intent, bundle_digest_for(shown, bundle)) == (INSTRUMENT,)
    seen = 0
    for what, changed in mutated(bundle):
        if generation == "second generation" and what.rpartition(" ")[2] in NOT_IN_V2:
            continue  # that generation has no such call
        found = judged(shown, intent, bundle_digest_for(shown, changed))
        assert found != (INSTRUMENT,), what
        assert isinstance(found, tuple) or found == "guard-signature", what
        seen += 1
    assert seen > 18


def leaves(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, (*way, name))
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from leaves(member, (*way, number))
    else:
        yield way


def with_another(value: Any, way: tuple[Any, ...]) -> Any:
    changed = json.loads(json.dumps(value))
    place = changed
    for step in way[:-1]:
        place = place[step]
    found = place[way[-1]]
    place[way[-1]] = (not found) if isinstance(found, bool) else found + 1 if isinstance(found, int) else found + "0"
    return changed


@pytest.mark.parametrize(("generation", "name"), SIGNED)
@pytest.mark.parametrize("key", [K1Key(), R1Key()], ids=["k1", "r1"])
def test_intent_that_differs_in_one_field_was_signed_by_nobody(generation: str, name: str, key: K1Key | R1Key) -> None:
    shown = SHOWN[generation]
    if name in TRANSACTIONS:
        data = {"network": "137", "identifier": "test", "transactions": [TRANSACTIONS[name]]}
        intent = envelope(shown, "sendTransaction", data, key)
    else:
        intent = envelope(shown, name, DATA[name], key)
    digest = digest_of(shown, intent)
    assert judged(shown, intent, digest) == (INSTRUMENT,)
    body = {name: member for name, member in intent.items() if name != "signatures"}
    ways = list(leaves(body))
    assert len(ways) > 6
    for way in ways:
        changed = {**with_another(body, way), "signatures": intent["signatures"]}
        assert isinstance(judged(shown, changed, digest), str), way


def test_wallet_that_is_shown_with_another_parent_or_user_is_another_wallet() -> None:
    """What the instrument shows decides whose wallet it is: none but the one that the intent names.

    A configuration of the third generation is held to the wallet's address where it is registered.
    """
    intent = sending(V2, "erc20send")
    digest = digest_of(V2, intent)
    stranger = Branch(SignerLeaf(Address(b"\x54" * 20), 1), SignerLeaf(GUARD, 1))
    assert judged(replace(V2, parent=V2Configuration(2, 0, stranger)), intent, digest) == "intent-wallet"
    for changed in (
        replace(V2, parent=V2Configuration(2, 1, TREE)),
        replace(V2, user="123|0xac"),
        replace(V2, user_salt=b"\x55" * 32),
    ):
        assert judged(changed, intent, digest) == "intent-wallet"
    assert judged(replace(V2, parent=V2Configuration(1, 0, TREE)), intent, digest) == "intent-parent-threshold"
