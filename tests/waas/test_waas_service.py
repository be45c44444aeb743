"""The service of embedded wallets, over the whole enclave: logins, sessions, signatures, and what is refused."""

import json
from typing import Any

import pytest

from enclave.errors import BootError
from evm.address import checksum, parse_address
from evm.intents.session_key import parse_session_key
from evm.typed_data import parse_typed_data
from evm.wallet.erc1271 import personal_preimage, typed_data_preimage
from protocol import limits
from tests.appliance import OTHER_ORIGIN, World, config
from tests.evm_intents.samples import TYPED_DATA, K1Key, Key, R1Key
from tests.waas.embedded import (
    ACCESS_KEY,
    CHAIN,
    OTHER_ACCESS_KEY,
    Application,
    hash_text,
    scopes,
    verify_message,
)

INVALID_SESSION = "session invalid or not found"
KEYS: dict[str, Key] = {"k1": K1Key(b"\x21" * 32), "r1": R1Key(21)}


async def signed_message(app: Application, text: bytes = b"hello") -> dict[str, Any]:
    return await app.of_wallet("signMessage", network=str(CHAIN), message="0x" + text.hex())


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
async def test_guest_has_a_wallet_that_signs_messages_and_documents(world: World, key: Key) -> None:
    app = Application(world, key)
    opened = await app.sign_in_as_guest()
    session = opened["session"]
    assert (session["id"], session["projectId"], session["friendlyName"]) == (key.id, 123, "phone")
    assert session["identity"] == {"type": "Guest", "sub": key.id.lower()}
    assert opened["response"]["data"] == {"sessionId": key.id, "wallet": app.wallet}
    assert app.wallet == checksum(parse_address(app.wallet))
    message = await signed_message(app)
    assert message["code"] == "signedMessage"
    verify_message(app.wallet, CHAIN, personal_preimage(b"hello"), message["data"]["signature"])
    document = await app.of_wallet("signTypedData", network=str(CHAIN), typedData=TYPED_DATA)
    preimage = typed_data_preimage(parse_typed_data(TYPED_DATA))
    verify_message(app.wallet, CHAIN, preimage, document["data"]["signature"])
    proof = await app.of_wallet("sessionAuthProof", network=str(CHAIN), nonce="n")
    text = f"SessionAuthProof {key.id} {app.wallet} n".encode()
    assert proof["data"]["message"] == "0x" + text.hex()
    verify_message(app.wallet, CHAIN, personal_preimage(text), proof["data"]["signature"])


async def test_login_by_mail_leads_to_the_same_wallet_on_every_device_and_after_a_restart(world: World) -> None:
    first, second = Application(world, KEYS["k1"]), Application(world, KEYS["r1"])
    await first.sign_in_by_mail("Ada@Example.com")
    opened = await second.sign_in_by_mail("ada@example.com ")
    assert first.wallet == second.wallet
    assert opened["session"]["identity"]["email"] == "ada@example.com"
    listed = (await first.of_wallet("listSessions"))["data"]
    assert {each["id"] for each in listed} == {first.key.id, second.key.id}
    accounts = (await first.of_wallet("listAccounts"))["data"]
    assert accounts == {
        "accounts": [{"id": "Email:ada@example.com", "type": "Email", "email": "ada@example.com"}],
        "currentAccountId": "Email:ada@example.com",
    }
    wallet = first.wallet
    await world.boot()
    assert (await signed_message(first))["cause"] == INVALID_SESSION, "a session ends with the boot"
    await first.sign_in_by_mail("ada@example.com")
    assert first.wallet == wallet


async def test_wrong_code_counts_and_the_fourth_try_is_too_many(world: World) -> None:
    app = Application(world)
    verifier = f"ada@example.com;{app.key.id}"
    begun = await app.begin("Email", verifier)
    right = hash_text(begun["data"]["challenge"] + world.mailer.last_code())
    codes = [(await app.open("Email", verifier, hash_text(str(n))))["code"] for n in range(limits.MAX_OTP_ATTEMPTS)]
    assert codes == [7003, 7003, 7005]
    assert (await app.open("Email", verifier, right))["code"] == 7005


