"""What importing this package brings along: no I/O, no environment, and eth-account only for the cross-check."""

import ast
import subprocess
import sys
from pathlib import Path

import evm

FOLDER = Path(next(iter(evm.__path__)))
FORBIDDEN = {
    "os",
    "socket",
    "subprocess",
    "asyncio",
    "pathlib",
    "io",
    "time",
    "random",
    "secrets",
    "threading",
    "logging",
}


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found |= {node.func.id} & {"open", "exec", "eval", "__import__", "input", "print"}
    return found


def test_modules_import_nothing_that_reaches_outside() -> None:
    for path in FOLDER.rglob("*.py"):
        chosen = {"os"} if path.name == "cross_check.py" else set()  # it tells eth-hash which library to use
        assert not (_imports(path) - chosen) & (FORBIDDEN | {"open", "exec", "eval", "__import__", "input", "print"}), (
            path
        )


def test_parsers_do_not_import_eth_account() -> None:
    code = (
        "import sys, evm.transaction, evm.typed_data, evm.message, evm.authorization\n"
        "print([name for name in ('eth_account', 'eth_utils', 'pydantic', 'rlp') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=FOLDER.parent)
    assert result.stdout.strip() == "[]"
