"""Passkeys over the wire: linked by a device that is logged in, then a login (Web Authentication 7.1, 7.2)."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from protocol import limits
from protocol.base64url import decode_b64u
from tests.appliance import ORIGIN, OTHER_ORIGIN, OTHER_SCOPE, SCOPE, Client, Refused, World, config_json
from tests.enclave_login.authenticator import (
    ATTESTED,
    BACKED_UP,
    ELIGIBLE,
    PRESENT,
    VERIFIED,
    Authenticator,
    b64u,
)

RP_ID = "wallet.example.test"
FAILED = 7002


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    scopes = [scope | {"passkey_rp_id": RP_ID} for scope in config_json()["scopes"]]
    made = World(pki_folder, scopes=scopes, limits={"mails_per_address": 1000})
    await made.boot()
    yield made
    await made.stop()


async def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code, caught.value.cause


async def challenge(client: Client, ceremony: str = "get", **members: Any) -> str:
    params = {"scope": client.scope, "identityType": "Passkey", "authMode": "Passkey"}
    started = await client.call("CommitVerifier", params | {"metadata": {"ceremony": ceremony}} | members)
    assert started["loginHint"] == ""
    assert started["verifier"] == started["challenge"]
    assert len(started["challenge"]) == 43
    return str(started["challenge"])


async def link(client: Client, verifier: str, answer: Any) -> dict[str, Any]:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    members = {"identityType": "Passkey", "authMode": "Passkey", "verifier": verifier, "answer": text}
    return await client.own("/rpc/Account/Link", **members)


async def register(client: Client, device: Authenticator, origin: str = ORIGIN, **members: Any) -> dict[str, Any]:
    verifier = await challenge(client, "create")
    return await link(client, verifier, device.create(verifier, origin, **members))


async def finish(client: Client, verifier: str, answer: Any) -> dict[str, Any]:
    params = {"scope": client.scope, "identityType": "Passkey", "authMode": "Passkey", "verifier": verifier}
    params |= {"signerType": "Ethereum_Secp256k1", "answer": answer if isinstance(answer, str) else json.dumps(answer)}
    return await client.call("CompleteAuth", params)


async def log_in(client: Client, device: Authenticator, origin: str = ORIGIN, **members: Any) -> dict[str, Any]:
    verifier = await challenge(client)
    return await finish(client, verifier, device.get(verifier, origin, **members))


async def owner_with(world: World, device: Authenticator) -> tuple[Client, str]:
    """Somebody who has logged in by mail and linked `device`; the wallet's address."""
    owner = Client(world)
    address = (await world.log_in(owner))["signer"]["address"]
    await register(owner, device)
    return owner, address


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
@pytest.mark.parametrize("counts", [True, False])
async def test_linked_passkey_logs_in_to_the_same_wallet_on_another_device(
    world: World, algorithm: str, counts: bool
) -> None:
    device = Authenticator(RP_ID, algorithm=algorithm, counts=counts)
    _, address = await owner_with(world, device)
    await world.boot()
    for _ in range(2):
        other = Client(world, ethereum=True)
        done = await log_in(other, device)
        assert done["signer"]["address"] == address
        assert done["identity"].keys() == {"type", "iss", "sub"}
        assert (done["identity"]["type"], done["identity"]["iss"]) == ("Passkey", RP_ID)
        assert (await other.sign(address, bytes(32)))["signature"]


async def test_passkey_with_extensions_and_backup_and_the_longest_id(world: World) -> None:
    flags = PRESENT | VERIFIED | ELIGIBLE | BACKED_UP
    device = Authenticator(RP_ID, flags=flags, id=bytes(limits.MAX_CREDENTIAL_ID_BYTES), extensions={"credProtect": 2})
    _, address = await owner_with(world, device)
    assert (await log_in(Client(world), device))["signer"]["address"] == address


async def test_new_passkey_needs_a_device_that_is_logged_in_and_makes_no_wallet(world: World) -> None:
    stranger, device = Client(world), Authenticator(RP_ID)
    verifier = await challenge(stranger, "create")
    made = device.create(verifier, ORIGIN)
    assert await refused(finish(stranger, verifier, made)) == (7200, "a new passkey is linked before it logs in")
    assert (await refused(link(stranger, verifier, made)))[0] == 7202
    assert await refused(log_in(stranger, device)) == (FAILED, "passkey is unknown")
    assert {table for table, _ in world.store.rows} == {"deployment"}


async def test_passkey_that_leads_nowhere_makes_no_wallet(world: World) -> None:
    device = Authenticator(RP_ID)
    await owner_with(world, device)
    world.store.rows = {key: row for key, row in world.store.rows.items() if key[0] != "login"}
    await world.boot()
    assert (await refused(log_in(Client(world), device)))[0] == 7204


