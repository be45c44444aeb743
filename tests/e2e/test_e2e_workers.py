"""An enclave of two processes through HTTP: users of both, one device each for a wallet, and the end of one of them."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from enclave.workers import Worker
from tests.e2e.e2e_support import Site, User, new_email, refused, scopes

WORKERS = 2


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("workers"), changes={"scopes": scopes(), "workers": WORKERS}) as running:
        yield running.serving()


def of_worker(site: Site, number: int) -> User:
    """A device whose key worker `number` owns."""
    while True:
        user = site.user()
        if Worker(number, WORKERS).owns(user.device.wire()["address"].lower()):
            return user


def processes(site: Site) -> list[int]:
    first = site.appliance.launcher.pid
    assert first is not None
    return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]


def test_devices_of_both_workers_sign_for_one_wallet_and_revoke_each_other(crew: Site) -> None:
    email = new_email()
    phone, laptop = of_worker(crew, 0), of_worker(crew, 1)
    (signer, session), (same, other) = phone.ready(email), laptop.ready(email)
    assert signer == same == phone.recovered(session.session) == laptop.recovered(other.session)
    device = f"{laptop.device.wire()['keyType']}:{laptop.device.wire()['address'].lower()}"
    phone.flows.revoke(device, None)
    with refused() as refusal:
        laptop.recovered(other.session)
    assert refusal.code == 7202
    assert phone.recovered(session.session) == signer


def test_health_names_all_workers(crew: Site) -> None:
    health = crew.health()
    assert (health["workers"], health["workers_connected"], health["serving"]) == (WORKERS, WORKERS, True)


@pytest.mark.parametrize("victim", range(WORKERS))
def test_worker_that_dies_takes_the_enclave_with_it_and_the_wallet_stays(crew: Site, victim: int) -> None:
    email = new_email()
    signer = of_worker(crew, 0).log_in(email).signer
    before, boots = processes(crew), crew.metric("chancery_enclave_starts_total")
    assert len(before) == WORKERS
    os.kill(before[victim], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in before):
        assert time.monotonic() < deadline, "half an enclave goes on"
        time.sleep(0.02)
    crew.wait_for(lambda _: crew.metric("chancery_enclave_starts_total") > boots, "another boot")
    crew.serving()
    user = of_worker(crew, 1)
    assert user.log_in(email).signer == signer
    assert httpx.get(f"{crew.url}/status").status_code == 200
