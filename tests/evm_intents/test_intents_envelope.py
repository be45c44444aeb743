"""The envelope: who signed, over which canonical form, when; and everything that is refused."""

import hashlib
import json
from typing import Any

import pytest

from evm.errors import EvmError
from evm.intents.canonical import intent_hashes
from evm.intents.envelope import DRIFT_S, MAX_LIFETIME_S, MAX_SIGNATURES, MAX_VERSION_CHARS, verify_intent
from evm.intents.errors import IntentError
from evm.intents.names import KINDS, validate_session, validate_wallet
from evm.intents.session_key import parse_session_key
from evm.keccak import keccak256
from evm.signature import CURVE_ORDER
from evm.wallet.passkeys.verifying import P256_ORDER
from protocol import canonical_json
from protocol.errors import ProtocolError

from .samples import (
    DATA,
    FRIEND,
    NOW_S,
    SESSION,
    TYPED_DATA,
    WALLET,
    K1Key,
    Key,
    R1Key,
    parsed,
    refusal,
    signed,
    unsigned,
    verified,
)

MESSAGE = unsigned("signMessage", DATA["signMessage"])
KEYS: dict[str, Key] = {"browser k1": K1Key(), "typed k1": K1Key(typed=True), "r1": R1Key()}


def with_signature(signature: str, key: Key) -> dict[str, Any]:
    return {**MESSAGE, "signatures": [{"sessionId": key.id, "signature": signature}]}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("name", DATA)
def test_every_intent_is_read_and_verified_with_either_key(name: str, key: Key) -> None:
    found = verified(signed(unsigned(name, DATA[name]), key))
    assert (found.name, found.session.text) == (name, key.id)
    assert isinstance(found.data, KINDS[name])


def test_sample_data_names_every_intent_that_there_is() -> None:
    assert set(DATA) == set(KINDS)


@pytest.mark.parametrize("name", DATA)
def test_a_member_more_or_a_required_one_less_is_refused(name: str) -> None:
    assert refusal(signed(unsigned(name, {**DATA[name], "extra": "1"}))) == "intent-data-members"
    first = next(iter(DATA[name]))
    less = {member: value for member, value in DATA[name].items() if member != first}
    assert refusal(signed(unsigned(name, less))) == "intent-data-members"


def test_an_optional_member_may_be_null_and_a_required_one_may_not() -> None:
    assert verified(signed(unsigned("getIdToken", {**DATA["getIdToken"], "nonce": None}))).data.nonce is None  # type: ignore[union-attr]
    assert refusal(signed(unsigned("getIdToken", {**DATA["getIdToken"], "wallet": None}))) == "intent-data-wallet"


@pytest.mark.parametrize("member", ["version", "name", "issuedAt", "expiresAt", "data"])
def test_every_signed_member_is_under_the_signature(member: str) -> None:
    other: dict[str, Any] = {
        "version": "2",
        "name": "signTypedData",
        "issuedAt": NOW_S - 1,
        "expiresAt": NOW_S + 299,
        "data": {**DATA["signMessage"], "message": "0x12"},
    }
    changed = {**signed(MESSAGE), member: other[member]}
    if member == "name":
        changed["data"] = DATA["signTypedData"]
    assert refusal(changed) == "intent-signature"


@pytest.mark.parametrize("member", [*MESSAGE, "signatures"])
def test_members_of_the_envelope_are_exactly_six(member: str) -> None:
    assert refusal({name: value for name, value in signed(MESSAGE).items() if name != member}) == "intent-members"
    assert refusal({**signed(MESSAGE), "nonce": "1"}) == "intent-members"


