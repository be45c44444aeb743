"""A relay that ends at every point of a send: afterwards each operation has happened exactly once."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from host_proxy.relay.node_relay import Patience
from tests.packaging.source import ROOT
from tests.relay.chain import Chain, Fate, Killed, Process, operation, until_final

AUTOMINE = [True, False]
_LIFE_S = 30


async def life(chain_url: str, path: Path, names: list[str], fate: Fate) -> None:
    """Two operations are sent, and looked after twice, the second time for more money."""
    clock = [0.0]
    patience = Patience(confirmations=1, bump_after_s=30)
    process = Process(chain_url, path, fate=fate, patience=patience, now_s=lambda: clock[0])
    try:
        await process.relay.send([operation(name) for name in names])
        for _ in range(2):
            clock[0] += 20
            await process.relay.advance()
    finally:
        await process.close()


async def afterwards(chain: Chain, path: Path, names: list[str]) -> None:
    """The next process; whoever asked the first time asks again, because no answer came."""
    await chain.automine(True)
    process = Process(chain.url, path)
    sent = [operation(name) for name in names]
    await process.relay.send(sent)
    await until_final(chain, process.relay, sent)
    assert [await chain.count(each) for each in sent] == [1, 1]
    await process.close()


@pytest.mark.slow
@pytest.mark.parametrize("automine", AUTOMINE, ids=["mined at once", "waiting"])
async def test_end_at_any_point_leaves_each_operation_done_once(chain: Chain, tmp_path: Path, automine: bool) -> None:
    whole = Fate()
    await chain.automine(automine)
    await life(chain.url, tmp_path / "whole", ["whole 1", "whole 2"], whole)
    await afterwards(chain, tmp_path / "whole", ["whole 1", "whole 2"])
    assert whole.passed > 30
    for at in range(whole.passed):
        names = [f"{automine} {at} {number}" for number in (1, 2)]
        await chain.automine(automine)
        path, fate = tmp_path / f"journal {at}", Fate(at)
        try:
            await life(chain.url, path, names, fate)
        except Killed:
            pass
        else:
            assert fate.passed <= at, "the point was passed, and nothing ended"
        await afterwards(chain, path, names)


@pytest.mark.parametrize("at", [3, 8, 11, 13, 15, 17, 19, 23])
async def test_killed_process_leaves_each_operation_done_once(chain: Chain, tmp_path: Path, at: int) -> None:
    """The same with a process of its own and SIGKILL."""
    names = [f"killed {at} {number}" for number in (1, 2)]
    command = [sys.executable, "-m", "tests.relay.test_relay_killed", chain.url, str(tmp_path / "journal"), str(at)]
    process = await asyncio.create_subprocess_exec(*command, *names, cwd=ROOT)
    async with asyncio.timeout(_LIFE_S):
        assert await process.wait() == -signal.SIGKILL
    await afterwards(chain, tmp_path / "journal", names)


if __name__ == "__main__":
    url, journal, point, *operations = sys.argv[1:]
    asyncio.run(life(url, Path(journal), operations, Fate(int(point), lambda: os.kill(os.getpid(), signal.SIGKILL))))
