"""Each numbered defect of the published service has its tests: the table of `docs/compatibility.md`, row by row."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEFECTS = 34
_ROW = re.compile(r"^\| ([0-9]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = _ROW.findall((ROOT / "docs" / "compatibility.md").read_text())


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))


def test_no_defect_is_passed_over() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, DEFECTS + 1))


@pytest.mark.parametrize("tests", [row[2] for row in ROWS], ids=[f"defect-{row[0]}" for row in ROWS])
def test_defect_has_tests(tests: str) -> None:
    named = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(\w+)`", tests)
    assert named
    assert [f"{path}::{name}" for path, name in named if name not in functions_of(path)] == []
