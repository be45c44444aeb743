"""What review would otherwise look for: sizes, docstrings, left-overs, and calls that the shipped code never makes.

Each test lists the offenders as `file:line`, so that one run shows them all.
"""

import ast
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tests.packaging.source import ROOT, SHIPPED, Module, modules, used_names

MODULE_LINES, MODULE_LINES_TARGET = 400, 250
FUNCTION_LINES = 60

# Modules above the target, each with the reason why it stays whole. Nothing may pass the hard cap.
LONG_MODULES: dict[str, str] = {}

# Modules that adapt the guest's system: the only ones that may touch what the rest of the enclave must not.
ENTRY_POINT = "enclave/__main__.py"
SYSTEM_PORTS = "enclave/system.py"


def line_count(module: Module) -> int:
    return module.text.count("\n")


def uses(among: Iterable[Module], *names: str) -> list[str]:
    """Where `among` uses exactly these names or anything below them."""
    return [
        f"{module.name}:{line} {name}"
        for module in among
        for name, line in used_names(module)
        if any(f"{name}.".startswith(f"{wanted}.") for wanted in names)
    ]


def enclave_without(*exceptions: str) -> list[Module]:
    return [module for module in modules("enclave") if module.name not in exceptions]


def test_modules_are_small() -> None:
    assert {m.name: line_count(m) for m in modules() if line_count(m) > MODULE_LINES} == {}
    above_target = {m.name: line_count(m) for m in modules() if line_count(m) > MODULE_LINES_TARGET}
    assert {name: lines for name, lines in above_target.items() if name not in LONG_MODULES} == {}
    assert set(LONG_MODULES) <= set(above_target), "the list of long modules names short ones"


def test_functions_are_small() -> None:
    assert [
        f"{module.name}:{node.lineno} {node.name}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    ] == []


def test_modules_say_what_they_are() -> None:
    assert [module.name for module in modules() if len(ast.get_docstring(module.tree) or "") < 30] == []


def test_nothing_is_left_to_do() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|[Pp]laceholder docstring")
    assert [module.name for module in modules() if marks.search(module.text)] == []
    assert uses(modules(), "NotImplementedError") == []


def test_no_assertion_guards_anything() -> None:
    """MS-07: `python -O` removes assertions."""
    assert [
        f"{module.name}:{node.lineno}"
        for module in modules(*SHIPPED)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assert)
    ] == []


def test_enclave_takes_the_time_from_its_clock_port_alone() -> None:
    """TI-01."""
    clocks = ("time", "time_ns", "localtime", "gmtime", "ctime", "strftime", "clock_gettime", "clock_gettime_ns")
    dates = ("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today")
    wall = [f"time.{name}" for name in clocks]
    assert uses(enclave_without(SYSTEM_PORTS), *wall, *dates, "email.utils.localtime") == []


def test_enclave_reads_neither_environment_nor_arguments() -> None:
    """VS-12: what the parent instance can set decides nothing."""
    names = ("os.environ", "os.environb", "os.getenv", "os.getenvb", "sys.argv", "sys.orig_argv")
    assert uses(enclave_without(ENTRY_POINT), *names) == []


def test_enclave_draws_randomness_from_the_kernel_and_not_from_a_generator_of_python() -> None:
    """MS-06."""
    assert [module.name for module in modules("enclave") if "random" in module.imported_packages] == []


def test_secrets_are_not_compared_with_equality() -> None:
    """MS-05, as far as names tell: codes, MACs and digests of answers go through `hmac.compare_digest`."""
    telling = re.compile(r"(^|_)(otp|mac|hmac|secret|password|(answer|code|token)_(digest|hash|mac))$")
    found = []
    for module in modules("enclave"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Compare) and any(isinstance(op, (ast.Eq, ast.NotEq)) for op in node.ops):
                sides = [node.left, *node.comparators]
                names = [side.id if isinstance(side, ast.Name) else getattr(side, "attr", "") for side in sides]
                found += [f"{module.name}:{node.lineno} {name}" for name in names if telling.search(name)]
    assert found == []


@cache
def checked_in() -> dict[str, bytes]:
    """Contents of every file that is or could be committed, but for this one, which has to name what it looks for."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    return {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file() and path != Path(__file__).resolve()
    }


def files_with(pattern: bytes) -> list[str]:
    return [name for name, content in checked_in().items() if re.search(pattern, content)]


def test_no_file_knows_the_machine_on_which_it_was_written() -> None:
    here = re.escape(f"{ROOT}/".encode())
    assert files_with(rb"/(root|home/[a-z]+|Users/[A-Za-z]+|work)/[A-Za-z0-9_.]|" + here) == []


def test_no_file_says_where_packages_come_from() -> None:
    """That is a matter of the machine; what they are is pinned by hash."""
    assert files_with(rb"pypi\.(org|python)|pythonhosted|--(extra-)?index-url|--find-links|tool\.uv\.index") == []
