"""Login by mail: bound to the committing key, tries counted first, used once, nothing revealed (OT-*)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from protocol import limits
from tests.appliance import SCOPE, Client, Refused, World, commit_params, complete_params, otp_answer

EMAIL = "user@example.com"


async def committed(world: World, client: Client, email: str = EMAIL) -> tuple[dict[str, Any], str]:
    """The answer to CommitVerifier and the right answer to the code."""
    started = await client.call("CommitVerifier", commit_params(email))
    return started, otp_answer(started["challenge"], world.mailer.last_code())


async def refused(call: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("ethereum", [False, True])
async def test_a_login_with_either_key_type_gives_the_wallet_and_identity(world: World, ethereum: bool) -> None:
    client = Client(world, ethereum=ethereum)
    started, answer = await committed(world, client)
    assert started["verifier"] == started["loginHint"] == EMAIL
    result = await client.call("CompleteAuth", complete_params(EMAIL, answer))
    assert result["identity"] == {"type": "Email", "sub": EMAIL, "email": EMAIL}
    assert result["signer"]["keyType"] == "Ethereum_Secp256k1"
    assert result["signer"]["address"] == result["signer"]["address"].lower()


async def test_the_same_person_finds_the_same_wallet_and_another_scope_another(world: World) -> None:
    one = await world.log_in(Client(world))
    again = await world.log_in(Client(world))
    other_person = await world.log_in(Client(world), "other@example.com")
    stranger = Client(world, scope="@7:games")
    started = await stranger.call("CommitVerifier", commit_params(EMAIL, "@7:games"))
    answer = otp_answer(started["challenge"], world.mailer.last_code())
    other_scope = await stranger.call("CompleteAuth", complete_params(EMAIL, answer, "@7:games"))
    addresses = [result["signer"]["address"] for result in (one, again, other_person, other_scope)]
    assert addresses[0] == addresses[1]
    assert len(set(addresses)) == 3


async def test_an_address_typed_with_capitals_completes(world: World) -> None:
    client = Client(world)
    _, answer = await committed(world, client, " User@Example.COM ")
    result = await client.call("CompleteAuth", complete_params("User@Example.COM", answer))
    assert result["identity"]["sub"] == EMAIL


async def test_two_wrong_answers_then_the_right_one(world: World) -> None:
    client = Client(world)
    started, answer = await committed(world, client)
    wrong = otp_answer(started["challenge"], "Wrong")
    for _ in range(2):
        assert (await refused(client.call("CompleteAuth", complete_params(EMAIL, wrong)))).code == 7003
    await client.call("CompleteAuth", complete_params(EMAIL, answer))


async def test_the_third_wrong_answer_ends_it_even_for_the_right_code(world: World) -> None:
    client = Client(world)
    started, answer = await committed(world, client)
    wrong = otp_answer(started["challenge"], "Wrong")
    codes = [(await refused(client.call("CompleteAuth", complete_params(EMAIL, wrong)))).code for _ in range(3)]
    assert codes == [7003, 7003, 7005]
    assert (await refused(client.call("CompleteAuth", complete_params(EMAIL, answer)))).code == 7005


async def test_parallel_guesses_count_one_by_one(world: World) -> None:
    client = Client(world)
    started, answer = await committed(world, client)
    guesses = [otp_answer(started["challenge"], f"{guess:06d}") for guess in range(19)] + [answer]
    calls = [client.call("CompleteAuth", complete_params(EMAIL, guess)) for guess in guesses]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, Refused) for result in results)
    assert {table for table, _ in world.store.rows} == {"deployment", "code-budget"}  # no account, no device


async def test_another_auth_key_cannot_answer_nor_end_the_login(world: World) -> None:
    victim, thief = Client(world), Client(world)
    _, answer = await committed(world, victim)
    error = await refused(thief.call("CompleteAuth", complete_params(EMAIL, answer)))
    assert (error.code, error.cause) == (7200, "commitment not found")
    for _ in range(5):
        await refused(thief.call("CompleteAuth", complete_params(EMAIL, "0x00")))
    await victim.call("CompleteAuth", complete_params(EMAIL, answer))


async def test_a_stranger_s_commit_neither_voids_nor_overwrites_a_live_one(world: World) -> None:
    victim, stranger = Client(world), Client(world)
    _, answer = await committed(world, victim)
    await stranger.call("CommitVerifier", commit_params(EMAIL))
    await victim.call("CompleteAuth", complete_params(EMAIL, answer))


async def test_an_answer_works_once(world: World) -> None:
    client = Client(world)
    _, answer = await committed(world, client)
    await client.call("CompleteAuth", complete_params(EMAIL, answer))
    error = await refused(client.call("CompleteAuth", complete_params(EMAIL, answer)))
    assert (error.code, error.cause) == (7200, "commitment not found")


async def test_one_answer_sent_many_times_at_once_works_once(world: World) -> None:
    client = Client(world)
    _, answer = await committed(world, client)
    calls = [client.call("CompleteAuth", complete_params(EMAIL, answer)) for _ in range(3)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, dict) for result in results) == 1


async def test_an_expired_code_says_so(world: World) -> None:
    client = Client(world)
    _, answer = await committed(world, client)
    world.clock.advance_s(world.config.limits.otp_s + 1)
    assert (await refused(client.call("CompleteAuth", complete_params(EMAIL, answer)))).code == 7004


async def test_a_restart_voids_every_started_login(world: World) -> None:
    client = Client(world)
    _, answer = await committed(world, client)
    await world.boot()
    assert (await refused(client.call("CompleteAuth", complete_params(EMAIL, answer)))).cause == "commitment not found"


async def test_an_unknown_verifier_gets_an_answer_not_a_dropped_connection(world: World) -> None:
    error = await refused(Client(world).call("CompleteAuth", complete_params("nobody@example.com", "0x00")))
    assert (error.code, error.cause) == (7200, "commitment not found")


async def test_concurrent_first_logins_get_one_wallet(world: World) -> None:
    clients = [Client(world) for _ in range(3)]
    answers = [(await committed(world, client))[1] for client in clients]
    calls = [
        client.call("CompleteAuth", complete_params(EMAIL, answer))
        for client, answer in zip(clients, answers, strict=True)
    ]
    results = await asyncio.gather(*calls)
    assert len({result["signer"]["address"] for result in results}) == 1
    for client, result in zip(clients, results, strict=True):
        assert (await client.sign(result["signer"]["address"], bytes(32)))["signature"]


async def test_a_signer_s_mail_address_is_shown_only_to_a_device_that_proved_it(world: World) -> None:
    owner, stranger = Client(world), Client(world)
    address = (await world.log_in(owner))["signer"]["address"]
    signer = {"keyType": "Ethereum_Secp256k1", "address": address}
    params = {"scope": SCOPE, "identityType": "Email", "authMode": "OTP", "metadata": {}, "signer": signer}
    assert (await stranger.call("CommitVerifier", params))["loginHint"] == ""
    started = await owner.call("CommitVerifier", params)
    assert started["loginHint"] == EMAIL
    assert started["verifier"] == f"Ethereum_Secp256k1:{address}"
    answer = otp_answer(started["challenge"], world.mailer.last_code())
    mixed_case = f"Ethereum_Secp256k1:0x{address[2:].upper()}"
    result = await owner.call("CompleteAuth", complete_params(mixed_case, answer))
    assert result["signer"]["address"] == address


async def test_mails_to_one_address_are_limited_and_a_known_device_has_its_own_allowance(world: World) -> None:
    owner = Client(world)
    await world.log_in(owner)
    most = world.config.limits.mails_per_address
    for _ in range(most - 1):
        await Client(world).call("CommitVerifier", commit_params(EMAIL))
    assert (await refused(Client(world).call("CommitVerifier", commit_params(EMAIL)))).code == 7205
    assert (await owner.call("CommitVerifier", commit_params(EMAIL)))["loginHint"] == EMAIL


async def test_mails_in_total_are_limited(pki_folder: Path) -> None:
    world = World(pki_folder, limits={"mails_total_per_window": 2})
    await world.boot()
    for number in range(2):
        await Client(world).call("CommitVerifier", commit_params(f"user{number}@example.com"))
    assert (await refused(Client(world).call("CommitVerifier", commit_params("user2@example.com")))).code == 7205
    await world.stop()


async def test_a_mail_that_cannot_be_sent_leaves_no_login(world: World) -> None:
    client = Client(world)
    world.mailer.down = True
    assert (await refused(client.call("CommitVerifier", commit_params(EMAIL)))).code == 7100
    assert (await refused(client.call("CompleteAuth", complete_params(EMAIL, "0x")))).cause == "commitment not found"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"handle": "no-at-sign"}, "invalid recipient: invalid email address: incorrect email format"),
        ({"handle": "a@b.co\r\nBcc: x@y.co"}, "invalid recipient: invalid email address: incorrect email format"),
        ({"handle": "a" * (limits.MAX_HANDLE_BYTES + 1)}, "invalid params: handle is too long"),
        ({"identityType": "Phone"}, "invalid params: invalid identity type"),
        ({"authMode": "Magic"}, "invalid params: invalid auth mode"),
        ({"authMode": "AccessToken"}, "get auth handler: unknown auth mode: AccessToken"),
        ({"identityType": "OIDC"}, "unsupported identity type: OIDC"),
        ({"signer": {"keyType": "x", "address": "0x"}}, "invalid params: invalid signer"),
        ({"signer": {"keyType": "Ethereum_Secp256k1", "address": "0x" + "11" * 20}}, "signer not found"),
        ({"metadata": {str(i): "" for i in range(11)}}, "invalid params: too many metadata entries"),
        ({"metadata": {"k" * 51: ""}}, "invalid params: metadata key is too long"),
        ({"metadata": {"k": "v" * 251}}, "invalid params: metadata value for key k is too long"),
        ({"scope": "123"}, "valid scope is required"),
        ({"scope": "@0"}, "valid scope is required"),
        ({"scope": "@999"}, "scope is not served"),
    ],
)
async def test_bad_parameters_have_the_published_causes(world: World, changes: dict[str, Any], cause: str) -> None:
    error = await refused(Client(world).call("CommitVerifier", commit_params(EMAIL) | changes))
    assert (error.code, error.cause) == (7200, cause)


async def test_longest_accepted_values_pass(world: World) -> None:
    metadata = {f"{i:0{limits.MAX_METADATA_KEY_BYTES}d}": "v" * limits.MAX_METADATA_VALUE_BYTES for i in range(10)}
    await Client(world).call("CommitVerifier", commit_params(EMAIL) | {"metadata": metadata})


async def test_the_scope_may_come_from_the_proxy_s_header(world: World) -> None:
    client = Client(world)
    params = commit_params(EMAIL)
    del params["scope"]
    assert (await refused(client.call("CommitVerifier", params))).cause == "valid scope is required"
    envelope = client.envelope(params)
    path = "/rpc/IdentityInstrument/CommitVerifier"
    assert await client.send(path, envelope, x_sequence_scope=SCOPE)
    bad = client.envelope(params | {"scope": "nonsense"})
    cause = (await refused(client.send(path, bad, x_sequence_scope=SCOPE))).cause
    assert cause.startswith("invalid params: invalid scope: ")


async def test_lifetime_zero_is_expired_at_once_and_negative_is_refused(world: World) -> None:
    client = Client(world)
    _, answer = await committed(world, client)
    assert (await refused(client.call("CompleteAuth", complete_params(EMAIL, answer, lifetime=-1)))).code == -4
    result = await client.call("CompleteAuth", complete_params(EMAIL, answer, lifetime=0))
    assert (await refused(client.sign(result["signer"]["address"], bytes(32)))).code == 7203


async def test_a_huge_lifetime_ends_at_the_measured_ceiling(world: World) -> None:
    client = Client(world)
    result = await world.log_in(client, lifetime=10**15)
    world.clock.advance_s(60)
    session = await client.session(lifetime=10**15)
    ceiling_s = world.config.limits.session_ceiling_s
    assert session["expires"] <= world.clock.wall_ms() // 1000 + ceiling_s
    assert result["signer"]["address"] == session["signer"]
