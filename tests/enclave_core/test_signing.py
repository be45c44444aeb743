"""Signing: only with a verified session, for what was decoded, with a nonce that is spent first (SE-*, RB-*, SH-*)."""

import asyncio
import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from enclave import curve, nonces
from enclave.errors import Refusal, StoreError
from enclave.sessions import VerifiedSession
from evm.address import checksum, parse_address
from evm.keccak import keccak256
from tests.appliance import (
    OTHER_ORIGIN,
    OTHER_SCOPE,
    SCOPE,
    Client,
    Refused,
    World,
    complete_params,
    otp_answer,
)

DIGEST = keccak256(b"message")
TRANSACTION = {
    "type": "0x2",
    "chainId": "0x1",
    "nonce": "0x0",
    "to": "0x" + "11" * 20,
    "value": "0x1",
    "gas": "0x5208",
    "maxFeePerGas": "0x10",
    "maxPriorityFeePerGas": "0x1",
    "data": "0x",
}


async def refused(call: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value


async def logged_in(world: World, **options: Any) -> tuple[Client, str, str]:
    """A client, its wallet's address and a session id."""
    client = Client(world, **options)
    signer = (await world.log_in(client))["signer"]["address"]
    return client, signer, (await client.session())["session"]


async def test_the_published_sign_gives_65_bytes_that_recover_to_the_signer(world: World) -> None:
    client, signer, _ = await logged_in(world)
    signature = bytes.fromhex((await client.sign(signer, DIGEST))["signature"][2:])
    assert len(signature) == 65
    assert signature[64] in (27, 28)
    assert Account._recover_hash(DIGEST, signature=signature).lower() == signer


@pytest.mark.parametrize("ethereum", [False, True])
async def test_a_message_recovers_with_eth_account(world: World, ethereum: bool) -> None:
    client, signer, session = await logged_in(world, ethereum=ethereum)
    signed = await client.own("/rpc/Signer/SignMessage", session=session, message={"text": "hello"})
    assert Account.recover_message(encode_defunct(text="hello"), signature=signed["signature"]).lower() == signer
    assert signed["understood"]["kind"] == "message"


async def test_a_transaction_is_signed_as_it_was_understood(world: World) -> None:
    client, signer, session = await logged_in(world)
    signed = await client.own("/rpc/Signer/SignTransaction", session=session, transaction=TRANSACTION)
    assert Account.recover_transaction(signed["raw"]).lower() == signer
    assert signed["hash"] == "0x" + keccak256(bytes.fromhex(signed["raw"][2:])).hex()
    assert signed["understood"]["value"] == "1"


async def test_what_most_calls_do_is_said_in_the_words_of_a_guard_for_the_wallet_that_signs(world: World) -> None:
    client, signer, session = await logged_in(world)
    redeem = "0xba087652" + f"{5:064x}" + "66".rjust(64, "0") + signer[2:].rjust(64, "0")
    asked = TRANSACTION | {"data": redeem, "value": "0x0"}
    call = (await client.own("/rpc/Signer/SignTransaction", session=session, transaction=asked))["understood"]["call"]
    assert (call["name"], call["decoded"]) == ("call.redeem", True)
    assert f"from {checksum(parse_address(signer))} to 0x0000000000000000000000000000000000000066" in call["words"]


async def test_a_replayed_request_is_refused_and_a_lower_nonce_too(world: World) -> None:
    client, signer, session = await logged_in(world)
    envelope = client.envelope(client.own_params("/rpc/Signer/SignMessage", session=session, message={"text": "once"}))
    await client.send("/rpc/Signer/SignMessage", envelope)
    assert (await refused(client.send("/rpc/Signer/SignMessage", envelope))).code == 7206
    await client.sign(signer, DIGEST, nonce=1000)
    for nonce in (1000, 999, 0):
        assert (await refused(client.sign(signer, DIGEST, nonce=nonce))).code == 7206


async def test_the_same_request_sent_many_times_at_once_signs_once(world: World) -> None:
    client, signer, _ = await logged_in(world)
    calls = [client.sign(signer, DIGEST, nonce=77) for _ in range(8)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, dict) for result in results) == 1


async def test_an_old_request_stays_refused_after_logging_in_again(world: World) -> None:
    client, signer, _ = await logged_in(world)
    await client.sign(signer, DIGEST, nonce=500)
    await world.log_in(client)
    assert (await refused(client.sign(signer, DIGEST, nonce=500))).code == 7206