def test_exactly_one_signature_counts() -> None:
    value = signed(MESSAGE)
    [one] = value["signatures"]
    assert refusal({**value, "signatures": []}) == "intent-unsigned"
    assert refusal({**value, "signatures": [one, one]}) == "intent-signatures"
    assert refusal({**value, "signatures": [one] * MAX_SIGNATURES}) == "intent-signatures"
    assert refusal({**value, "signatures": [one] * (MAX_SIGNATURES + 1)}) == "intent-signatures"
    assert refusal({**value, "signatures": [{**one, "alg": "x"}]}) == "intent-signature-members"


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_signature_of_another_key_is_refused(key: Key) -> None:
    stranger: Key = R1Key(8) if isinstance(key, R1Key) else K1Key(b"\x12" * 32)
    assert refusal(with_signature(stranger.sign(intent_hashes(MESSAGE)[0]), key)) == "intent-signature"


def test_either_recovery_byte_is_taken_and_no_other() -> None:
    key = K1Key()
    good = bytes.fromhex(key.sign(intent_hashes(MESSAGE)[0])[2:])
    for last, expected in [
        (good[64], "accepted"),
        (good[64] - 27, "accepted"),
        (2, "intent-signature"),
        (29, "intent-signature"),
    ]:
        assert refusal(with_signature("0x" + good[:64].hex() + bytes([last]).hex(), key)) == expected


def test_high_s_is_refused_of_secp256k1_and_taken_of_browsers() -> None:
    """WebCrypto makes either s; whatever counts uses must not count signatures, and `replay_id` does not."""
    k1, r1 = K1Key(), R1Key()
    low = bytes.fromhex(k1.sign(intent_hashes(MESSAGE)[0])[2:])
    s = int.from_bytes(low[32:64], "big")
    high = low[:32] + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([27 + (1 - (low[64] - 27))])
    assert refusal(with_signature("0x" + high.hex(), k1)) == "intent-signature"
    one = bytes.fromhex(r1.sign(intent_hashes(MESSAGE)[0])[2:])
    other = one[:32] + (P256_ORDER - int.from_bytes(one[32:], "big")).to_bytes(32, "big")
    found = [verified(with_signature("0x" + each.hex(), r1)) for each in (one, other)]
    assert found[0].replay_id == found[1].replay_id


@pytest.mark.parametrize(
    "signature", ["", "0x", "1234", "0x" + "00" * 64, "0x" + "00" * 65, "0x" + "11" * 66, "0xzz", 5]
)
@pytest.mark.parametrize("key", [K1Key(), R1Key()], ids=["k1", "r1"])
def test_malformed_signatures_are_refused(key: Key, signature: Any) -> None:
    assert refusal(with_signature(signature, key)) == "intent-signature"


@pytest.mark.parametrize("length", [63, 65])
def test_p256_signature_has_64_bytes(length: int) -> None:
    good = R1Key().sign(intent_hashes(MESSAGE)[0])
    assert refusal(with_signature((good + "00")[: 2 + 2 * length], R1Key())) == "intent-signature"


@pytest.mark.parametrize(
    "session",
    ["", "0x", "0x" + "11" * 19, "0x02" + "11" * 20, "0x01" + "11" * 20, "0x0103" + "11" * 64, "0x0104" + "11" * 63,
     "0x" + "11" * 66, SESSION[:-1], SESSION.replace("0x", "0X"), SESSION.swapcase().replace("0X", "0x"), None, 1],
)  # fmt: skip
def test_malformed_session_ids_are_refused(session: Any) -> None:
    with pytest.raises(EvmError) as refused:
        parse_session_key(session)
    assert refused.value.code in ("intent-session-id", "address-checksum")


def test_point_that_is_not_on_the_curve_signs_nothing() -> None:
    key = R1Key()
    off = key.id[:-2] + ("00" if key.id[-2:] != "00" else "01")
    value = with_signature(key.sign(intent_hashes(MESSAGE)[0]), key)
    value["signatures"][0]["sessionId"] = off
    assert refusal(value) == "intent-signature"


