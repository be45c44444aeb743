"""`chancery-sim demo`: the main job, told step by step, each step checked while it is told.

Everything below happens for real on this machine: processes, TLS, policies, signatures, and an EVM that executes.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from host_proxy.cli.exit_codes import ExitCode, leave
from simulator import demo_guard, demo_steps, demo_user
from simulator.story import Story

if TYPE_CHECKING:
    pass


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(demo)


def demo() -> None:
    """Show the main job: measure, release keys, log in, sign, execute, verify, guard, refuse. About half a minute.

    Uses a fresh state folder and free ports; leaves nothing behind. Exits with 0 only if every step held.
    """
    from host_proxy.client.errors import ClientError

    try:
        with tempfile.TemporaryDirectory(prefix="chancery-demo-") as folder:
            asyncio.run(_demo(Path(folder)))
    except (TimeoutError, ValueError, OSError, ClientError) as error:
        leave(ExitCode.FAILED, f"the demo failed: {error}")


async def _demo(state: Path) -> None:
    from host_proxy.logging import Log
    from simulator.appliance import Options, describe, running
    from simulator.places import GuardOptions

    story = Story()
    typer.echo("Chancery, all of it on this machine: enclaves, hosts, share holders, mail, identity provider.")
    story.step("The image is staged, measured and started behind walls")
    with (state / "host.log").open("w") as stream:
        options = Options(listen="127.0.0.1:0", log=Log(stream), on_line=_guests(story), guard=GuardOptions())
        async with running(state, options) as appliance:
            for name, value in describe(appliance.image).items():
                story.say(f"{name} {value[:48]}…")
            await demo_steps.released(story, appliance)
            await asyncio.to_thread(demo_user.act_as_user, story, appliance, state)
            await asyncio.to_thread(demo_guard.act_under_guard, story, appliance, state)
            await demo_steps.one_holder_down(story, appliance)
        await _edited_image(story, state)
    typer.echo(typer.style("\nAll steps held.", bold=True) + " `make run` does the same and stays up for you to try.")


def _guests(story: Story) -> Callable[[str], None]:
    """Shows what processes of enclaves print, where a person can use it, and the same only once."""
    told: set[str] = set()

    def show(line: str) -> None:
        if line.startswith("simulator: ") and line not in told:
            told.add(line)
            story.say(line.removeprefix("simulator: "))

    return show


async def _edited_image(story: Story, state: Path) -> None:
    """One line more in `enclave/`, and the holders refuse."""
    from host_proxy.logging import Log
    from simulator.appliance import Options, running
    from simulator.enclaves import WalledIn

    story.step("Somebody edits one line of the enclave: the holders refuse")
    with tempfile.TemporaryDirectory(prefix="chancery-edited-") as folder:
        source = demo_steps.copy_of_the_code(Path(folder))
        with (source / "enclave" / "wallets.py").open("a") as file:
            file.write("\n# a line that nobody approved\n")
        with (state / "host.log").open("a") as stream:
            options = Options(listen="127.0.0.1:0", log=Log(stream), enclaves=WalledIn(source), pin=False)
            async with running(state, options) as appliance:
                story.say(f"PCR0 {appliance.image.pcrs[0].hex()[:48]}…")
                await demo_steps.refused(story, appliance)
