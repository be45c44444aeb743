"""Key sets over TLS from providers that rotate, fail, lie and hang (OI-09 to OI-12)."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from enclave.config import OidcClient
from enclave.errors import BootError, Refusal
from enclave.login.jwks import KeySets
from enclave.login.provider_tls import ProviderTls
from protocol import limits
from protocol.errors import IDENTITY_PROVIDER_ERROR, PROOF_VERIFICATION_FAILED
from simulator.identity_keys import SigningKeys
from simulator.tls import TlsAuthority
from tests.enclave_login.login_support import (
    HOST,
    WRONG_CERTIFICATES,
    LoopbackEgress,
    ManualClock,
    ScriptedServer,
    replaced,
    response,
)

METADATA_PATH = "/.well-known/openid-configuration"
CLIENT = OidcClient(issuer=f"https://{HOST}", audience="app")
METADATA = {"issuer": f"https://{HOST}", "jwks_uri": f"https://{HOST}/jwks"}


@dataclass
class World:
    """A provider, the enclave's view of it, and a clock."""

    server: ScriptedServer
    egress: LoopbackEgress
    clock: ManualClock
    key_sets: KeySets

    def publish(self, keys: SigningKeys | None = None, **metadata: Any) -> None:
        self.server.answers[METADATA_PATH] = response(json.dumps(replaced(METADATA, **metadata)).encode())
        if keys is not None:
            self.server.answers["/jwks"] = response(json.dumps(keys.jwks()).encode())

    @property
    def fetches(self) -> int:
        return self.server.targets.count("/jwks")

    async def refusal(self, kid: str = "rs256-1", client: OidcClient = CLIENT) -> tuple[str, str]:
        with pytest.raises(Refusal) as caught:
            await self.key_sets.key(client, kid)
        return caught.value.error.name, caught.value.cause


@asynccontextmanager
async def world(server_context: ssl.SSLContext, provider_tls: ProviderTls) -> AsyncIterator[World]:
    async with ScriptedServer().listening(server_context) as server:
        egress, clock = (
            LoopbackEgress({(HOST, 443): server.port, ("keys.example.test", 443): server.port}),
            ManualClock(),
        )
        yield World(server, egress, clock, KeySets(egress, provider_tls, clock))


@pytest.fixture
async def online(
    server_context: ssl.SSLContext, provider_tls: ProviderTls, signing_keys: SigningKeys
) -> AsyncIterator[World]:
    """A world with a good provider."""
    async with world(server_context, provider_tls) as built:
        built.publish(signing_keys)
        yield built


UNKNOWN = (PROOF_VERIFICATION_FAILED.name, "token key is unknown")


def provider_error(code: str) -> tuple[str, str]:
    return IDENTITY_PROVIDER_ERROR.name, code


async def test_key_is_fetched_once_and_then_kept(online: World) -> None:
    assert (await online.key_sets.key(CLIENT, "rs256-1")).algorithm == "RS256"
    online.clock.advance_s(limits.KEY_SET_TTL_S)
    assert (await online.key_sets.key(CLIENT, "es256-1")).algorithm == "ES256"
    assert online.server.targets == [METADATA_PATH, "/jwks"]
    online.clock.advance_s(1)
    await online.key_sets.key(CLIENT, "rs256-1")
    assert online.fetches == 2


