"""Where the files for operators lie."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "deploy"
SAMPLES = FOLDER / "samples"
SYSTEMD = FOLDER / "systemd"
TEMPLATES = FOLDER / "cloudformation"
