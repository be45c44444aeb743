"""Process hardening, seen from a child process (MS-02)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]

_CHILD = """
import ctypes, json, resource, sys
sys.path.insert(0, sys.argv[1])
from enclave.hardening import harden_process

def status():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return fields["NoNewPrivs"].strip()

harden_process()
dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
print(json.dumps([dumpable, resource.getrlimit(resource.RLIMIT_CORE), status()]))
"""


@pytest.fixture(scope="module")
def hardened() -> list[object]:
    done = subprocess.run([sys.executable, "-c", _CHILD, _ROOT], check=True, capture_output=True, text=True)
    return list(json.loads(done.stdout))


def test_process_cannot_be_dumped_or_traced_by_its_neighbours(hardened: list[object]) -> None:
    assert hardened[0] == 0


def test_process_leaves_no_core_file(hardened: list[object]) -> None:
    assert hardened[1] == [0, 0]


def test_process_cannot_gain_privileges_by_exec(hardened: list[object]) -> None:
    assert hardened[2] == "1"