async def test_many_who_wait_cause_one_fetch(online: World) -> None:
    online.server.gate.clear()
    waiting = [asyncio.create_task(online.key_sets.key(CLIENT, "rs256-1")) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # the one who asked first gives up
    online.server.gate.set()
    keys = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(keys[0], asyncio.CancelledError)
    assert {key.kid for key in keys[1:] if not isinstance(key, BaseException)} == {"rs256-1"}
    assert online.server.targets == [METADATA_PATH, "/jwks"]


async def test_flood_of_unknown_keys_causes_one_fetch_an_interval(online: World) -> None:
    for number in range(50):
        assert await online.refusal(f"unknown-{number}") == UNKNOWN
    assert online.fetches == 1
    online.clock.advance_s(limits.KEY_SET_REFRESH_INTERVAL_S)
    for number in range(50):
        assert await online.refusal(f"unknown-{number}") == UNKNOWN
    assert online.fetches == 2
    await online.key_sets.key(CLIENT, "rs256-1")


async def test_rotation_brings_the_new_key_and_a_removed_key_ends_with_its_set(online: World) -> None:
    keys = SigningKeys()
    online.publish(keys)
    await online.key_sets.key(CLIENT, "rs256-1")
    keys.rotate(keep_previous=False)
    online.publish(keys)
    online.clock.advance_s(limits.KEY_SET_TTL_S)
    await online.key_sets.key(CLIENT, "rs256-1")  # still within its time
    assert (await online.key_sets.key(CLIENT, "rs256-2")).kid == "rs256-2"
    assert await online.refusal("rs256-1") == UNKNOWN


async def test_removed_key_fails_after_its_time_even_if_no_new_one_is_asked_for(online: World) -> None:
    keys = SigningKeys()
    online.publish(keys)
    await online.key_sets.key(CLIENT, "rs256-1")
    keys.rotate(keep_previous=False)
    online.publish(keys)
    online.clock.advance_s(limits.KEY_SET_TTL_S + 1)
    assert await online.refusal("rs256-1") == UNKNOWN


async def test_outage_is_bridged_until_the_set_is_too_old_and_then_closed(online: World) -> None:
    await online.key_sets.key(CLIENT, "rs256-1")
    online.egress.ports.clear()
    online.clock.advance_s(limits.KEY_SET_MAX_STALE_S)
    await online.key_sets.key(CLIENT, "rs256-1")
    online.clock.advance_s(1)
    assert await online.refusal() == provider_error("egress-not-listed")


async def test_failing_provider_is_asked_again_after_a_pause_and_not_before(online: World) -> None:
    good = dict(online.server.answers)
    online.server.answers["/jwks"] = response(b"", status=500)
    for _ in range(10):
        assert await online.refusal() == provider_error("provider-status")
    assert online.fetches == 1
    online.server.answers.update(good)
    online.clock.advance_s(limits.KEY_SET_RETRY_INTERVAL_S)
    await online.key_sets.key(CLIENT, "rs256-1")
    assert online.fetches == 2


@pytest.mark.parametrize("kind", WRONG_CERTIFICATES)
async def test_provider_with_a_wrong_certificate_is_refused(
    kind: str, authority: TlsAuthority, provider_tls: ProviderTls, signing_keys: SigningKeys
) -> None:
    async with world(WRONG_CERTIFICATES[kind](authority, HOST).server_context(), provider_tls) as built:
        built.publish(signing_keys)
        assert await built.refusal() == provider_error("tls-certificate")
        assert built.server.requests == []


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"issuer": "https://evil.test"}, "provider-issuer"),
        ({"issuer": None}, "provider-json"),
        ({"jwks_uri": "https://evil.test/jwks"}, "provider-jwks-uri"),
        ({"jwks_uri": f"http://{HOST}/jwks"}, "provider-jwks-uri"),
        ({"jwks_uri": "https://keys.example.test/jwks"}, "provider-jwks-uri"),
        ({"jwks_uri": None}, "provider-json"),
        ({"jwks_uri": [f"https://{HOST}/jwks"]}, "provider-json"),
    ],
)
async def test_lie_in_the_metadata_is_refused(online: World, metadata: dict[str, Any], code: str) -> None:
    online.publish(**metadata)
    assert await online.refusal() == provider_error(code)
    assert online.fetches == 0