async def test_an_old_request_stays_refused_after_restart_and_login(world: World) -> None:
    client, signer, _ = await logged_in(world)
    await client.sign(signer, DIGEST, nonce=500)
    await world.boot()
    assert (await refused(client.sign(signer, DIGEST, nonce=501))).code == 7203
    await world.log_in(client)
    assert (await refused(client.sign(signer, DIGEST, nonce=500))).code == 7206
    assert await client.sign(signer, DIGEST, nonce=501)


async def test_a_nonce_is_spent_even_if_the_store_dies_while_it_is_written(world: World) -> None:
    client, signer, _ = await logged_in(world)
    world.store.down = True
    assert (await refused(client.sign(signer, DIGEST, nonce=5))).code == 7102
    world.store.down = False
    assert (await refused(client.sign(signer, DIGEST, nonce=5))).code == 7206
    assert await client.sign(signer, DIGEST, nonce=6)


@pytest.mark.parametrize(("busy", "meanwhile"), [(4, [DIGEST]), (0, [])])
async def test_a_signature_stays_inside_until_its_nonce_is_durable(
    world: World, monkeypatch: Any, busy: int, meanwhile: list[bytes]
) -> None:
    monkeypatch.setattr(nonces, "_BUSY", busy)  # writes under way from which on it is not even made
    client, signer, _ = await logged_in(world)
    signed: list[bytes] = []
    sign, put, durable, fails = curve.sign, world.store.put, asyncio.Event(), True

    def noted(*arguments: Any) -> Any:
        signed.append(arguments[1])
        return sign(*arguments)

    async def slow(writes: Any) -> None:
        await durable.wait()
        if fails:
            raise StoreError("store-unreachable")
        await put(writes)

    monkeypatch.setattr(curve, "sign", noted)
    monkeypatch.setattr(world.store, "put", slow)
    answer = asyncio.create_task(client.sign(signer, DIGEST, nonce=5))
    await asyncio.sleep(0.1)
    assert signed == meanwhile
    assert not answer.done()
    durable.set()
    assert (await refused(answer)).code == 7102
    assert (await refused(client.sign(signer, DIGEST, nonce=5))).code == 7206
    assert signed == meanwhile, "nothing is made for a nonce that is spent"
    fails = False
    assert await client.sign(signer, DIGEST, nonce=6)


async def test_a_store_that_drops_writes_is_found_out_before_a_second_effect(world: World) -> None:
    client, signer, _ = await logged_in(world)
    world.store.drop_writes = True
    await client.sign(signer, DIGEST, nonce=50)
    world.store.drop_writes = False
    assert (await refused(client.sign(signer, DIGEST, nonce=50))).code == 7206
    assert (await refused(client.sign(signer, DIGEST, nonce=51))).code in (7307, 7310)


async def test_a_rolled_back_nonce_is_refused_as_stale(world: World) -> None:
    client, signer, _ = await logged_in(world)
    await client.sign(signer, DIGEST, nonce=5)
    old = world.store.snapshot()
    await client.sign(signer, DIGEST, nonce=6)
    world.store.rows = old
    assert (await refused(client.sign(signer, DIGEST, nonce=6))).code == 7206
    assert (await refused(client.sign(signer, DIGEST, nonce=7))).code == 7307


async def test_uses_per_minute_are_limited_and_come_back(world: World) -> None:
    client, signer, _ = await logged_in(world)
    most = world.config.limits.signatures_per_minute
    for entry in world.enclave._dispatcher._routes.signed[
        "/rpc/IdentityInstrument/Sign"
    ].__self__._wallets._nonces._entries.values():  # type: ignore[attr-defined]
        entry.uses = most
    assert (await refused(client.sign(signer, DIGEST))).code == 7205
    world.clock.advance_s(61)
    assert await client.sign(signer, DIGEST)


async def test_the_right_to_sign_digests_is_separate(world: World) -> None:
    client = Client(world, scope=OTHER_SCOPE)
    started = await client.call(
        "CommitVerifier",
        {"scope": OTHER_SCOPE, "identityType": "Email", "authMode": "OTP", "handle": "a@example.com"},
    )
    answer = otp_answer(started["challenge"], world.mailer.last_code())
    result = await client.call("CompleteAuth", complete_params("a@example.com", answer, OTHER_SCOPE))
    assert (await refused(client.sign(result["signer"]["address"], DIGEST))).code == 7300
    session = (await client.session())["session"]
    assert await client.own("/rpc/Signer/SignMessage", session=session, message={"text": "granted"})
    error = await refused(client.own("/rpc/Signer/SignTransaction", session=session, transaction=TRANSACTION))
    assert error.code == 7300


