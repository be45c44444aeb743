"""Rotation: of a guard's holder keys, which changes nothing for anybody, and of its own key, which is another guard."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.errors import StoreError
from evm.address import Address, checksum, parse_address
from evm.wallet.configuration_json import configuration_to_json
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import ConfigUpdatePayload
from protocol import errors, limits
from tests.appliance import Refused, World, config
from tests.enclave_accounts.administration import Administrator
from tests.enclave_guard.guard_rules import DOCUMENT, STRANGER
from tests.enclave_wallet.wallet_support import FALLBACK, SmartUser, address_of, verify, wallet_scopes
from tests.guard_wire.guard_world import GuardWorld, RefusedByGuard, guard_config, pay, request_for
from tests.guard_wire.test_guard_two_keys import CHAIN_ID, PAYMENT, as_listed, asked, together

LATER_S = limits.GENERATION_QUARANTINE_S + 10
_CHANGES = {"id": "changes", "decision": "allow", "effects": ["account-change"], "counterparties": ["any"]}
RULES = [
    _CHANGES | {"every_chain": True, "by_signature": True},
    *(rule for rule in DOCUMENT["rules"] if rule["id"] not in ("no-control-change", "no-every-chain")),
]


class Rotating(GuardWorld):
    """A guard with an administrator."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.admin = Administrator()
        World.__init__(self, folder, **{**guard_config(**changes), "admins": [self.admin.key()]})
        self.admin.client.world = self

    async def generations(self) -> tuple[list[int], int]:
        """Those in use, and the one under which the guard's key lies."""
        founded = await self.enclave._deployment.load()
        assert founded is not None
        key = guard_key(self)
        record = await key._record()
        assert record is not None
        return [made.number for made in founded.generations], key._read(record).generation


def guard_key(world: World) -> Any:
    """The key of the running guard, as its methods hold it."""
    methods = world.enclave._dispatcher._routes.open
    return methods["/rpc/Guard/Ping"].__self__._key  # type: ignore[attr-defined]


@pytest.fixture
async def guard(pki_folder: Path) -> AsyncIterator[Rotating]:
    made = Rotating(pki_folder, rules=RULES)
    await made.boot()
    yield made
    await made.stop()


async def test_holder_keys_rotate_and_the_guard_signs_with_the_same_key_throughout(guard: Rotating) -> None:
    before = await guard.address()
    await guard.admin.rotate("1")
    assert (await guard.generations(), await guard.address()) == (([1, 2], 1), before)
    await guard.pass_time(LATER_S)
    assert await guard.admin.cleanup() == 0, "nothing was renewed yet"
    assert await guard.admin.refresh("1")
    assert (await guard.generations(), await guard.address()) == (([1, 2], 2), before)
    assert await guard.admin.cleanup() == 1
    assert (await guard.generations(), await guard.address()) == (([2], 2), before)
    await guard.boot()
    assert await guard.address() == before


async def test_a_store_that_lists_nothing_does_not_keep_the_key_from_being_renewed(guard: Rotating) -> None:
    before = await guard.address()
    await guard.admin.rotate("1")
    await guard.pass_time(LATER_S)

    async def nothing(_page: Any) -> list[bytes]:
        return []

    guard.store.ids = nothing  # type: ignore[method-assign, assignment]
    assert await guard.admin.refresh("1")
    assert await guard.admin.cleanup() == 1
    assert (await guard.generations(), await guard.address()) == (([2], 2), before)


async def test_boot_renews_what_lies_under_an_earlier_generation(guard: Rotating) -> None:
    await guard.admin.rotate("1")
    await guard.boot()
    assert await guard.generations() == ([1, 2], 2)


async def test_boot_fills_in_the_share_of_a_holder_that_was_away(guard: Rotating) -> None:
    before = await guard.address()
    guard.store.rows = {key: row for key, row in guard.store.rows.items() if key[0] != "guard-key"}
    guard.kms.mode["alpha"] = "down"
    await guard.boot()
    founded = await guard.address()
    assert founded != before
    guard.kms.mode["alpha"] = "up"
    await guard.boot()
    guard.kms.mode["beta"] = "down"
    await guard.boot()
    assert await guard.address() == founded


@pytest.mark.parametrize("written", [False, True])
async def test_crash_while_the_key_is_renewed_leaves_it_under_one_generation_or_the_other(
    guard: Rotating, written: bool
) -> None:
    before, put = await guard.address(), guard.store.put
    await guard.admin.rotate("1")

    async def crash(writes: Any) -> None:
        if writes[0].key.table != "guard-key":
            return await put(writes)
        if written:
            await put(writes)
        raise StoreError("store-unreachable")

    guard.store.put = crash  # type: ignore[method-assign]
    with pytest.raises(Refused):
        await guard.admin.refresh("1")
    assert (await guard.generations())[1] == 1 + written
    assert await guard.admin.cleanup() == 0
    guard.store.put = put  # type: ignore[method-assign]
    await guard.boot()
    assert (await guard.generations(), await guard.address()) == (([1, 2], 2), before)