@pytest.mark.parametrize("target", [METADATA_PATH, "/jwks"])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": 500}, "provider-status"),
        ({"status": 404}, "provider-status"),
        ({"status": 203}, "provider-status"),
        ({"status": 302, "extra": f"Location: https://{HOST}/good\r\n"}, "provider-status"),
        ({"status": 301, "extra": "Location: https://evil.test/\r\n"}, "provider-status"),
        ({"content_type": "text/html"}, "provider-content-type"),
        ({"content_type": "application/json, text/html"}, "provider-content-type"),
        ({"content_type": ""}, "provider-content-type"),
        ({"extra": "Content-Encoding: gzip\r\n"}, "http-malformed"),
        ({"extra": "Pad: " + "x" * limits.MAX_HTTP_HEAD_BYTES + "\r\n"}, "http-too-large"),
    ],
)
async def test_good_body_in_a_bad_answer_is_refused(
    online: World, target: str, changes: dict[str, Any], code: str
) -> None:
    good = online.server.answers[target]
    assert good is not None
    online.server.answers["/good"] = good
    online.server.answers[target] = response(good.partition(b"\r\n\r\n")[2], **changes)
    assert await online.refusal() == provider_error(code)
    assert "/good" not in online.server.targets


@pytest.mark.parametrize("target", [METADATA_PATH, "/jwks"])
async def test_provider_that_hangs_meets_the_deadline(
    online: World, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IDENTITY_PROVIDER_DEADLINE_S", 0.6)
    online.server.answers[target] = None
    async with asyncio.timeout(3.0):
        assert await online.refusal() == provider_error("http-deadline")


async def test_body_at_the_cap_passes_and_one_byte_more_is_refused(online: World, signing_keys: SigningKeys) -> None:
    body = json.dumps(signing_keys.jwks()).encode()
    online.server.answers["/jwks"] = response(body.ljust(limits.MAX_JWKS_BYTES))
    await online.key_sets.key(CLIENT, "rs256-1")
    online.server.answers["/jwks"] = response(body.ljust(limits.MAX_JWKS_BYTES + 1))
    online.clock.advance_s(limits.KEY_SET_MAX_STALE_S + 1)
    assert await online.refusal() == provider_error("http-too-large")


async def test_key_hosts_of_one_client_say_nothing_for_another_of_the_same_issuer(online: World) -> None:
    elsewhere = OidcClient(issuer=CLIENT.issuer, audience="other", key_hosts=("keys.example.test",))
    online.publish(jwks_uri="https://keys.example.test/jwks")
    await online.key_sets.key(elsewhere, "rs256-1")
    assert await online.refusal() == provider_error("provider-jwks-uri")


@pytest.mark.parametrize("issuer", [f"https://{HOST}/", f"https://{HOST}/tenant/", f"https://{HOST}/tenant"])
async def test_metadata_lies_under_the_issuer_without_its_last_slash(online: World, issuer: str) -> None:
    path = "/tenant" if "tenant" in issuer else ""
    metadata = response(
        json.dumps(replaced(METADATA, issuer=issuer)).encode(), content_type="application/json; charset=utf-8"
    )
    keys = online.server.answers["/jwks"]
    assert keys is not None
    online.server.answers = {f"{path}{METADATA_PATH}": metadata}
    online.server.answers["/jwks"] = keys.replace(b"application/json", b"application/jwk-set+json")
    await online.key_sets.key(OidcClient(issuer=issuer, audience="app"), "rs256-1")


async def test_provider_with_authorities_of_its_own_is_vouched_for_by_no_other(
    server_context: ssl.SSLContext, authority: TlsAuthority, signing_keys: SigningKeys
) -> None:
    """OI-17."""
    other = TlsAuthority.create()
    own, wrong = (
        OidcClient(issuer=CLIENT.issuer, audience="app", tls_roots=pem)
        for pem in (authority.certificate_pem, other.certificate_pem)
    )
    async with world(server_context, ProviderTls(other.certificate_pem, (own, wrong))) as built:
        built.publish(signing_keys)
        assert (await built.key_sets.key(own, "rs256-1")).kid == "rs256-1"
        assert await built.refusal(client=wrong) == provider_error("tls-certificate")
        assert await built.refusal(client=CLIENT) == provider_error("tls-certificate")


def test_authorities_that_are_none_refuse_the_boot() -> None:
    with pytest.raises(BootError):
        ProviderTls(
            TlsAuthority.create().certificate_pem, (OidcClient(issuer=CLIENT.issuer, audience="a", tls_roots="x"),)
        )
