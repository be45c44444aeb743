"""Every row of the limits table has a test at its cap and at cap + 1, or the suite is red (DO-01)."""

import ast
from functools import cache
from pathlib import Path

import pytest

from protocol import limits
from tests.limits.registry import COVERED, NOT_CAPS

ROOT = Path(__file__).resolve().parents[2]
ROWS = {name: value for name, value in vars(limits).items() if name.isupper()}


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))


def test_every_row_is_registered_once() -> None:
    wrong = [name for name in ROWS if (name in COVERED) == (name in NOT_CAPS)]
    assert wrong == [], "register their tests in tests/limits/registry.py"


def test_every_registered_name_is_a_row() -> None:
    assert {*COVERED, *NOT_CAPS} - set(ROWS) == set()


@pytest.mark.parametrize(("name", "registered"), COVERED.items())
def test_registered_test_exists_and_names_the_limit(name: str, registered: str | tuple[str, str]) -> None:
    tests = [test.split("::") for test in ([registered] if isinstance(registered, str) else registered)]
    assert [function for path, function in tests if function not in functions_of(path)] == []
    assert all(function.startswith("test_") for _, function in tests)
    assert any(name in (ROOT / path).read_text() for path, _ in tests)


def test_rows_are_positive_numbers_named_as_caps_or_deadlines() -> None:
    assert [name for name, value in ROWS.items() if value <= 0] == []
    caps, times = ("MAX_", "MIN_", "DEFAULT_"), ("_S", "_MS")
    assert [name for name in ROWS if not name.startswith(caps) and not name.endswith(times)] == ["KIB"]


def test_limits_live_in_one_file() -> None:
    """No other module that takes requests defines a `MAX_*_BYTES` and the like of its own (ADR 22)."""
    units = ("_BYTES", "_CHARS", "_DEPTH", "_ITEMS", "_ENTRIES", "_DEADLINE_S", "_DIGITS", "_ATTEMPTS")
    strays = []
    formats = {ROOT / "evm" / name for name in ("wallet", "intents", "delegations", "effects")}
    for package in ("protocol", "attestation", "evm", "enclave", "host_proxy"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name == "limits.py" or formats & set(path.parents):
                continue
            for node in ast.parse(path.read_text()).body:
                target = node.target if isinstance(node, ast.AnnAssign) else None
                if (
                    isinstance(target, ast.Name)
                    and target.id.lstrip("_").startswith("MAX_")
                    and target.id.endswith(units)
                ):
                    strays.append(f"{path.relative_to(ROOT)}: {target.id}")
    assert strays == []
