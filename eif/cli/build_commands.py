"""`chancery-eif build` and `boot`: from the checkout to an image, and the image in the emulator."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eif.cli.exit_codes import ExitCode, leave

if TYPE_CHECKING:
    from eif.emulator.build import Emulator
    from eif.emulator.machine import MachineOptions

_HEARTBEAT_DEADLINE_S: Final = 60.0


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (build, boot):
        app.command()(command)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def build(
    config: Annotated[Path, typer.Option("--config", help="The measured configuration.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The image file to write.")] = Path("build/chancery.eif"),
    kernel: Annotated[
        Path | None, typer.Option("--kernel", help="An own bzImage, such as nitro-cli's; else ours is built.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--source", help="Folder with the code; this checkout.", show_default=False)
    ] = None,
    parts: Annotated[Path | None, typer.Option("--parts", help="Also write the list of all pinned inputs.")] = None,
) -> None:
    """Build an image. The same inputs give the same bytes, wherever and whenever it is done.

    The first build makes the kernel too, from Debian's pinned source: ten minutes on two cores, kept in the cache
    (~/.cache/chancery). Needs Linux on x86-64 with user namespaces, and a Debian mirror in apt's configuration.
    Prints the registers, as nitro-cli prints them; progress goes to standard error.
    """
    from eif.build import SOURCE_ROOT, BuildInputs, build_image
    from eif.measurements import measure
    from eif.parts import parts_json
    from eif.reader import opened

    try:
        inputs = BuildInputs(config.read_bytes(), source=source or SOURCE_ROOT, kernel=kernel)
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        leave(ExitCode.UNREADABLE, f"{error.filename}: {error.strerror}")
    build_image(inputs, out, _say)
    if parts is not None:
        parts.write_text(json.dumps(parts_json(), indent=1) + "\n")
    with opened(out) as stream:
        typer.echo(json.dumps({"Measurements": measure(stream).to_json()}, indent=2))


def boot(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An enclave image file.", show_default=False)],
    memory: Annotated[int, typer.Option("--memory", help="MiB of memory.", min=64, max=65_536)] = 512,
    cpus: Annotated[int, typer.Option("--cpus", help="Processors.", min=1, max=64)] = 2,
    accelerator: Annotated[str, typer.Option("--accelerator", help="auto, kvm or tcg.")] = "auto",
) -> None:
    """Boot an image in QEMU's nitro-enclave machine until it ends or Ctrl-C, and show its console.

    It finds no parent services behind its vsock; `make boot` starts the whole appliance around it. The first time,
    QEMU is built from Debian's source, since Debian's own build lacks the machine.
    """
    from eif.emulator.build import build_emulator
    from eif.emulator.machine import MachineOptions
    from eif.reader import opened, read_image

    if accelerator not in ("auto", "kvm", "tcg"):
        leave(ExitCode.USAGE, "--accelerator is auto, kvm or tcg")
    with opened(image) as stream:
        read_image(stream)
    emulator = build_emulator(_say)
    options = MachineOptions(memory_mib=memory, cpus=cpus, accelerator=accelerator)
    try:
        asyncio.run(_boot(emulator, image, options))
    except KeyboardInterrupt:
        leave(ExitCode.OK, "stopped")


async def _boot(emulator: Emulator, image: Path, options: MachineOptions) -> None:
    from eif.emulator.machine import Machine

    async with Machine(emulator, image, options, on_line=typer.echo) as machine:
        await machine.start()
        await machine.heartbeat(_HEARTBEAT_DEADLINE_S)
        _say(f"the image has started; its vsock is {machine.address}")
        _say(await machine.wait())