async def test_unlinked_passkey_logs_in_no_more(world: World) -> None:
    device = Authenticator(RP_ID)
    owner, _ = await owner_with(world, device)
    logins = (await owner.own("/rpc/Account/Get"))["logins"]
    [name] = [login["login"] for login in logins if login["type"] == "Passkey"]
    await owner.own("/rpc/Account/Unlink", login=name)
    assert (await refused(log_in(Client(world), device)))[0] == 7331


async def test_passkey_of_one_scope_is_unknown_in_another(world: World) -> None:
    device = Authenticator(RP_ID)
    await owner_with(world, device)
    assert await refused(log_in(Client(world, scope=OTHER_SCOPE), device)) == (FAILED, "passkey is unknown")


async def test_credential_id_of_somebody_else_cannot_be_registered(world: World) -> None:
    device = Authenticator(RP_ID)
    await owner_with(world, device)
    thief = Client(world)
    await world.log_in(thief, "thief@example.com")
    copied = Authenticator(RP_ID, id=device.id)
    assert await refused(register(thief, copied)) == (7200, "the passkey is registered")


async def test_answer_counts_for_its_challenge_and_device_key_once(world: World) -> None:
    device = Authenticator(RP_ID)
    await owner_with(world, device)
    client, thief = Client(world), Client(world)
    verifier, stolen_verifier = await challenge(client), await challenge(thief)
    answer = device.get(verifier, ORIGIN)
    assert await refused(finish(thief, verifier, answer)) == (7200, "commitment not found")
    assert await refused(finish(thief, stolen_verifier, answer)) == (FAILED, "passkey challenge does not match")
    await finish(client, verifier, answer)
    assert await refused(finish(client, verifier, answer)) == (7200, "commitment not found")


async def test_one_answer_sent_many_times_at_once_logs_in_once(world: World) -> None:
    device = Authenticator(RP_ID, counts=False)
    await owner_with(world, device)
    client = Client(world)
    verifier = await challenge(client)
    answer = device.get(verifier, ORIGIN)
    results = await asyncio.gather(*(finish(client, verifier, answer) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(result, dict) for result in results) == 1


async def test_counter_that_does_not_rise_is_a_copied_authenticator(world: World) -> None:
    device = Authenticator(RP_ID, count=5)
    await owner_with(world, device)
    await log_in(Client(world), device)
    for count in (5, 4, 0):
        device.count = count
        assert await refused(log_in(Client(world), device)) == (FAILED, "passkey counter did not rise")
        await world.boot()
        if count == 0:
            break
    device.count = 7
    assert await log_in(Client(world), device)


async def test_counter_is_durable_before_the_login(world: World) -> None:
    device = Authenticator(RP_ID)
    await owner_with(world, device)
    client = Client(world)
    verifier = await challenge(client)
    world.store.down = True
    assert (await refused(finish(client, verifier, device.get(verifier, ORIGIN))))[0] == 7102


async def test_challenge_ends(world: World) -> None:
    device = Authenticator(RP_ID)
    await owner_with(world, device)
    for late_s, passes in ((-1, True), (1, False)):
        client = Client(world)
        verifier = await challenge(client)
        await world.pass_time(limits.PASSKEY_CEREMONY_S + late_s)
        call = finish(client, verifier, device.get(verifier, ORIGIN))
        if passes:
            assert await call
        else:
            assert (await refused(call))[0] == 7004


NOT_FOR_US = (FAILED, "passkey origin is not accepted")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"origin": OTHER_ORIGIN}, NOT_FOR_US),  # the scope's, but outside the site
        ({"origin": "https://evil.example.test"}, NOT_FOR_US),
        ({"origin": ORIGIN + "/"}, NOT_FOR_US),
        ({"origin": ORIGIN.upper()}, NOT_FOR_US),
        ({"origin": f"https://{RP_ID}.evil.test"}, NOT_FOR_US),
        ({"origin": "http://" + RP_ID}, NOT_FOR_US),
        ({"crossOrigin": True}, NOT_FOR_US),
        ({"crossOrigin": "false"}, NOT_FOR_US),
        ({"topOrigin": ORIGIN}, NOT_FOR_US),
        ({"type": "webauthn.create"}, (FAILED, "passkey ceremony is another one")),
        ({"type": "webauthn.GET"}, (FAILED, "passkey ceremony is another one")),
        ({"type": "payment.get"}, (FAILED, "passkey ceremony is another one")),
        ({"challenge": "A" * 43}, (FAILED, "passkey challenge does not match")),
        ({"challenge": ""}, (FAILED, "passkey challenge does not match")),
        ({"challenge": None}, (FAILED, "passkey client data is malformed")),
        ({"origin": None}, (FAILED, "passkey client data is malformed")),
        ({"origin": 7}, (FAILED, "passkey client data is malformed")),
        ({"x": "x" * limits.MAX_CLIENT_DATA_BYTES}, (FAILED, "passkey client data is malformed")),
    ],
)
async def test_what_the_browser_did_for_somebody_else_is_refused(
    world: World, members: dict[str, Any], expected: tuple[int, str]
) -> None:
    device = Authenticator(RP_ID)
    owner, _ = await owner_with(world, device)
    assert await refused(log_in(Client(world), device, **members)) == expected
    if members.get("type") != "webauthn.create":
        assert await refused(register(owner, Authenticator(RP_ID), **members)) == expected


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"rp_id": "example.test"}, "passkey data is for another site"),
        ({"rp_id": RP_ID.upper()}, "passkey data is for another site"),
        ({"flags": VERIFIED}, "passkey data shows no verified user"),
        ({"flags": PRESENT}, "passkey data shows no verified user"),
        ({"flags": 0}, "passkey data shows no verified user"),
        ({"flags": PRESENT | VERIFIED | BACKED_UP}, "passkey data is malformed"),
        ({"extensions": []}, "passkey data is malformed"),
    ],
)
async def test_what_the_authenticator_did_for_somebody_else_is_refused(
    world: World, changes: dict[str, Any], cause: str
) -> None:
    device = Authenticator(RP_ID)
    owner, _ = await owner_with(world, device)
    for name, value in changes.items():
        setattr(device, name, value)
    assert await refused(log_in(Client(world), device)) == (FAILED, cause)
    assert await refused(register(owner, Authenticator(**{"rp_id": RP_ID} | changes))) == (FAILED, cause)


