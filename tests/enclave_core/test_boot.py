"""Boot: any doubt about measurement, clock or entropy is no boot, and phases only go forward (MS-06, TI-*, AT-12)."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from attestation.binding import EnclaveBinding, parse_binding
from enclave.boot import stir_entropy
from enclave.errors import BootError, Refusal
from enclave.nsm.client import NsmClient
from enclave.phases import Phase, Phases
from simulator.nsm import SimulatedNsm
from tests.appliance import (
    MODULE_ID,
    PCRS,
    Client,
    MemoryStore,
    Refused,
    World,
    b64u,
    commit_params,
    config,
    config_json,
)


async def halted(world: World) -> str:
    await world.boot()
    assert world.enclave.phases.phase is Phase.HALTED
    response = await world.raw("/health", b"", http_method="GET")
    assert response.status == 503
    health = json.loads(response.body)
    assert (health["serving"], health["phase"]) == (False, "halted")
    with pytest.raises(Refused) as caught:
        await Client(world).call("CommitVerifier", commit_params("a@example.com"))
    assert caught.value.code == 7309
    await world.stop()
    return str(health["reason"])


async def test_zero_measurements_are_debug_mode_and_refused(pki_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(pki_folder)
    honest = world.new_nsm
    monkeypatch.setattr(world, "new_nsm", lambda: honest(debug=True))
    assert await halted(world) == "debug-mode"


async def test_an_unexpected_clock_source_is_refused(pki_folder: Path) -> None:
    world = World(pki_folder)
    world.clock.name = "tsc"
    assert await halted(world) == "clock-source"


@pytest.mark.parametrize("skew_ms", [-3_600_000, 3_600_000])
async def test_a_clock_that_disagrees_with_the_module_at_boot_is_refused(
    pki_folder: Path, skew_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(pki_folder)
    honest = world.clock.wall_ms
    nsm = SimulatedNsm(world.pki, PCRS, MODULE_ID, clock=lambda: honest() + skew_ms)
    monkeypatch.setattr(world, "new_nsm", lambda: nsm)
    assert await halted(world) == "clock-skew"


def test_an_unexpected_hardware_generator_is_refused(pki_folder: Path) -> None:
    world = World(pki_folder)
    world.entropy.name = "tpm-rng-0"
    with pytest.raises(BootError, match="entropy-source"):
        stir_entropy(NsmClient(world.nsm), world.entropy, ("nsm-hwrng",))
    assert not world.entropy.mixed


def test_a_module_that_repeats_itself_is_refused(pki_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(pki_folder)
    nsm = NsmClient(world.nsm)
    monkeypatch.setattr(nsm, "random", lambda: bytes(256))
    with pytest.raises(BootError, match="entropy-repeats"):
        stir_entropy(nsm, world.entropy, ("nsm-hwrng",))


def test_module_bytes_are_stirred_into_the_kernel_s_pool(pki_folder: Path) -> None:
    world = World(pki_folder)
    stir_entropy(NsmClient(world.nsm), world.entropy, ("nsm-hwrng",))
    assert len(world.entropy.mixed) == 8


async def test_a_module_that_fails_is_no_boot(pki_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(pki_folder)
    honest = world.new_nsm

    def broken() -> Any:
        nsm = honest()
        monkeypatch.setattr(type(nsm), "call", lambda *_: b"\xff", raising=True)
        return nsm

    monkeypatch.setattr(world, "new_nsm", broken)
    assert (await halted(world)).startswith("nsm-")


async def test_registers_are_locked_once_booted(world: World) -> None:
    nsm = NsmClient(world.nsm)
    assert all(nsm.describe_pcr(index).locked for index in range(32))


@pytest.mark.parametrize("skew_ms", [-3_600_000, -6000, 6000, 3_600_000])
async def test_a_clock_that_disagrees_with_the_module_stops_what_needs_time(pki_folder: Path, skew_ms: int) -> None:
    world = World(pki_folder)
    await world.boot()
    world.clock.wall_offset_ms += skew_ms
    with pytest.raises(Refused) as caught:
        await Client(world).call("CommitVerifier", commit_params("a@example.com"))
    assert caught.value.code == 7314
    assert json.loads((await world.raw("/health", b"", http_method="GET")).body)["clock"] == "untrusted"
    await world.stop()


async def test_a_clock_that_was_not_compared_for_long_is_not_trusted(world: World) -> None:
    world.clock.advance_s(179)
    world.enclave._clock.now_ms()
    world.clock.advance_s(2)
    with pytest.raises(Refusal, match="ClockUntrusted"):
        world.enclave._clock.now_ms()
    await world.pass_time(0)
    world.enclave._clock.now_ms()


async def test_a_document_of_another_time_does_not_count_as_agreement(world: World) -> None:
    clock = world.enclave._clock
    clock.synchronize(clock.monotonic_ms(), world.clock.wall_ms() + 60_000)
    assert not clock.trusted


async def test_booting_waits_for_holders_and_then_serves(pki_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enclave.app._RETRY_S", 0.01)
    world = World(pki_folder)
    for name in world.kms.mode:
        world.kms.mode[name] = "down"
    task = asyncio.create_task(world.enclave.run())
    async with asyncio.timeout(5):
        while True:
            health = json.loads((await world.raw("/health", b"", http_method="GET")).body)
            if set((health["holders"] or {}).get("failing", ())) == {"alpha", "beta", "gamma"}:
                break
            await asyncio.sleep(0.01)
    assert world.enclave.phases.phase is Phase.BOOTING
    with pytest.raises(Refused) as caught:
        await Client(world).call("CommitVerifier", commit_params("a@example.com"))
    assert caught.value.code == 7309
    for name in world.kms.mode:
        world.kms.mode[name] = "up"
    async with asyncio.timeout(5):
        while not world.enclave.phases.serving:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def binding_of(world: World) -> EnclaveBinding:
    """The keys that the present boot binds in its documents."""
    body = json.dumps({"nonce": "A" * 22}).encode()
    answer = json.loads((await world.raw("/rpc/Attestation/Document", body)).body)
    return parse_binding(b64u(answer["binding"]))


async def test_a_restart_opens_the_same_deployment(world: World) -> None:
    first_login = await world.log_in(Client(world))
    before = await binding_of(world)
    await world.boot()
    after = await binding_of(world)
    assert after.identity_key == before.identity_key
    assert after.boot_epoch != before.boot_epoch
    assert (await world.log_in(Client(world)))["signer"] == first_login["signer"]


async def test_an_empty_store_founds_a_visibly_different_service(world: World) -> None:
    before = await binding_of(world)
    world.store = MemoryStore()
    await world.boot()
    assert (await binding_of(world)).identity_key != before.identity_key


async def test_a_damaged_deployment_record_halts(world: World) -> None:
    [place] = [place for place in world.store.rows if place[0] == "deployment"]
    row = world.store.rows[place]
    world.store.rows[place] = type(row)(row.version, row.value[:-1])
    assert await halted(world) == "deployment-record"


async def test_two_workers_that_found_at_once_end_up_with_one_deployment(pki_folder: Path) -> None:
    one, other = World(pki_folder), World(pki_folder)
    other.store, other.kms = one.store, one.kms
    await asyncio.gather(one.boot(), other.boot())
    keys = {(await binding_of(world)).identity_key for world in (one, other)}
    assert len(keys) == 1
    await asyncio.gather(one.stop(), other.stop())


def test_phases_only_go_forward() -> None:
    phases = Phases()
    phases.enter(Phase.SERVING)
    with pytest.raises(RuntimeError):
        phases.enter(Phase.BOOTING)
    phases.enter(Phase.HALTED, "why")
    phases.enter(Phase.HALTED, "again")
    assert phases.reason == "why"
    with pytest.raises(RuntimeError):
        phases.enter(Phase.SERVING)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"surprise": 1}, "config-malformed"),
        ({"version": 2}, "config-malformed"),
        ({"threshold": 1}, "config-threshold"),
        ({"threshold": 3}, "config-threshold"),
        ({"threshold": "2"}, "config-malformed"),
        ({"scopes": []}, "config-scopes"),
        ({"limits": {"otp_digits": 5}}, "config-malformed"),
        ({"limits": {"session_s": 100_000}}, "config-session"),
        ({"sdk_library": "/opt/lib.so"}, "config-sdk-library"),
    ],
)
def test_a_configuration_that_breaks_a_rule_refuses_the_boot(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(BootError) as caught:
        config(**changes)
    assert caught.value.code == code


@pytest.mark.parametrize("alike", ["name", "account", "region"])
def test_holders_of_one_name_account_or_region_are_refused(alike: str) -> None:
    holders = config_json()["holders"]
    first, second = holders[0]["key_arn"].split(":"), holders[1]["key_arn"].split(":")
    if alike == "name":
        holders[1]["name"] = holders[0]["name"]
    elif alike == "account":
        second[4] = first[4]
    else:
        second[3] = first[3]
    holders[1]["key_arn"] = ":".join(second)
    with pytest.raises(BootError) as caught:
        config(holders=holders)
    assert caught.value.code == "config-holders-alike"
