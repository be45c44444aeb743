"""The threat model claims nothing that no test shows: its links lead somewhere, and no control is passed over."""

import ast
import re
from functools import cache

import pytest

from tests.packaging.source import ROOT

TEXT = (ROOT / "docs" / "threat-model.md").read_text()

# How many controls each family of the numbering has.
FAMILIES = {
    "AT": 21, "CB": 11, "KM": 16, "RB": 14, "TI": 8, "OI": 17, "OT": 12, "SE": 18, "CH": 9, "VS": 12, "DO": 8, "MS": 8,
    "LP": 9, "SH": 10, "SM": 5, "SC": 12, "UG": 12,
}  # fmt: skip
CONTROLS = [f"{family}-{number:02}" for family, count in FAMILIES.items() for number in range(1, count + 1)]


def section(title: str) -> str:
    """What stands under a heading of the second level."""
    _, _, rest = TEXT.partition(f"\n## {title}\n")
    assert rest, f"there is no section '{title}'"
    return rest.partition("\n## ")[0]


def rows(title: str, columns: int) -> list[list[str]]:
    """The cells of the table rows in a section that begin with a control's id."""
    lines = [line for line in section(title).splitlines() if re.match(r"\| [A-Z]{2}-[0-9]{2} ", line)]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row for row in cells if len(row) != columns] == []
    return cells


CLAIMS = rows("What we claim", 4)
MISSING = rows("What we do not claim yet", 3)


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))


def quoted(cell: str) -> list[str]:
    """The texts in backticks, when the cell holds nothing else."""
    found = re.findall(r"`([^`]+)`", cell)
    assert found, f"no link in: {cell}"
    assert "<br>".join(f"`{text}`" for text in found) == cell, cell
    return found


def test_every_control_is_claimed_or_said_to_be_missing_and_only_once() -> None:
    listed = [row[0] for row in CLAIMS + MISSING]
    assert sorted(listed) == sorted(CONTROLS)


@pytest.mark.parametrize(("control", "claim", "code", "tests"), CLAIMS, ids=[row[0] for row in CLAIMS])
def test_claim_leads_to_code_and_to_tests_that_exist(control: str, claim: str, code: str, tests: str) -> None:
    assert claim
    [path] = quoted(code)
    assert (ROOT / path).is_file(), f"{control}: there is no {path}"
    for test in quoted(tests):
        file, _, function = test.partition("::")
        assert function.startswith("test_"), f"{control}: {test} names no test"
        assert (ROOT / file).is_file(), f"{control}: there is no {file}"
        assert function in functions_of(file), f"{control}: there is no {test}"


@pytest.mark.parametrize("row", MISSING, ids=[row[0] for row in MISSING])
def test_what_is_missing_comes_with_a_sentence(row: list[str]) -> None:
    _, priority, why = row
    assert priority in {"M", "S", "C"}
    assert re.fullmatch(r"[A-Z].{10,}\.", why), why


def test_what_was_never_tried_on_hardware_is_listed() -> None:
    """SM-05."""
    items = re.findall(r"^- (.+)$", section("Never tried on hardware"), re.MULTILINE)
    assert len(items) >= 5
    assert all(len(item) > 20 for item in items)


@pytest.mark.parametrize("number", range(1, 15))
def test_every_attacker_has_a_row(number: int) -> None:
    assert re.search(rf"^\| T{number} \| .+ \| .+ \| .+ \| .+ \|$", TEXT, re.MULTILINE)


def test_other_paths_that_the_threat_model_names_exist() -> None:
    named = re.findall(r"`((?:[a-z_]+/)+[a-z0-9_-]+\.(?:py|md))(?:::[a-z0-9_]+)?`", TEXT)
    assert named
    assert [path for path in set(named) if not (ROOT / path).is_file()] == []
