"""Holder keys: the fastest t of n, key checks, leases, and what health says (KM-02, KM-06, KM-15, SH-06)."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from enclave.config import Holder
from enclave.errors import BootError, KmsError, Refusal
from enclave.holder_key import WrappedHolderKey, encryption_context, key_check
from enclave.holders import HolderKeys
from enclave.ports import DataKey
from enclave.secret import Secret
from protocol import cbor, errors, limits

NAMES = ("alpha", "beta", "gamma")
HOLDERS = tuple(
    Holder(name=name, key_arn=f"arn:aws:kms:eu-west-{i}:{i}11111111111:key/{name}") for i, name in enumerate(NAMES, 1)
)
LEASE_S = 300


class ManualClock:
    def __init__(self) -> None:
        self.now_ms = 1000

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + self.now_ms

    def monotonic_ms(self) -> int:
        return self.now_ms

    def source(self) -> str:
        return "kvm-clock"


class Kms:
    """Three holders that can be up, down, hung or lying; blobs bind holder and context as real ones do."""

    def __init__(self) -> None:
        self.mode = dict.fromkeys(NAMES, "up")
        self.gates: dict[str, asyncio.Event] = {name: asyncio.Event() for name in NAMES}
        self.calls: list[tuple[str, str]] = []
        self.blobs: dict[bytes, tuple[str, Mapping[str, str], bytes]] = {}
        self.given: list[Secret] = []

    async def generate_data_key(self, holder: Holder, context: Mapping[str, str]) -> DataKey:
        await self._arrive("generate", holder)
        blob, key = os.urandom(40), os.urandom(32)
        self.blobs[blob] = (holder.key_arn, dict(context), key)
        return DataKey(blob, self._give(key))

    async def decrypt(self, holder: Holder, ciphertext_blob: bytes, context: Mapping[str, str]) -> Secret:
        await self._arrive("decrypt", holder)
        arn, bound, key = self.blobs[ciphertext_blob]
        if (arn, bound) != (holder.key_arn, dict(context)):
            raise KmsError("kms-ciphertext-refused")
        return self._give({"lying": os.urandom(32), "short": key[:31]}.get(self.mode[holder.name], key))

    async def _arrive(self, operation: str, holder: Holder) -> None:
        self.calls.append((operation, holder.name))
        match self.mode[holder.name]:
            case "down":
                raise KmsError("kms-egress-refused")
            case "hung":
                await asyncio.Event().wait()
            case "slow":
                await self.gates[holder.name].wait()
            case "faulty":
                raise ZeroDivisionError

    def _give(self, key: bytes) -> Secret:
        self.given.append(Secret.take(bytearray(key)))
        return self.given[-1]

    def live(self) -> int:
        return sum(secret._offset >= 0 for secret in self.given)


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.kms = Kms()
        self.keys = self.boot()
        self.wrapped: list[WrappedHolderKey] = []

    def boot(self, lease_s: float = LEASE_S, generation: int = 1) -> HolderKeys:
        return HolderKeys(
            self.kms,
            deployment="test",
            holders=HOLDERS,
            threshold=2,
            clock=self.clock,
            lease_s=lease_s,
            generation=generation,
        )

    def reboot(self, lease_s: float = LEASE_S, generation: int = 1) -> HolderKeys:
        """A second boot that takes the stored keys; calls are counted anew."""
        self.keys.close()
        self.keys = self.boot(lease_s, generation)
        self.keys.adopt(self.wrapped)
        self.kms.calls.clear()
        self.kms.given.clear()
        return self.keys


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    world.wrapped = await world.keys.provision()
    yield world
    world.keys.close()
    await asyncio.sleep(0)


def fingerprint(keys: HolderKeys, index: int) -> bytes:
    with keys.sealing_key(index, "wallet", b"w" * 32, 1) as key:
        return bytes(key.view)


async def refused(keys: HolderKeys, among: set[int] | None = None) -> None:
    with pytest.raises(Refusal) as caught:
        await keys.available(among)
    assert caught.value.error is errors.HOLDERS_UNAVAILABLE


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_provision_makes_one_key_for_each_holder_under_lease(world: World) -> None:
    assert [key.name for key in world.wrapped] == list(NAMES)
    assert [key.generation for key in world.wrapped] == [1, 1, 1]
    world.kms.calls.clear()
    assert await world.keys.available() == {1, 2, 3}
    assert world.kms.calls == []
    assert {bound["holder"] for _, bound, _ in world.kms.blobs.values()} == set(NAMES)


async def test_context_names_deployment_purpose_holder_and_generation(world: World) -> None:
    _, context, _ = world.kms.blobs[world.wrapped[0].ciphertext_blob]
    assert context == encryption_context("test", "alpha", 1)
    assert context == {"deployment": "test", "purpose": "holder-key", "holder": "alpha", "generation": "1"}


@pytest.mark.parametrize(("mode", "code"), [("down", "kms-egress-refused"), ("lying", "kms-wrong-key")])
async def test_provision_needs_every_holder(mode: str, code: str) -> None:
    world = World()
    world.kms.mode["beta"] = mode
    with pytest.raises(BootError) as caught:
        await world.keys.provision()
    assert caught.value.code == "holders-unavailable"
    assert str(caught.value) == f"holders-unavailable: beta: {code}"
    assert world.kms.live() == 0


async def test_same_keys_are_opened_after_a_reboot(world: World) -> None:
    before = [fingerprint(world.keys, index) for index in (1, 2, 3)]
    keys = world.reboot()
    await keys.available()
    await settle()
    assert [fingerprint(keys, index) for index in (1, 2, 3)] == before
    assert len(set(before)) == 3


@pytest.mark.parametrize("holder", NAMES)
@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("down", "kms-egress-refused"),
        ("hung", None),
        ("lying", "kms-wrong-key"),
        ("short", "kms-wrong-key"),
        ("faulty", "kms-fault"),
    ],
)
async def test_one_holder_failing_changes_nothing_and_is_named(
    world: World, holder: str, mode: str, code: str | None
) -> None:
    keys = world.reboot()
    world.kms.mode[holder] = mode
    held = await keys.available()
    await settle()
    good = {index for index, name in enumerate(NAMES, 1) if name != holder}
    assert held == good
    health = keys.health()
    assert health.available == tuple(name for name in NAMES if name != holder)
    assert health.may_still_fail == 0
    assert health.failing == ({holder: code} if code else {})


async def test_hung_holder_is_named_after_the_deadline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KMS_DEADLINE_S", 0.01)
    keys = world.reboot()
    world.kms.mode["gamma"] = "hung"
    health = await keys.refresh()
    assert health.failing == {"gamma": "kms-deadline"}


async def test_two_holders_down_is_one_refusal_and_health_says_so_first(world: World) -> None:
    keys = world.reboot()
    world.kms.mode |= {"alpha": "down", "beta": "lying"}
    health = await keys.refresh()
    assert health.may_still_fail == -1
    assert health.failing == {"alpha": "kms-egress-refused", "beta": "kms-wrong-key"}
    await refused(keys)


async def test_failed_round_is_not_repeated_by_each_request_but_after_a_pause(world: World) -> None:
    keys = world.reboot()
    world.kms.mode |= {"alpha": "down", "beta": "down"}
    await refused(keys)
    world.kms.calls.clear()
    for _ in range(20):
        await refused(keys)
    assert world.kms.calls == []
    world.kms.mode = dict.fromkeys(NAMES, "up")
    world.clock.now_ms += int(limits.HOLDER_RETRY_S * 1000)
    assert len(await keys.available()) >= 2


async def test_many_requests_make_one_round(world: World) -> None:
    keys = world.reboot()
    world.kms.mode = dict.fromkeys(NAMES, "slow")
    waiting = [asyncio.create_task(keys.available()) for _ in range(50)]
    await settle()
    assert sorted(world.kms.calls) == [("decrypt", name) for name in NAMES]
    for gate in world.kms.gates.values():
        gate.set()
    assert all(len(held) >= 2 for held in await asyncio.gather(*waiting))
    assert len(world.kms.calls) == 3


async def test_cancelled_request_does_not_cancel_the_round(world: World) -> None:
    keys = world.reboot()
    world.kms.mode = dict.fromkeys(NAMES, "slow")
    first, second = asyncio.create_task(keys.available()), asyncio.create_task(keys.available())
    await settle()
    first.cancel()
    for gate in world.kms.gates.values():
        gate.set()
    assert len(await second) >= 2
    assert len(world.kms.calls) == 3


async def test_fastest_t_answer_and_the_slow_one_joins_later(world: World) -> None:
    keys = world.reboot()
    world.kms.mode["alpha"] = "slow"
    assert await keys.available() == {2, 3}
    with pytest.raises(Refusal):
        keys.sealing_key(1, "wallet", b"w", 1)
    world.kms.gates["alpha"].set()
    await settle()
    assert await keys.available() == {1, 2, 3}
    assert len(world.kms.calls) == 3


async def test_nobody_is_asked_while_the_lease_runs(world: World) -> None:
    keys = world.reboot()
    await keys.available()
    await settle()
    world.kms.calls.clear()
    world.clock.now_ms += LEASE_S * 1000 - 1
    for _ in range(100):
        await keys.available()
    assert world.kms.calls == []


async def test_end_of_the_lease_wipes_and_asks_all_again(world: World) -> None:
    keys = world.reboot()
    await keys.available()
    await settle()
    old = list(world.kms.given)
    world.kms.calls.clear()
    world.clock.now_ms += LEASE_S * 1000
    await keys.available()
    await settle()
    assert sorted(world.kms.calls) == [("decrypt", name) for name in NAMES]
    assert all(secret._offset < 0 for secret in old)
    assert world.kms.live() == 3


async def test_lease_ends_without_any_request(world: World) -> None:
    keys = world.reboot(lease_s=0.01)
    await keys.available()
    await settle()
    await asyncio.sleep(0.02)  # a later timer of the same loop, so those of the leases have run
    assert world.kms.live() == 0
    with pytest.raises(Refusal):
        keys.sealing_key(1, "wallet", b"w", 1)


async def test_holders_that_stay_away_after_the_lease_stop_service(world: World) -> None:
    keys = world.reboot()
    await keys.available()
    await settle()
    world.kms.mode |= {"alpha": "down", "gamma": "down"}
    world.clock.now_ms += LEASE_S * 1000
    await refused(keys)
    assert world.kms.live() == 1


async def test_holder_that_fails_during_the_lease_keeps_its_key_until_the_end(world: World) -> None:
    keys = world.reboot()
    await keys.refresh()
    world.kms.mode["alpha"] = "down"
    health = await keys.refresh()
    assert health.failing == {"alpha": "kms-egress-refused"}
    assert await keys.available() == {1, 2, 3}


async def test_refresh_renews_leases(world: World) -> None:
    keys = world.reboot()
    await keys.refresh()
    world.clock.now_ms += LEASE_S * 1000 - 1
    await keys.refresh()
    world.kms.calls.clear()
    world.clock.now_ms += LEASE_S * 1000 - 1
    assert await keys.available() == {1, 2, 3}
    assert world.kms.calls == []
    assert world.kms.live() == 3, "replaced keys are wiped"


async def test_returned_holder_is_asked_again_in_the_background(world: World) -> None:
    keys = world.reboot()
    world.kms.mode["beta"] = "down"
    await keys.available()
    await settle()
    world.kms.mode["beta"] = "up"
    world.clock.now_ms += int(limits.HOLDER_RETRY_S * 1000)
    assert await keys.available() == {1, 3}, "nobody waits for it"
    await settle()
    assert await keys.available() == {1, 2, 3}
    assert keys.health().may_still_fail == 1


async def test_only_holders_among_those_wanted_count(world: World) -> None:
    keys = world.reboot()
    world.kms.mode["alpha"] = "down"
    assert await keys.available(among={2, 3}) == {2, 3}
    await refused(keys, among={1, 2})
    await refused(keys, among={3})
    await refused(keys, among={3, 9})


async def test_too_few_wanted_is_refused_without_waiting_for_anybody(world: World) -> None:
    keys = world.reboot()
    world.kms.mode = dict.fromkeys(NAMES, "hung")
    async with asyncio.timeout(1):
        await refused(keys, among={1})


async def test_swapped_blobs_are_refused_and_named(world: World) -> None:
    alpha, beta, gamma = world.wrapped
    world.wrapped = [
        WrappedHolderKey("alpha", beta.ciphertext_blob, 1, alpha.key_check),
        WrappedHolderKey("beta", alpha.ciphertext_blob, 1, beta.key_check),
        gamma,
    ]
    keys = world.reboot()
    await refused(keys)
    assert keys.health().failing == dict.fromkeys(("alpha", "beta"), "kms-ciphertext-refused")


async def test_key_of_another_generation_or_check_is_refused(world: World) -> None:
    world.wrapped = [WrappedHolderKey(k.name, k.ciphertext_blob, 2, k.key_check) for k in world.wrapped]
    await refused(world.reboot(generation=2))
    world.wrapped = [WrappedHolderKey(k.name, k.ciphertext_blob, 1, bytes(32)) for k in world.wrapped]
    keys = world.reboot()
    await refused(keys)
    assert set(keys.health().failing.values()) == {"kms-wrong-key"}
    assert world.kms.live() == 0


async def test_key_check_is_bound_to_the_key_arn(world: World) -> None:
    """The host cannot have one holder's key pass for another's, whatever KMS would say."""
    checks = {keys.key_check for keys in await asyncio.gather(*(_wrap_fixed(holder, world) for holder in HOLDERS))}
    assert len(checks) == 3


async def _wrap_fixed(holder: Holder, world: World) -> WrappedHolderKey:
    with Secret.take(bytearray(b"k" * 32)) as key:
        context = encryption_context("test", "same", 1)
        return WrappedHolderKey(holder.name, b"b", 1, key_check(key, holder, context))


def _damaged(wrapped: list[WrappedHolderKey]) -> dict[str, list[WrappedHolderKey]]:
    alpha, beta, gamma = wrapped

    def changed(**change: Any) -> list[WrappedHolderKey]:
        fields = {"name": "alpha", "ciphertext_blob": b"b", "generation": 1, "key_check": bytes(32)} | change
        return [WrappedHolderKey(**fields), beta, gamma]

    return {
        "one missing": [alpha, beta],
        "one twice": [alpha, beta, beta],
        "one too many": [alpha, beta, gamma, gamma],
        "unknown holder": changed(name="delta"),
        "mixed generations": changed(generation=2),
        "empty blob": changed(ciphertext_blob=b""),
        "blob above the cap": changed(ciphertext_blob=bytes(limits.MAX_KMS_CIPHERTEXT_BYTES + 1)),
        "short check": changed(key_check=bytes(31)),
        "none": [],
    }


@pytest.mark.parametrize("what", _damaged([WrappedHolderKey(name, b"b", 1, bytes(32)) for name in NAMES]))
async def test_damaged_stored_keys_refuse_the_boot(world: World, what: str) -> None:
    with pytest.raises(BootError) as caught:
        world.boot().adopt(_damaged(world.wrapped)[what])
    assert caught.value.code == "holder-keys"


async def test_blob_at_the_cap_is_adopted(world: World) -> None:
    blob = bytes(limits.MAX_KMS_CIPHERTEXT_BYTES)
    world.boot().adopt([WrappedHolderKey(name, blob, 1, bytes(32)) for name in NAMES])


async def test_nothing_is_asked_before_keys_are_adopted() -> None:
    world = World()
    await refused(world.keys)
    assert world.kms.calls == []
    assert world.keys.health().may_still_fail == -2


async def test_wrong_share_names_its_holder_without_counting_it_out(world: World) -> None:
    world.keys.report_wrong_share(2)
    health = world.keys.health()
    assert health.failing == {"beta": "holder-wrong-share"}
    assert health.may_still_fail == 1
    await world.keys.refresh()
    assert world.keys.health().failing == {}


async def test_adopting_other_keys_ends_calls_and_leases(world: World) -> None:
    keys = world.reboot()
    world.kms.mode["alpha"] = "slow"
    await keys.available()
    keys.adopt(world.wrapped)
    assert world.kms.live() == 0
    world.kms.gates["alpha"].set()
    await settle()
    with pytest.raises(Refusal):
        keys.sealing_key(1, "wallet", b"w", 1)


async def test_sealing_key_is_hkdf_over_purpose_owner_and_generation(world: World) -> None:
    holder_key = world.kms.blobs[world.wrapped[0].ciphertext_blob][2]
    info = cbor.dumps(["chancery/share-key/1", "wallet", b"w" * 32, 1])
    assert fingerprint(world.keys, 1) == HKDFExpand(SHA256(), 32, info).derive(holder_key)
    variants = {("wallet", b"w", 1), ("identity", b"w", 1), ("wallet", b"v", 1), ("wallet", b"w", 2)}
    derived = set()
    for variant in variants:
        with world.keys.sealing_key(1, *variant) as key:
            derived.add(bytes(key.view))
    assert len(derived) == len(variants)
