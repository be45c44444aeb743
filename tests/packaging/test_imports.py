"""Who may import whom (design section 4): by contract, by allow-list, and in a running interpreter (VS-07)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.source import PACKAGES, ROOT, SHIPPED, modules

# First-party packages on which each package may stand.
MAY_IMPORT = {
    "protocol": set(),
    "attestation": {"protocol"},
    "evm": {"protocol"},
    "enclave": {"protocol", "attestation", "evm"},
    "host_proxy": {"protocol", "attestation"},
    "eif": {"protocol", "attestation"},
    "simulator": set(PACKAGES),
}
# The command line puts into words what it is given (ADR 40), and the relay reads what it has signed (ADR 53), both only
# when they are asked to; the proxy itself knows no format of any chain.
KNOW_FORMATS, ALSO = ("host_proxy/cli/", "host_proxy/relay/"), {"evm"}
# Third-party packages of the trusted side. A new name here is a decision: it ends up in the image.
TRUSTED = {
    "protocol": {"cbor2", "msgspec", "rfc8785"},
    "attestation": {"cbor2", "cryptography", "httpx", "pycose"},  # httpx: `client.py` alone, which nothing imports
    "evm": {"coincurve", "eth_abi", "eth_account", "eth_hash", "eth_keys", "eth_utils", "hexbytes", "rlp", "sha3"},
    "enclave": {
        "_cffi_backend", "aiosmtplib", "asn1crypto", "cbor2", "cffi", "coincurve", "cryptography",
        "eth_account", "h11", "joserfc", "msgspec",
    },
}  # fmt: skip


def loaded_packages(*imported: str) -> set[str]:
    """Top-level packages in `sys.modules` of a fresh interpreter that imported these modules."""
    script = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    command = [sys.executable, "-c", script, *imported]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def importable(package: str) -> list[str]:
    """Dotted names of all modules of `package`; the ones that run on import are left out."""
    names = [Path(module.name).with_suffix("").as_posix().replace("/", ".") for module in modules(package)]
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


def test_packages_stand_only_on_what_the_design_allows() -> None:
    own = set(PACKAGES) | {"tests", "benchmarks"}
    allowed = {
        m.name: MAY_IMPORT[m.package] | {m.package} | (ALSO if m.name.startswith(KNOW_FORMATS) else set())
        for m in modules()
    }
    found = {m.name: (m.imported_packages & own) - allowed[m.name] for m in modules()}
    assert {name: foreign for name, foreign in found.items() if foreign} == {}


@pytest.mark.parametrize("package", TRUSTED)
def test_trusted_side_uses_only_listed_libraries(package: str) -> None:
    known = TRUSTED[package] | set(sys.stdlib_module_names) | set(PACKAGES)
    found = {module.name: module.imported_packages - known for module in modules(package)}
    assert {name: libraries for name, libraries in found.items() if libraries} == {}


@pytest.mark.parametrize(
    ("package", "strangers"),
    [
        ("host_proxy", {"enclave", "evm", "eif", "simulator"}),
        ("attestation", {"evm", "enclave", "host_proxy", "eif", "simulator"}),
        ("enclave", {"host_proxy", "eif", "simulator", "boto3", "uvicorn", "starlette", "uvloop", "pytest"}),
        ("evm", {"attestation", "enclave", "host_proxy", "eif", "simulator"}),
        ("eif", {"evm", "enclave", "host_proxy", "simulator"}),
        ("protocol", {"cryptography", "asyncio", "socket", "attestation", "evm", "enclave", "host_proxy", "simulator"}),
    ],
)
def test_loading_every_module_of_a_package_loads_no_stranger(package: str, strangers: set[str]) -> None:
    assert loaded_packages(*importable(package)) & strangers == set()


def test_this_test_would_see_a_stranger() -> None:
    assert "enclave" in loaded_packages("protocol.limits", "enclave.errors")


def test_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout


def test_every_shipped_package_has_a_contract() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert [package for package in SHIPPED if f'source_modules = ["{package}"]' not in text] == []