async def test_a_transaction_that_names_another_sender_is_refused(world: World) -> None:
    client, signer, session = await logged_in(world)
    path = "/rpc/Signer/SignTransaction"
    foreign = TRANSACTION | {"from": "0x" + "22" * 20}
    error = await refused(client.own(path, session=session, transaction=foreign))
    assert (error.code, error.cause) == (7306, "tx-from")
    assert await client.own(path, session=session, transaction=TRANSACTION | {"from": signer})


async def test_what_two_encoders_hash_differently_is_not_signed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, _, session = await logged_in(world)
    monkeypatch.setattr("evm.cross_check._hash", lambda _: bytes(32))
    error = await refused(client.own("/rpc/Signer/SignMessage", session=session, message={"text": "x"}))
    assert (error.code, error.cause) == (7306, "encoders-disagree")


async def test_another_signer_is_refused_whatever_its_case(world: World) -> None:
    client, signer, _ = await logged_in(world)
    assert await client.sign("0x" + signer[2:].upper(), DIGEST)
    assert (await refused(client.sign("0x" + "22" * 20, DIGEST))).code == 7204


async def test_a_key_that_never_logged_in_is_not_found(world: World) -> None:
    assert (await refused(Client(world).sign("0x" + "22" * 20, DIGEST))).code == 7202


async def test_another_origin_scope_key_or_session_is_refused(world: World) -> None:
    client, _, session = await logged_in(world)
    path = "/rpc/Signer/SignMessage"
    message = {"text": "hello"}
    client.origin = OTHER_ORIGIN
    assert (await refused(client.own(path, session=session, message=message))).code == 7304
    client.origin = "https://evil.example.test"
    assert (await refused(client.own(path, session=session, message=message))).code == 7304
    client.origin = "https://wallet.example.test"
    client.scope = OTHER_SCOPE
    assert (await refused(client.own(path, session=session, message=message))).code == 7202
    client.scope = SCOPE
    other, _, _ = await logged_in(world)
    assert (await refused(other.own(path, session=session, message=message))).code == 7301


async def test_the_signed_method_must_be_the_one_called(world: World) -> None:
    client, _, session = await logged_in(world)
    params = client.own_params("/rpc/Signer/SignMessage", session=session, message={"text": "x"})
    error = await refused(client.send("/rpc/Session/List", client.envelope(params)))
    assert (error.code, error.cause) == (7200, "invalid params: unknown member")
    params = client.own_params("/rpc/Session/Create")
    error = await refused(client.send("/rpc/Session/List", client.envelope(params)))
    assert (error.code, error.cause) == (7200, "invalid params: method is not the one called")


@pytest.mark.parametrize(("ahead_ms", "code"), [(-1, 7305), (0, 7305), (10**9, 7305)])
async def test_requests_expire_and_may_not_lie_far_ahead(world: World, ahead_ms: int, code: int) -> None:
    client, _, _ = await logged_in(world)
    expires = world.clock.wall_ms() + ahead_ms
    assert (await refused(client.own("/rpc/Session/List", expires=expires))).code == code


@pytest.mark.parametrize("bad", [None, "soon", True, 1.5])
async def test_an_expiry_of_another_type_is_refused(world: World, bad: object) -> None:
    client, _, _ = await logged_in(world)
    assert (await refused(client.own("/rpc/Session/List", expires=bad))).code == 7200


async def test_what_cannot_be_decoded_spends_no_nonce(world: World) -> None:
    client, _, session = await logged_in(world)
    params = client.own_params("/rpc/Signer/SignTransaction", session=session, transaction={"type": "0x9"})
    path = "/rpc/Signer/SignTransaction"
    assert (await refused(client.send(path, client.envelope(params)))).code == 7306
    good = client.envelope(params | {"transaction": TRANSACTION})
    assert await client.send(path, good)


async def test_an_expired_session_is_refused_while_the_login_lasts(world: World) -> None:
    client = Client(world)
    await world.log_in(client, lifetime=3600)
    session = (await client.session(lifetime=60))["session"]
    world.clock.advance_s(61)
    error = await refused(client.own("/rpc/Signer/SignMessage", session=session, message={"text": "late"}))
    assert error.code == 7302


async def test_an_expired_login_is_refused(world: World) -> None:
    client, signer, _ = await logged_in(world)
    await world.pass_time(world.config.limits.session_s + 1)
    assert (await refused(client.sign(signer, DIGEST))).code == 7203