async def test_weakness_5_login_belongs_to_the_session_that_began_it_and_is_good_once(world: World) -> None:
    app, thief = Application(world, KEYS["k1"]), Application(world, KEYS["r1"])
    begun = await app.begin("Guest", app.key.id)
    answer = hash_text(begun["data"]["challenge"] + app.key.id)
    assert (await thief.open("Guest", app.key.id, answer))["code"] == 7200
    mine = f"ada@example.com;{app.key.id}"
    started = await app.begin("Email", mine)
    code = hash_text(started["data"]["challenge"] + world.mailer.last_code())
    assert (await thief.open("Email", mine, code))["code"] == 7200
    assert (await thief.open("Email", f"ada@example.com;{thief.key.id}", code))["code"] == 7200
    assert "response" in await app.open("Email", mine, code)
    world.clock.advance_s(2)  # the very same intent would be refused for being one
    assert (await app.open("Email", mine, code)).get("code") == 7200


async def test_weakness_1_no_session_signs_for_another_users_wallet(world: World) -> None:
    app, other = Application(world, KEYS["k1"]), Application(world, KEYS["r1"])
    await app.sign_in_as_guest()
    await other.sign_in_as_guest()
    assert app.wallet != other.wallet
    app.wallet = other.wallet
    for name, data in {
        "signMessage": {"network": str(CHAIN), "message": "0x12"},
        "signTypedData": {"network": str(CHAIN), "typedData": TYPED_DATA},
        "sessionAuthProof": {"network": str(CHAIN)},
        "listSessions": {},
        "listAccounts": {},
    }.items():
        assert (await app.of_wallet(name, **data))["cause"] == "intent is invalid: intent-wallet"


async def test_weakness_3_session_ends_with_its_lifetime(world: World) -> None:
    app = Application(world)
    await app.sign_in_as_guest()
    assert (await signed_message(app))["code"] == "signedMessage"
    await world.pass_time(86_401)
    assert (await signed_message(app))["cause"] == INVALID_SESSION


async def test_weakness_7_intent_that_does_something_is_good_once(world: World) -> None:
    app = Application(world)
    await app.sign_in_as_guest()
    data = {"wallet": app.wallet, "network": str(CHAIN), "message": "0x12"}
    intent = app.intent("signMessage", data)
    assert "response" in await app.call("SendIntent", {"intent": intent})
    again = await app.call("SendIntent", {"intent": intent})
    assert again["cause"] == "intent is invalid: intent-replayed"
    reading = app.intent("listSessions", {"wallet": app.wallet})
    for _ in range(2):
        assert "response" in await app.call("SendIntent", {"intent": reading})


