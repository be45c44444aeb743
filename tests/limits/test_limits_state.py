"""What the enclave keeps of logins, sessions and devices, each at its cap and one beyond (DO-01, OT-02, OT-05)."""

import json
from pathlib import Path
from typing import Any

import pytest

from attestation.errors import AttestationError
from attestation.keys import P256, AuthKey
from attestation.session import SessionClaims
from enclave.auth_key import Key
from enclave.config import parse_config
from enclave.errors import BootError, Refusal
from enclave.login.commitments import Commitment, CommitmentKey, Commitments
from protocol import errors, limits
from tests.appliance import SCOPE, Client, Refused, World, commit_params, complete_params, config_json, otp_answer

EMAIL = "user@example.com"


async def refused(call: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value


async def test_wrong_answers_at_the_cap_end_a_login_and_one_fewer_does_not(world: World) -> None:
    for wrong_answers in (limits.MAX_OTP_ATTEMPTS - 1, limits.MAX_OTP_ATTEMPTS):
        client = Client(world)
        started = await client.call("CommitVerifier", commit_params(EMAIL))
        for _ in range(wrong_answers):
            wrong = otp_answer(started["challenge"], "wrong")
            await refused(client.call("CompleteAuth", complete_params(EMAIL, wrong)))
        right = client.call(
            "CompleteAuth", complete_params(EMAIL, otp_answer(started["challenge"], world.mailer.last_code()))
        )
        if wrong_answers < limits.MAX_OTP_ATTEMPTS:
            assert (await right)["identity"]["email"] == EMAIL
        else:
            assert (await refused(right)).code == errors.TOO_MANY_ATTEMPTS.code


def commitment(number: int, deadline_ms: int = 1000) -> Commitment:
    auth_key = Key("Ethereum_Secp256k1", f"0x{number:040x}")
    return Commitment(CommitmentKey(SCOPE, "OTP", "Email", EMAIL, auth_key), EMAIL, deadline_ms)


def test_commitments_at_the_cap_are_kept_and_one_more_is_busy_until_some_expire() -> None:
    commitments = Commitments()
    for number in range(limits.MAX_COMMITMENTS):
        commitments.add(commitment(number), now_ms=0)
    assert len(commitments) == limits.MAX_COMMITMENTS
    with pytest.raises(Refusal) as caught:
        commitments.add(commitment(limits.MAX_COMMITMENTS), now_ms=0)
    assert caught.value.error is errors.BUSY
    commitments.add(commitment(7), now_ms=0)  # in place of its own
    assert len(commitments) == limits.MAX_COMMITMENTS
    commitments.add(commitment(limits.MAX_COMMITMENTS, deadline_ms=2000), now_ms=1000)
    assert len(commitments) == 1


async def test_strangers_with_a_live_login_to_one_address_are_capped(pki_folder: Path) -> None:
    world = World(pki_folder, limits={"mails_per_address": 100, "otp_s": 60})
    await world.boot()
    for _ in range(limits.MAX_COMMITMENTS_PER_IDENTITY):
        await Client(world).call("CommitVerifier", commit_params(EMAIL))
    one_more = await refused(Client(world).call("CommitVerifier", commit_params(EMAIL)))
    assert one_more.code == errors.USAGE_LIMIT_EXCEEDED.code
    assert len(world.mailer.sent) == limits.MAX_COMMITMENTS_PER_IDENTITY
    world.clock.advance_s(world.config.limits.otp_s + 1)
    assert await Client(world).call("CommitVerifier", commit_params(EMAIL))
    await world.stop()


async def sessions_of(client: Client) -> list[str]:
    listed = await client.own("/rpc/Session/List")
    return [session["session"] for session in listed["devices"][0]["sessions"]]


async def test_sessions_of_a_device_at_the_cap_are_kept_and_one_more_ends_the_oldest_but_the_login_s(
    world: World, client: Client
) -> None:
    await world.log_in(client)
    made = [(await client.session())["session"] for _ in range(limits.MAX_SESSIONS_PER_DEVICE - 1)]
    own, *others = await sessions_of(client)
    assert others == made, "the login's own session is one of them"
    newest = (await client.session())["session"]
    assert await sessions_of(client) == [own, *made[1:], newest]
    message = {"message": {"text": "hello"}}
    assert (await refused(client.own("/rpc/Signer/SignMessage", session=made[0], **message))).name == "SessionNotFound"
    assert await client.own("/rpc/Signer/SignMessage", session=made[1], **message)


async def test_devices_of_an_account_at_the_cap_are_listed_and_one_more_ends_the_oldest(pki_folder: Path) -> None:
    world = World(pki_folder, limits={"mails_per_address": 1000})
    await world.boot()
    clients = [Client(world, ethereum=True) for _ in range(limits.MAX_DEVICES_PER_ACCOUNT + 1)]

    async def devices() -> list[str]:
        return [device["device"] for device in (await clients[1].own("/rpc/Session/List"))["devices"]]

    for client in clients[:-1]:
        await world.log_in(client)
    assert await devices() == [client.name for client in clients[:-1]]
    await world.log_in(clients[-1])
    assert await devices() == [client.name for client in clients[1:]]
    await world.stop()


def claims(lifetime_s: int) -> SessionClaims:
    now_s = 1_800_000_000
    return SessionClaims(
        issuer="test-deployment",
        subject=bytes(32),
        audience="https://wallet.example.test",
        scope=SCOPE,
        auth_key=AuthKey(P256, b"\x02" + bytes(32)),
        auth_method="OTP",
        auth_time_s=now_s,
        issued_s=now_s,
        expires_s=now_s + lifetime_s,
        cti=bytes(16),
        boot_epoch=bytes(16),
    )


def test_lifetime_of_a_session() -> None:
    assert claims(limits.MAX_SESSION_LIFETIME_S).encode()
    with pytest.raises(AttestationError, match="claims-malformed"):
        claims(limits.MAX_SESSION_LIFETIME_S + 1)


def encoded_config(**changes: Any) -> bytes:
    return json.dumps(config_json(**changes)).encode()


def test_lifetime_that_a_configuration_may_allow() -> None:
    ceiling_s = limits.MAX_SESSION_LIFETIME_S
    parsed = parse_config(encoded_config(limits={"session_ceiling_s": ceiling_s}))
    assert parsed.limits.session_ceiling_s == ceiling_s
    with pytest.raises(BootError, match="config-malformed"):
        parse_config(encoded_config(limits={"session_ceiling_s": ceiling_s + 1}))


def test_size_of_a_configuration() -> None:
    assert parse_config(encoded_config().ljust(limits.MAX_CONFIG_BYTES))
    with pytest.raises(BootError, match="config-too-large"):
        parse_config(encoded_config().ljust(limits.MAX_CONFIG_BYTES + 1))


def test_deployment_of_a_configuration() -> None:
    assert parse_config(encoded_config(deployment="d" * limits.MAX_DEPLOYMENT_CHARS))
    with pytest.raises(BootError, match="config-malformed"):
        parse_config(encoded_config(deployment="d" * (limits.MAX_DEPLOYMENT_CHARS + 1)))