@pytest.mark.parametrize(
    ("now_s", "expected"),
    [
        (NOW_S, "accepted"),
        (NOW_S - DRIFT_S, "accepted"),
        (NOW_S - DRIFT_S - 1, "intent-future"),
        (NOW_S + 300 + DRIFT_S, "accepted"),
        (NOW_S + 300 + DRIFT_S + 1, "intent-expired"),
    ],
)
def test_intent_holds_from_issue_to_expiry_and_five_seconds_around(now_s: int, expected: str) -> None:
    assert refusal(signed(MESSAGE), now_s) == expected


def test_weakness_7_lifetime_is_bounded() -> None:
    longest = {**MESSAGE, "expiresAt": NOW_S + MAX_LIFETIME_S}
    assert refusal(signed(longest)) == "accepted"
    assert refusal(signed({**longest, "expiresAt": NOW_S + MAX_LIFETIME_S + 1})) == "intent-lifetime"
    assert refusal(signed({**MESSAGE, "issuedAt": NOW_S + 3, "expiresAt": NOW_S + 1})) == "intent-lifetime"
    assert refusal(signed({**MESSAGE, "issuedAt": 0})) == "intent-lifetime"


@pytest.mark.parametrize("time", [-1, 2**53, 1.5, "1800000000", True, None])
@pytest.mark.parametrize("member", ["issuedAt", "expiresAt"])
def test_times_are_integers_that_every_reader_keeps(member: str, time: Any) -> None:
    value = {**MESSAGE, member: time, "signatures": [{"sessionId": SESSION, "signature": "0x" + "11" * 65}]}
    assert refusal(value) == "intent-time"


def test_weakness_7_replays_are_recognized_in_every_spelling() -> None:
    """The same intent by the same key, in the other dialect or under the other form of the id, is the same."""
    text = "line\u001eend"
    value = unsigned("validateSession", {**DATA["validateSession"], "deviceMetadata": text})
    browser, service = intent_hashes(value)
    assert browser != service
    found = [verified(signed(value, key, form=form)) for form in (0, 1) for key in (K1Key(), K1Key(typed=True))]
    assert len({each.replay_id for each in found}) == 1
    assert found[0].forget_at_s > NOW_S + 300 + DRIFT_S
    assert verified(signed(value, R1Key())).replay_id != found[0].replay_id
    assert verified(signed({**value, "expiresAt": NOW_S + 299})).replay_id != found[0].replay_id


def test_dialects_differ_in_control_characters_and_in_order_beyond_the_basic_plane() -> None:
    control = {"a": "\u001f\\u001f\b"}
    browser, service = intent_hashes(control)
    assert browser == keccak256(b'{"a":"\\u001f\\\\u001f\\b"}')
    assert service == keccak256(b'{"a":"\\u001F\\\\u001f\\b"}')
    order = {"\U00010000": "1", "\uffee": "2"}
    browser, service = intent_hashes(order)
    assert browser == keccak256('{"\U00010000":"1","\uffee":"2"}'.encode())
    assert service == keccak256('{"\uffee":"2","\U00010000":"1"}'.encode())
    assert len(intent_hashes({"b": "ä\u007f", "a": [1, True, None]})) == 1


@pytest.mark.parametrize("number", [1.5, 2**53, -(2**53), 1e21])
def test_numbers_that_readers_read_differently_are_refused(number: float) -> None:
    value = unsigned("signTypedData", DATA["signTypedData"])
    message = {**TYPED_DATA["message"], "to": number}
    value["data"] = {**value["data"], "typedData": {**TYPED_DATA, "message": message}}
    with pytest.raises(IntentError, match="intent-number"):
        intent_hashes(json.loads(json.dumps(value), parse_int=float if abs(number) >= 2**53 else int))
    signature = [{"sessionId": SESSION, "signature": "0x"}]
    assert refusal({**value, "signatures": signature}) in ("intent-number", "typed-address")


