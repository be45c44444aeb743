"""Shared memory between real processes, and what a fork does and does not hand on (MS-01, MS-02, RB-01)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.enclave_workers.processes import PROCESSES, RECORDS, ROUNDS

ROOT = Path(__file__).resolve().parents[2]


def run(name: str) -> Any:
    """What the processes print."""
    command = [sys.executable, "-m", "tests.enclave_workers.processes", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_record_is_written_by_one_process_at_a_time() -> None:
    found = run("writes")
    assert found["sum"] == PROCESSES * ROUNDS
    assert found["records"] == len(RECORDS)
    assert sum(found["waited"]) > 0


def test_floor_is_the_highest_that_any_process_has_seen() -> None:
    assert run("floors") == [ROUNDS * PROCESSES - 1] * len(RECORDS)


def test_processes_count_together_to_the_limit_and_no_further() -> None:
    assert run("counts")["taken"] == 500


def test_receipts_of_all_processes_are_numbered_once_and_upwards() -> None:
    numbers = run("counts")["receipts"]
    assert sorted(number for each in numbers for number in each) == list(range(1, PROCESSES * ROUNDS + 1))
    assert all(each == sorted(each) for each in numbers)


def test_forked_workers_draw_their_own_keys_in_locked_memory_and_inherit_no_secret() -> None:
    workers = run("fork")
    assert sorted(worker[0] for worker in workers) == list(range(PROCESSES))
    assert all(int(worker[1]) >= 256 for worker in workers)
    assert len({worker[2] for worker in workers}) == PROCESSES
    assert {worker[3] for worker in workers if worker[0]} == {"00" * 32}
    assert len({worker[4] for worker in workers}) == 1


def test_end_of_a_worker_shows_on_the_socket_to_it() -> None:
    assert run("ended") == ""