async def test_key_that_was_rolled_back_to_before_its_renewal_is_refused_within_the_boot(guard: Rotating) -> None:
    rows = guard.store.snapshot()
    await guard.admin.rotate("1")
    await guard.admin.refresh("1")
    now = guard.store.snapshot()
    guard.store.rows = now | {key: row for key, row in rows.items() if key[0] == "guard-key"}
    with pytest.raises(RefusedByGuard) as refused:
        await guard.sign(pay())
    assert refused.value.code == errors.STALE_RECORD.code


async def test_rotation_is_for_administrators_and_officers_are_none(guard: Rotating) -> None:
    stranger = Administrator()
    stranger.client.world = guard
    for call in (stranger.rotate("1"), stranger.refresh("1"), stranger.cleanup()):
        with pytest.raises(Refused) as refused:
            await call
        assert refused.value.code == errors.ACCESS_ERROR.code
    assert await guard.generations() == ([1], 1)


# --- a new key is a new guard: docs/guard.md, "Another guard" ---


def scopes(guard: Address) -> list[dict[str, Any]]:
    """Those of an instrument whose wallets are under this guard."""
    fallback = checksum(address_of(FALLBACK))
    return wallet_scopes(guard={"wallet": checksum(guard), "sessions": fallback, "fallback": fallback})


async def signer_of(guard: GuardWorld) -> Address:
    return parse_address((await guard.ask("Get", {}, "GuardRules"))["signer"])


async def show(guard: GuardWorld, user: SmartUser, **more: Any) -> dict[str, Any]:
    shown = configuration_to_json(await user.configuration())
    return await guard.ask("Register", {"configuration": shown, **more}, "GuardWallets")


@pytest.fixture
async def successor(pki_folder: Path) -> AsyncIterator[GuardWorld]:
    """Another guard, which serves wallets alone that have shown themselves."""
    made = GuardWorld(pki_folder, wallets="registered")
    await made.boot()
    yield made
    await made.stop()


@pytest.fixture
async def user(pki_folder: Path, guard: Rotating) -> AsyncIterator[SmartUser]:
    world = World(pki_folder, scopes=scopes(await guard.address()))
    await world.boot()
    made = await SmartUser.with_wallet(world)
    await show(guard, made)
    yield made
    await world.stop()


async def adopt(user: SmartUser, guard: GuardWorld, successor: GuardWorld) -> tuple[SmartUser, list[str]]:
    """An image of the instrument that names the successor; the wallet follows, by a signature of the old guard."""
    user.world.config = config(scopes=scopes(await signer_of(successor)))
    await user.world.boot()
    again = await SmartUser.logged_in(user.world)
    again.created = user.created
    change = {"type": "adopt-guard"}
    described = await again.ask("UpdateConfiguration", change=change)
    signed = (await again.ask("UpdateConfiguration", change=change, imageHash=described["imageHash"]))["update"]
    payload = ConfigUpdatePayload(bytes.fromhex(described["imageHash"][2:]))
    request = request_for(payload, chain_id=0, wallet=again.wallet, signatures=[as_listed(signed["leaf"])])
    operation = Operation(payload, again.wallet, 0, no_chain_id=True)
    whole = await together(again, operation, await guard.address(), signed, await guard.sign(request))
    await again.ask("ConfirmUpdate", imageHash=described["imageHash"], signature=whole)
    return again, [whole]


async def test_wallet_goes_over_to_another_guard_and_the_old_ones_signature_weighs_nothing_then(
    user: SmartUser, guard: Rotating, successor: GuardWorld
) -> None:
    user, updates = await adopt(user, guard, successor)
    named = {"wallet": checksum(user.wallet)}
    with pytest.raises(RefusedByGuard, match="guard:configuration"):
        await show(successor, user, **named)
    assert (await show(successor, user, **named, updates=updates))["address"] == checksum(user.wallet)
    operation, answer = user.operation(PAYMENT, CHAIN_ID), await user.sign_payload(PAYMENT, CHAIN_ID)
    request = asked(user, operation, as_listed(answer["leaf"]))
    whole = await together(user, operation, await signer_of(successor), answer, await successor.sign(request))
    verify(whole, operation, await user.configuration())
    with pytest.raises(WalletError):
        await together(user, operation, await guard.address(), answer, await guard.sign(request))


async def test_updates_that_do_not_lead_to_a_configuration_prove_nothing(
    user: SmartUser, guard: Rotating, successor: GuardWorld
) -> None:
    user, [update] = await adopt(user, guard, successor)
    answer = await user.sign_payload(PAYMENT)
    other = checksum(STRANGER)
    for wallet, updates in (
        (checksum(user.wallet), [answer["partial"]]),
        (checksum(user.wallet), [update, update]),
        (checksum(user.wallet), [update[:-2] + ("00" if update[-2:] != "00" else "01")]),
        (other, [update]),
    ):
        with pytest.raises(RefusedByGuard, match="guard:configuration") as refused:
            await show(successor, user, wallet=wallet, updates=updates)
        assert refused.value.code in (2001, 2004)
    for malformed in ("0x", [1], ["0x" + "00" * (limits.MAX_WALLET_UPDATE_BYTES + 1)], [update] * 17):
        with pytest.raises(RefusedByGuard) as refused:
            await show(successor, user, wallet=checksum(user.wallet), updates=malformed)
        assert refused.value.code == 2001
