"""Services that load later: once, off the event loop, however many wait for them."""

import asyncio
import threading
from typing import Any

import pytest

from enclave.later import Later


class Service:
    async def double(self, number: int) -> int:
        return 2 * number


async def test_first_call_makes_the_service_in_a_thread_and_once() -> None:
    made: list[Any] = []

    def make() -> Service:
        made.append(threading.current_thread())
        return Service()

    method = Later(make).method(lambda service: service.double)
    assert made == []
    assert await asyncio.gather(*(method(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert len(made) == 1
    assert made[0] is not threading.main_thread()


async def test_failure_to_load_is_told_and_tried_again() -> None:
    tries = 0

    def make() -> Service:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ImportError
        return Service()

    method = Later(make).method(lambda service: service.double)
    with pytest.raises(ImportError):
        await method(1)
    assert await method(1) == 2


def test_no_boot_loads_the_formats_of_wallets() -> None:
    import subprocess
    import sys

    script = "import sys, enclave.services; print('evm.wallet' in sys.modules, 'enclave.sequence' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
