"""What is secret about factors stays inside: it is in no answer to others, no log, no record and no repr."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.guard.factors.authorizing import OwnershipProof, UpdateProof
from enclave.guard.factors.pins import HashedPin
from enclave.guard.factors.record import Factors, StartedTotp, Totp, User
from enclave.guard.factors.step_up import AuthToken
from evm.address import checksum
from protocol.frames import Response
from tests.guard_factors.factor_world import SETTINGS, FactorWorld, Holder, running
from tests.guard_wire.guard_world import RefusedByGuard, approval, said

PIN = "canary-2718281828"
SUBJECT = "canary-subject"


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


class Overheard(FactorWorld):
    """A guard whose answers are written down."""

    answers: list[bytes]

    async def raw(self, *args: Any, **more: Any) -> Response:
        answer = await super().raw(*args, **more)
        self.answers.append(answer.body)
        return answer


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[Overheard]:
    Overheard.answers = []
    async with running(pki_folder, Overheard) as made:
        yield made


async def fails(asking: Any) -> None:
    with pytest.raises(RefusedByGuard):
        await asking


async def test_nothing_secret_is_in_answers_logs_or_the_store(
    world: Overheard, capfd: pytest.CaptureFixture[str]
) -> None:
    user = await Holder.registered(world, SUBJECT)
    await user.enrol_totp()
    await user.update("SetPIN", user.totp(), pin=PIN)
    shown = len(world.answers)
    secret = [PIN, SUBJECT, user.seed.hex(), *user.codes, *(code.replace("-", "") for code in user.codes)]
    token = user.token()
    await fails(user.pay())
    await fails(user.pay({"id": "PIN", "token": PIN + "!"}))
    await fails(user.pay({"id": "recovery", "token": "AAAAA-AAAAA"}))
    await fails(world.ask("AuthMethods", {}, authorization=f"Bearer {token}x"))
    await fails(world.ask("Reset2FA", {"code": user.codes[0] + "X"}, **user.bearer(token)))
    await fails(world.ask("SetPIN", {"pin": PIN}, **user.bearer(token)))
    await user.pay({"id": "PIN", "token": PIN})
    document = (await world.ask("Get", {}, "GuardRules"))["document"].encode()
    await world.ask("Decisions", {"approval": approval(0, said("read guard decisions", document, 1))}, "GuardRules")
    heard = b"\n".join(world.answers[shown:]).decode() + "".join(capfd.readouterr())
    assert [found for found in (*secret, token) if found in heard] == []
    stored = b"\n".join(key[1] + row.value for key, row in world.store.rows.items())
    plain = [*(text.encode() for text in secret), user.seed, user.wallet]
    assert [found for found in plain if found in stored] == []
    assert {table for table, _ in world.store.rows} >= {"guard-factors", "guard-user", "spent"}


def test_nothing_secret_is_in_a_repr() -> None:
    kept = Factors(
        user=User("canary", "canary"),
        totp=Totp(b"canary", 1),
        started=StartedTotp(b"canary", 1),
        pin=HashedPin(b"canary", b"canary"),
    )
    shown = [kept, kept.user, kept.totp, kept.started, kept.pin, AuthToken("TOTP", "canary")]
    shown += [UpdateProof("canary", 1, 1, b"canary"), OwnershipProof(b"", b"", 1, 1, b"canary")]  # type: ignore[arg-type]
    assert "canary" not in f"{shown!r} {kept}"


async def test_past_the_host_everything_works_that_is_not_taken_in_the_clear(pki_folder: Path) -> None:
    async with running(pki_folder, second_factors=SETTINGS | {"plain": False}) as world:
        user = await Holder.registered(world)
        proof = await user.signed_update()
        await world.ask_sealed("SetPIN", proof | {"pin": PIN}, **user.bearer())
        assert await world.ask_sealed("AuthMethods", {}, **user.bearer()) == {"methods": ["PIN"], "active": True}
        asked = {"signer": checksum(user.guard), "request": user.payment()}
        assert (await world.ask_sealed("SignWith", asked | {"token": {"id": "PIN", "token": PIN}}))["sig"]
