"""Where the shared vectors lie: beside the checkout, read in place. Tests that need them skip with a reason."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "vectors"


def folder(kind: str) -> Path:
    """The folder of one kind of vectors; skips the calling test when it is absent."""
    path = FOLDER / kind
    if not path.is_dir():
        pytest.skip(f"shared vectors are not beside this checkout: {kind}", allow_module_level=True)
    return path
