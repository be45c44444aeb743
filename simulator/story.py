"""How the demo speaks: numbered steps with the time that each took, and checks that end it when they fail."""

import time

import typer


class Story:
    """Numbered steps with the time that each took."""

    def __init__(self) -> None:
        self._step = 0
        self._started = time.monotonic()

    def step(self, title: str) -> None:
        self._step += 1
        elapsed = f"   [{time.monotonic() - self._started:.1f} s]"
        typer.echo(typer.style(f"\n{self._step}. {title}", bold=True) + elapsed)

    def say(self, text: str) -> None:
        typer.echo(f"   {text}")


def require(holds: bool, what: str) -> None:
    """`ValueError` that names `what` unless it holds."""
    if not holds:
        raise ValueError(f"not so: {what}")
