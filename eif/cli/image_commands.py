"""`chancery-eif describe`, `measure`, `sign`, `explain` and `pcr`: one image, or two, as files."""

import typer


def register(app: typer.Typer) -> None:
    """Adds the commands."""
