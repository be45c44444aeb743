"""The papers say what the code says: error table, methods, examples, links (what can be checked without reading)."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attestation import channel
from enclave.auth_key import parse_key, verify_request_signature
from host_proxy.config import load_config
from protocol import canonical_json
from protocol.errors import TABLE
from tests.packaging.source import PACKAGES, ROOT

PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / p / "README.md" for p in PACKAGES)])
README = (ROOT / "README.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()


def name_of(paper: Path) -> str:
    return paper.relative_to(ROOT).as_posix()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def routes() -> set[str]:
    """Every path that the enclave's composition names, and the one that the dispatcher takes for sealed requests."""
    names = ("app.py", "services.py", "wallet_services.py", "waas_services.py", "delegation_services.py")
    composing = [ast.parse((ROOT / "enclave" / name).read_text()) for name in names]
    nodes = [node for tree in composing for node in ast.walk(tree)]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {text for text in texts if text.startswith("/")} | {channel.PATH}


def test_error_table_is_that_of_the_code() -> None:
    written = re.findall(r"^\| (-?[0-9]+) \| (\w+) \| ([0-9]+) \| (.+) \|$", API, re.MULTILINE)
    assert written == [(str(row.code), row.name, str(row.status), row.message) for row in TABLE]


def test_every_method_is_described_and_none_that_is_not_there() -> None:
    assert len(routes()) > 10
    described = set(re.findall(r"\b(?:POST|GET) (/[A-Za-z/]+|/\.well-known/[a-z.-]+)", API))
    assert described >= routes(), "a method without a word about it"
    assert {path for path in described if path.startswith("/rpc/")} <= routes(), (
        "words about a method that is not there"
    )


def test_readme_starts_with_the_two_commands() -> None:
    first, *_ = blocks(README, "")
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]
    assert README.index("make demo") < 60


@pytest.mark.parametrize("number", range(len(blocks(README, "python"))))
def test_python_of_the_readme_imports_what_there_is(number: int) -> None:
    tree = ast.parse(blocks(README, "python")[number])
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    subprocess.run([sys.executable, "-c", "\n".join(imports)], cwd=ROOT, check=True, timeout=60)


def test_envelope_of_the_readme_is_one_that_the_enclave_takes() -> None:
    [script] = [block for block in blocks(README, "python") if "json.dumps" in block]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    envelope = json.loads(done.stdout)
    key = parse_key(envelope["authKey"])
    assert key is not None
    verify_request_signature(key, envelope["signature"], canonical_json.canonicalize(envelope["params"]))


def test_configuration_of_the_readme_is_accepted(tmp_path: Path) -> None:
    [text] = blocks(README, "toml")
    path = tmp_path / "host.toml"
    path.write_text(text)
    assert load_config(path).enclave.launch is not None


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_links_between_papers_lead_somewhere(paper: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", without_blocks(paper.read_text()))
    assert [target for target in targets if not (paper.parent / target).exists()] == []


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_files_and_tests_that_papers_name_exist(paper: Path) -> None:
    """Paths in backticks that begin with a package, tests or docs; elsewhere they are relative to something."""
    tops = "|".join([*PACKAGES, "tests", "docs", "benchmarks"])
    named = re.findall(rf"`((?:{tops})/[A-Za-z0-9_/.-]+\.(?:py|md))(?:::(\w+))?`", without_blocks(paper.read_text()))
    assert [path for path, _ in named if "NNNN" not in path and not (ROOT / path).is_file()] == []
    assert [f"{path}::{test}" for path, test in named if test and f"def {test}(" not in (ROOT / path).read_text()] == []