async def test_used_intents_are_bounded_and_forgotten_once_expired(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INTENTS_REMEMBERED", 3)
    app = Application(world)
    await app.sign_in_as_guest()
    assert (await signed_message(app, b"1"))["code"] == "signedMessage"
    assert (await signed_message(app, b"2"))["error"] == "Busy"
    await world.pass_time(400)
    assert (await signed_message(app, b"3"))["code"] == "signedMessage"


async def test_closed_session_signs_nothing_and_others_are_left_alone(world: World) -> None:
    app, same, other = Application(world, KEYS["k1"]), Application(world, KEYS["r1"]), Application(world, K1Key())
    await app.sign_in_by_mail("ada@example.com")
    await same.sign_in_by_mail("ada@example.com")
    await other.sign_in_as_guest()
    for target in (other, same):
        closed = await app.send("closeSession", {"sessionId": target.key.id})
        assert closed == {"code": "sessionClosed", "data": {}}
    assert (await signed_message(same))["cause"] == INVALID_SESSION
    assert (await signed_message(other))["code"] == "signedMessage", "not the same user's"
    stranger = Application(world, K1Key(b"\x31" * 32))
    assert (await stranger.send("closeSession", {"sessionId": app.key.id}))["code"] == "sessionClosed"
    assert (await signed_message(app))["code"] == "signedMessage"


async def test_tenants_are_told_apart_by_access_key_and_origin(world: World) -> None:
    app = Application(world)
    await app.sign_in_as_guest()
    wallet = app.wallet
    app.headers["x-access-key"] = OTHER_ACCESS_KEY
    assert (await signed_message(app))["cause"] == INVALID_SESSION
    world.clock.advance_s(2)
    await app.sign_in_as_guest()
    assert app.wallet != wallet
    for header, value in {"x-access-key": "unknown-key", "origin": "https://evil.example"}.items():
        stranger = Application(world)
        stranger.headers[header] = value
        assert (await stranger.begin("Guest", stranger.key.id))["error"] == "AccessError"
    moved = Application(world, KEYS["r1"])
    await moved.sign_in_as_guest()
    moved.headers["origin"] = OTHER_ORIGIN
    assert (await signed_message(moved))["error"] == "SessionMismatch"
    del moved.headers["x-access-key"]
    assert (await moved.call("ChainList", {}))["error"] == "AccessError"


async def test_chains_are_the_tenants_and_nothing_is_signed_for_others(world: World) -> None:
    app = Application(world)
    assert await app.call("ChainList", {}) == {"chains": [{"id": CHAIN, "name": "polygon", "isEnabled": True}]}
    await app.sign_in_as_guest()
    refused = await app.of_wallet("signMessage", network="1", message="0x12")
    assert refused["cause"] == "intent is invalid: intent-chain"
    zero = await app.of_wallet("signMessage", network="0", message="0x12")
    assert zero["cause"] == "intent is invalid: intent-data-chain-id"


@pytest.mark.parametrize(
    ("issued_s", "cause"),
    [(-400, "intent is invalid: intent expired"), (60, "intent is invalid: intent issued in the future")],
)
async def test_times_are_refused_with_the_words_that_clients_look_for(world: World, issued_s: int, cause: str) -> None:
    app = Application(world)
    issued = world.clock.wall_ms() // 1000 + issued_s
    refused = await app.send("closeSession", {"sessionId": app.key.id}, issuedAt=issued, expiresAt=issued + 300)
    assert (refused["error"], refused["code"], refused["status"]) == ("WebrpcEndpoint", 0, 400)
    assert refused["cause"].endswith(cause)


async def test_requests_that_are_none(world: World) -> None:
    app = Application(world)
    intent = app.intent("closeSession", {"sessionId": app.key.id})
    assert (await app.call("SendIntent", {}))["error"] == "WebrpcBadRequest"
    assert (await app.call("SendIntent", {"intent": intent, "wallet": "0x"}))["error"] == "WebrpcBadRequest"
    assert (await app.call("SendIntent", {"intent": intent, "friendlyName": ""}))["error"] == "WebrpcBadRequest"
    assert (await app.call("RegisterSession", {"intent": intent}))["cause"] == "intent name and data type mismatch"
    opening = app.intent("openSession", {"sessionId": app.key.id})
    assert (await app.call("SendIntent", {"intent": opening}))["cause"].startswith("opening a session is unsupported")
    for name in ("x" * (limits.MAX_FRIENDLY_NAME_CHARS + 1), "a\nb", 5):
        world.clock.advance_s(1)
        body = {"intent": app.intent("openSession", {"sessionId": app.key.id}), "friendlyName": name}
        assert (await app.call("RegisterSession", body))["error"] == "WebrpcBadRequest"
    named = {"intent": app.intent("openSession", {"sessionId": app.key.id}, version="2")}
    longest = await app.call("RegisterSession", named | {"friendlyName": "x" * limits.MAX_FRIENDLY_NAME_CHARS})
    assert longest["cause"] == "verifier and answer are required", "the name was taken"
    stranger = app.intent("openSession", {"sessionId": KEYS["r1"].id})
    refused = await app.call("RegisterSession", {"intent": stranger})
    assert refused["cause"] == "signing session and session to register must match"


async def test_intents_that_are_not_served_are_refused_by_name(world: World) -> None:
    app = Application(world)
    await app.sign_in_as_guest()
    assert (await app.of_wallet("getIdToken", sessionId=app.key.id))["cause"] == "intent is not served"


def federation(app: Application, address: str, answer: str) -> dict[str, Any]:
    verifier = f"{address};{app.key.id}"
    return {"sessionId": app.key.id, "identityType": "Email", "verifier": verifier, "answer": answer}


async def answer_to_mail(app: Application, address: str) -> str:
    begun = await app.begin("Email", f"{address};{app.key.id}")
    return hash_text(begun["data"]["challenge"] + app.world.mailer.last_code())


async def test_accounts_are_federated_and_removed_and_the_wallet_stays(world: World) -> None:
    app, later = Application(world, KEYS["k1"]), Application(world, KEYS["r1"])
    await app.sign_in_as_guest()
    linked = await app.of_wallet(
        "federateAccount", **federation(app, "ada@example.com", await answer_to_mail(app, "ada@example.com"))
    )
    account = {"id": "Email:ada@example.com", "type": "Email", "email": "ada@example.com"}
    assert linked == {"code": "accountFederated", "data": {"account": account}}
    await later.sign_in_by_mail("ada@example.com")
    assert later.wallet == app.wallet
    guest = f"Guest:{app.key.id.lower()}"
    listed = (await later.of_wallet("listAccounts"))["data"]
    assert {each["id"] for each in listed["accounts"]} == {guest, "Email:ada@example.com"}
    own = await later.of_wallet("removeAccount", accountId="Email:ada@example.com")
    assert own["code"] == 7200, "the one that is used now"
    assert (await later.of_wallet("removeAccount", accountId="Email:eve@example.com"))["code"] == 7200
    assert await later.of_wallet("removeAccount", accountId=guest) == {"code": "accountRemoved", "data": {}}
    assert (await signed_message(app))["cause"] == INVALID_SESSION, "its sessions end with it"
    assert (await signed_message(later))["code"] == "signedMessage"


async def test_weakness_6_federation_counts_tries_and_takes_no_identity_from_another(world: World) -> None:
    app, other = Application(world, KEYS["k1"]), Application(world, KEYS["r1"])
    await other.sign_in_by_mail("ada@example.com")
    await app.sign_in_as_guest()
    right = await answer_to_mail(app, "ada@example.com")
    for code in (7003, 7003, 7005):
        world.clock.advance_s(1)
        tried = await app.of_wallet("federateAccount", **federation(app, "ada@example.com", hash_text("0")))
        assert tried["code"] == code
    assert (await app.of_wallet("federateAccount", **federation(app, "ada@example.com", right)))["code"] == 7005
    world.clock.advance_s(2)
    again = await answer_to_mail(app, "ada@example.com")
    taken = await app.of_wallet("federateAccount", **federation(app, "ada@example.com", again))
    assert (taken["error"], taken["code"], taken["status"]) == ("AccountAlreadyLinked", 7001, 409)
    guest = {"sessionId": app.key.id, "identityType": "Guest", "verifier": app.key.id, "answer": "0x12"}
    assert (await app.of_wallet("federateAccount", **guest))["code"] == 7200


async def test_who_may_log_in_is_changed_only_soon_after_a_login(world: World) -> None:
    app = Application(world)
    await app.sign_in_as_guest()
    await world.pass_time(world.config.limits.fresh_login_s + 1)
    answer = await answer_to_mail(app, "ada@example.com")
    refused = await app.of_wallet("federateAccount", **federation(app, "ada@example.com", answer))
    assert refused["error"] == "LoginNotFresh"
    assert (await app.of_wallet("removeAccount", accountId="Email:a@example.com"))["error"] == "LoginNotFresh"


async def test_ways_to_log_in_that_the_tenant_does_not_offer_are_refused(world: World, pki_folder: Any) -> None:
    app = Application(world)
    for kind in ("PlayFab", "Stytch", "Twitter", "None"):
        assert (await app.begin(kind, "verifier"))["code"] == 7200
    made = World(pki_folder, scopes=scopes(plain_login=False))
    await made.boot()
    try:
        assert (await Application(made).begin("Guest", app.key.id))["error"] == "SealedLoginRequired"
    finally:
        await made.stop()


async def test_no_secret_and_no_address_is_in_the_store(world: World) -> None:
    app = Application(world)
    await app.sign_in_by_mail("canary@example.com")
    await signed_message(app, b"canary message")
    kept = b"".join(key[1] + record.value for key, record in world.store.rows.items())
    for canary in (b"canary", parse_address(app.wallet), parse_session_key(app.key.id).key):
        assert canary not in kept


def test_access_keys_belong_to_one_scope_each() -> None:
    first, second = scopes()
    for wrong in (
        [first, second | {"embedded": first["embedded"]}],
        [first | {"wallet": None}],
        [first | {"wallet": {"recovery": [{"key": "device", "delay_s": 30 * 86_400}]}}],
        [first | {"embedded": first["embedded"] | {"access_keys": []}}],
        [first | {"embedded": first["embedded"] | {"access_keys": ["short"]}}],
        [first | {"embedded": first["embedded"] | {"chains": [{"id": 0, "name": "zero"}]}}],
        [first | {"embedded": first["embedded"] | {"chains": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}}],
        [first | {"embedded": first["embedded"] | {"session_s": limits.MAX_SESSION_LIFETIME_S + 1}}],
    ):
        with pytest.raises(BootError, match="config-"):
            config(scopes=json.loads(json.dumps(wrong)))
    assert config(scopes=scopes()).scope_of_access_key(ACCESS_KEY) is not None