async def test_a_revoked_session_is_refused_on_the_next_request(world: World) -> None:
    client, _, session = await logged_in(world)
    await client.own("/rpc/Session/Revoke", session=session)
    error = await refused(client.own("/rpc/Signer/SignMessage", session=session, message={"text": "late"}))
    assert error.code == 7303


async def test_another_device_of_the_account_can_log_a_lost_one_out(world: World) -> None:
    lost, signer, session = await logged_in(world)
    mine, _, _ = await logged_in(world)
    listed = await mine.own("/rpc/Session/List")
    assert {device["device"] for device in listed["devices"]} == {lost.name, mine.name}
    await mine.own("/rpc/Session/Revoke", device=lost.name)
    assert (await refused(lost.sign(signer, DIGEST))).code == 7202
    assert (await refused(lost.own("/rpc/Signer/SignMessage", session=session, message={"text": "x"}))).code == 7202
    assert await mine.sign(signer, DIGEST)


async def test_a_stranger_can_neither_list_nor_revoke(world: World) -> None:
    victim, _, _ = await logged_in(world)
    stranger = Client(world)
    await world.log_in(stranger, "stranger@example.com")
    assert (await refused(stranger.own("/rpc/Session/Revoke", device=victim.name))).code == 7301
    assert victim.name not in json.dumps(await stranger.own("/rpc/Session/List"))


async def test_a_revocation_undone_by_the_store_is_refused_as_stale(world: World) -> None:
    client, _, session = await logged_in(world)
    old = world.store.snapshot()
    await client.own("/rpc/Session/Revoke", session=session)
    world.store.rows = old
    instrument = world.enclave._dispatcher._routes.signed["/rpc/IdentityInstrument/Sign"].__self__  # type: ignore[attr-defined]
    instrument._devices._cache._entries.clear()  # as if the record had left the cache
    error = await refused(client.own("/rpc/Signer/SignMessage", session=session, message={"text": "late"}))
    assert error.code == 7307


async def test_with_one_holder_away_first_login_and_signing_work_and_the_share_is_mended_later(world: World) -> None:
    world.kms.mode["gamma"] = "down"
    await world.boot()
    client, signer, _ = await logged_in(world)
    assert await client.sign(signer, DIGEST)
    world.kms.mode["gamma"] = "up"
    world.kms.mode["alpha"] = "down"
    await world.boot()
    await asyncio.sleep(0)
    assert (await refused(world.log_in(client))).code == 7308  # two shares were sealed, one of their holders is away
    world.kms.mode["alpha"] = "up"
    await world.boot()
    await world.log_in(client)  # all are back: the missing share is made
    world.kms.mode["alpha"] = "down"
    await world.boot()
    await world.log_in(client)
    assert await client.sign(signer, DIGEST)


async def test_with_a_lying_holder_everything_works_and_health_names_it(world: World) -> None:
    client, signer, _ = await logged_in(world)
    world.kms.mode["beta"] = "lying"
    await world.boot()
    await world.log_in(client)
    assert await client.sign(signer, DIGEST)
    status, health = world.enclave._health()
    assert status == 200
    assert health["holders"]["failing"] == {"beta": "kms-wrong-key"}
    assert health["holders"]["may_fail"] == 0


async def test_no_kms_call_on_the_hot_path(world: World) -> None:
    client, signer, _ = await logged_in(world)
    calls = world.kms.calls
    for _ in range(5):
        await client.sign(signer, DIGEST)
    assert world.kms.calls == calls


async def test_a_verified_session_can_only_come_from_the_verifier(world: World) -> None:
    with pytest.raises(TypeError, match="comes from"):
        VerifiedSession(object(), None, None)  # type: ignore[arg-type]


async def test_a_session_opens_no_other_account(world: World) -> None:
    client, _, session = await logged_in(world)
    instrument = world.enclave._dispatcher._routes.signed["/rpc/IdentityInstrument/Sign"].__self__  # type: ignore[attr-defined]
    other = Client(world)
    other_address = (await world.log_in(other, "other@example.com"))["signer"]["address"]
    device = await instrument._devices.load(SCOPE, client.name)
    point = bytes.fromhex(client.auth_key["address"][2:])
    public = bytes([2 + (point[64] & 1)]) + point[1:33]
    verified = instrument._sessions.verify(device, device.sessions[0], public, client.origin)
    theirs = await instrument._accounts.find_by_address(SCOPE, other_address)
    with pytest.raises(Refusal) as caught:
        await instrument._accounts.open_wallet(verified, theirs)
    assert caught.value.error.name == "SessionMismatch"
    assert session
