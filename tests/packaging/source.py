"""The shipped source as syntax trees, for the tests that read code instead of running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SHIPPED: Final = ("protocol", "attestation", "evm", "enclave", "host_proxy", "eif")
PACKAGES: Final = (*SHIPPED, "simulator")


@dataclass(frozen=True, slots=True)
class Module:
    """One source file. `name` is its path from the root of the checkout."""

    name: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.name.partition("/")[0]

    @property
    def imports(self) -> set[str]:
        """Full dotted names of everything imported anywhere in the file."""
        names = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        return names

    @property
    def imported_packages(self) -> set[str]:
        return {name.partition(".")[0] for name in self.imports}


@cache
def modules(*packages: str) -> tuple[Module, ...]:
    """All modules of `packages`, or of every package."""
    return tuple(_load(path) for package in packages or PACKAGES for path in sorted((ROOT / package).rglob("*.py")))


def _load(path: Path) -> Module:
    text = path.read_text()
    return Module(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


def dotted(node: ast.expr) -> str:
    """`a.b.c` for an attribute chain of names, else an empty text."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{base}.{name}" if (base := dotted(value)) else ""
        case _:
            return ""


def used_names(module: Module) -> Iterator[tuple[str, int]]:
    """Each attribute chain or bare name that `module` uses, with imports resolved (`now()` gives `time.time`)."""
    origin: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            origin |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            origin |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.Attribute, ast.Name)) and (name := dotted(node)):
            first, dot, rest = name.partition(".")
            yield origin.get(first, first) + dot + rest, node.lineno