def test_duplicate_members_never_reach_the_codec() -> None:
    text = json.dumps(signed(MESSAGE)).replace('"version":', '"version": "2", "version":')
    with pytest.raises(ProtocolError, match="json-duplicate-key"):
        canonical_json.parse(text.encode())


@pytest.mark.parametrize("version", ["", "é", "a\n", "x" * (MAX_VERSION_CHARS + 1), 1, None])
def test_version_is_short_text_that_shows(version: Any) -> None:
    value = {**MESSAGE, "version": version, "signatures": [{"sessionId": SESSION, "signature": "0x" + "11" * 65}]}
    assert refusal(value) == "intent-version"
    assert refusal(signed({**MESSAGE, "version": "x" * MAX_VERSION_CHARS})) == "accepted"
    assert refusal(signed({**MESSAGE, "version": "1 (Web 2.3.28)"})) == "accepted"


@pytest.mark.parametrize("name", ["", "signmessage", "deployContract", None, 5, []])
def test_names_that_do_not_exist_are_refused(name: Any) -> None:
    assert refusal({**signed(MESSAGE), "name": name}) == "intent-name"


@pytest.mark.parametrize("network", ["0", "0x0", "0x00", "", "-1", "polygon", "1.0", "01", str(2**63), 137, None])
@pytest.mark.parametrize("name", [name for name, data in DATA.items() if "network" in data])
def test_weakness_8_chain_0_and_what_is_no_chain_are_refused(name: str, network: Any) -> None:
    assert refusal(signed(unsigned(name, {**DATA[name], "network": network}))) == "intent-data-chain-id"


@pytest.mark.parametrize("name", [name for name, data in DATA.items() if "sessionId" in data])
def test_an_intent_speaks_of_its_signers_own_session(name: str) -> None:
    found = verified(signed(unsigned(name, DATA[name]), R1Key()))
    if name == "closeSession":
        return validate_session(found.data, found.session)
    with pytest.raises(IntentError) as refused:
        validate_session(found.data, found.session)
    assert refused.value.cause == "signing session and session to register must match"
    own = {**DATA[name], "sessionId": SESSION.lower()}
    found = verified(signed(unsigned(name, own)))
    return validate_session(found.data, found.session)


@pytest.mark.parametrize("name", [name for name, data in DATA.items() if "wallet" in data])
def test_weakness_1_an_intent_for_another_users_wallet_is_refused(name: str) -> None:
    found = verified(signed(unsigned(name, DATA[name])))
    validate_wallet(found.data, WALLET)
    stranger = {**DATA[name], "wallet": FRIEND}
    with pytest.raises(IntentError, match="intent-wallet"):
        validate_wallet(verified(signed(unsigned(name, stranger))).data, WALLET)


def test_refusals_end_with_the_words_that_clients_compare() -> None:
    for code, end in {
        "intent-expired": "intent is invalid: intent expired",
        "intent-future": "intent is invalid: intent issued in the future",
        "intent-unsigned": "intent is invalid: no signatures",
        "intent-signature": "intent is invalid: invalid signature",
        "intent-signatures": "expected exactly one valid signature",
    }.items():
        assert IntentError(code).cause == end
    assert IntentError("intent-lifetime").cause == "intent is invalid: intent-lifetime"


def test_hash_of_p256_is_sha256_of_the_intents_hash() -> None:
    """WebCrypto hashes the message that it is given, which is the intent's hash."""
    seen = []
    intent = parsed(signed(MESSAGE, R1Key()))

    def spy(digest: bytes, *_: Any) -> bool:
        seen.append(digest)
        return True

    verify_intent(intent, NOW_S, spy)
    assert seen == [hashlib.sha256(intent.hashes[0]).digest()]


@pytest.mark.parametrize("answer", [1, "yes", None, object()])
def test_only_true_of_the_p256_verifier_counts(answer: Any) -> None:

    with pytest.raises(IntentError, match="intent-signature"):
        verify_intent(parsed(signed(MESSAGE, R1Key())), NOW_S, lambda *_: answer)