async def test_assertion_with_attested_data_or_trailing_bytes_is_refused(world: World) -> None:
    device = Authenticator(RP_ID)
    await owner_with(world, device)
    device.flags |= ATTESTED
    assert await refused(log_in(Client(world), device)) == (FAILED, "passkey data belongs to another ceremony")
    device.flags &= ~ATTESTED
    plain = device.data
    device.data = lambda attested=b"": plain(attested) + b"\x00"  # type: ignore[method-assign]
    assert await refused(log_in(Client(world), device)) == (FAILED, "passkey data is malformed")


async def test_backup_eligibility_never_changes(world: World) -> None:
    device = Authenticator(RP_ID)
    await owner_with(world, device)
    device.flags |= ELIGIBLE
    assert await refused(log_in(Client(world), device)) == (FAILED, "passkey is another one than was registered")


async def test_signature_of_another_key_or_over_other_bytes_is_refused(world: World) -> None:
    device = Authenticator(RP_ID)
    await owner_with(world, device)
    other = Authenticator(RP_ID, id=device.id, count=100)
    invalid = (FAILED, "passkey signature is invalid")
    assert await refused(log_in(Client(world), other)) == invalid
    client = Client(world)
    verifier = await challenge(client)
    answer = device.get(verifier, ORIGIN)
    raised = device.data()[:33] + (2**31).to_bytes(4, "big")
    answer["response"]["authenticatorData"] = b64u(raised)
    assert await refused(finish(client, verifier, answer)) == invalid


NOT_ACCEPTED = (FAILED, "passkey key is not accepted")


@pytest.mark.parametrize(
    ("algorithm", "cose"),
    [
        ("ES256", {3: -257}),
        ("ES256", {3: -8}),
        ("ES256", {3: None}),
        ("ES256", {3: -35}),
        ("ES256", {-1: 2}),
        ("ES256", {1: 1}),
        ("ES256", {-2: bytes(32)}),
        ("ES256", {-2: bytes(33)}),
        ("ES256", {4: [2]}),
        ("ES256", {-4: bytes(32)}),
        ("EdDSA", {-1: 4}),
        ("EdDSA", {-2: bytes(31)}),
        ("RS256", {3: -7}),
        ("RS256", {3: -65535}),
        ("RS256", {-1: b"\xff" * 128}),
        ("RS256", {-1: b"\x00" + b"\xff" * 256}),
        ("RS256", {-2: b"\x03"}),
    ],
)
async def test_key_of_another_algorithm_type_or_size_is_not_registered(
    world: World, algorithm: str, cose: dict[int, Any]
) -> None:
    owner = Client(world)
    await world.log_in(owner)
    assert await refused(register(owner, Authenticator(RP_ID, algorithm=algorithm, cose=cose))) == NOT_ACCEPTED


async def test_id_beyond_the_cap_or_other_than_the_signed_one_is_refused(world: World) -> None:
    owner = Client(world)
    await world.log_in(owner)
    malformed = (FAILED, "passkey data is malformed")
    for size in (limits.MAX_CREDENTIAL_ID_BYTES + 1, 0):
        assert await refused(register(owner, Authenticator(RP_ID, id=bytes(size)))) == malformed
    device = Authenticator(RP_ID)
    verifier = await challenge(owner, "create")
    answer = device.create(verifier, ORIGIN) | {"id": b64u(b"another")}
    assert await refused(link(owner, verifier, answer)) == (FAILED, "passkey answer is malformed")


async def test_authenticator_data_beyond_the_cap_is_refused(world: World) -> None:
    device = Authenticator(RP_ID)
    await owner_with(world, device)
    device.extensions = {"x": bytes(limits.MAX_AUTHENTICATOR_DATA_BYTES - len(device.data()) - 6)}
    assert len(device.data()) == limits.MAX_AUTHENTICATOR_DATA_BYTES
    assert await log_in(Client(world), device)
    device.extensions = {"x": bytes(limits.MAX_AUTHENTICATOR_DATA_BYTES - 37 - 5)}
    assert len(device.data()) == limits.MAX_AUTHENTICATOR_DATA_BYTES + 1
    assert await refused(log_in(Client(world), device)) == (FAILED, "passkey data is malformed")


def broken(answer: dict[str, Any]) -> list[Any]:
    """Texts that are no answer of a browser."""
    response = answer["response"]
    return [
        "",
        "[]",
        "null",
        "{",
        json.dumps(answer)[:-1] + ',"id":"AA"}',
        *(json.dumps({name: value for name, value in answer.items() if name != left}) for left in ("id", "type")),
        answer | {"type": "password"},
        answer | {"response": []},
        answer | {"id": answer["id"] + "="},
        answer | {"id": answer["id"][:-1] + "é"},
        *(answer | {"response": response | {name: 7}} for name in response if name not in ("transports", "userHandle")),
        answer | {"response": response | {"clientDataJSON": response["clientDataJSON"] + "=="}},
    ]


async def test_malformed_answer_is_one_refusal(world: World) -> None:
    device = Authenticator(RP_ID)
    owner, _ = await owner_with(world, device)
    for text in broken(device.get("x", ORIGIN)):
        client = Client(world)
        verifier = await challenge(client)
        assert await refused(finish(client, verifier, text)) == (FAILED, "passkey answer is malformed")
    for text in broken(Authenticator(RP_ID).create("x", ORIGIN)):
        verifier = await challenge(owner, "create")
        assert await refused(link(owner, verifier, text)) == (FAILED, "passkey answer is malformed")


async def test_flipped_bit_of_attestation_or_assertion_is_refused(world: World, seed: int) -> None:
    draw = random.Random(seed)
    device = Authenticator(RP_ID, counts=False)
    await owner_with(world, device)
    for name in ("authenticatorData", "signature", "clientDataJSON"):
        for _ in range(15):
            client = Client(world)
            verifier = await challenge(client)
            answer = device.get(verifier, ORIGIN)
            raw = bytearray(decode_b64u(answer["response"][name]) or b"")
            raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
            answer["response"][name] = b64u(bytes(raw))
            assert (await refused(finish(client, verifier, answer)))[0] == FAILED


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"identityType": "OIDC"}, "unsupported identity type: OIDC"),
        ({"identityType": "Email"}, "unsupported identity type: Email"),
        ({"metadata": {"ceremony": "other"}}, "extract metadata: ceremony is create or get"),
        ({"metadata": {"x": "y"}}, "extract metadata: ceremony is create or get"),
        ({"authMode": "OTP"}, "unsupported identity type: Passkey"),
        ({"authMode": "AuthCode"}, "unsupported identity type: Passkey"),
        ({"authMode": "IDToken"}, "unsupported identity type: Passkey"),
    ],
)
async def test_bad_commit_has_its_cause(world: World, changes: dict[str, Any], cause: str) -> None:
    params = {"scope": SCOPE, "identityType": "Passkey", "authMode": "Passkey", "metadata": {}}
    assert await refused(Client(world).call("CommitVerifier", params | changes)) == (7200, cause)


async def test_scope_without_a_site_takes_no_passkeys(pki_folder: Path) -> None:
    world = World(pki_folder)
    await world.boot()
    params = {"scope": SCOPE, "identityType": "Passkey", "authMode": "Passkey", "metadata": {}}
    refusal = await refused(Client(world).call("CommitVerifier", params))
    assert refusal == (7200, "unsupported identity type: Passkey")
    await world.stop()
