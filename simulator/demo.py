"""`chancery-sim demo`: the main job, told step by step, each step checked while it is told.

Everything below happens for real on this machine: processes, TLS, policies, signatures, and an EVM that executes.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from host_proxy.cli.exit_codes import ExitCode, leave
from simulator import demo_user
from simulator.story import Story, require

if TYPE_CHECKING:
    from simulator.appliance import Appliance


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(demo)


def demo() -> None:
    """Show the main job: measure, release keys, log in twice, sign, execute, verify, refuse. About half a minute.

    Uses a fresh state folder and free ports; leaves nothing behind. Exits with 0 only if every step held.
    """
    from host_proxy.client.api import ClientError

    try:
        with tempfile.TemporaryDirectory(prefix="chancery-demo-") as folder:
            asyncio.run(_demo(Path(folder)))
    except (TimeoutError, ValueError, OSError, ClientError) as error:
        leave(ExitCode.FAILED, f"the demo failed: {error}")


async def _demo(state: Path) -> None:
    from host_proxy.logging import Log
    from simulator.appliance import Options, describe, running

    story = Story()
    typer.echo("Chancery, all of it on this machine: enclave, host, three share holders, mail, identity provider.")
    story.step("The image is staged, measured and started behind walls")
    with (state / "host.log").open("w") as stream:
        options = Options(listen="127.0.0.1:0", log=Log(stream), on_line=lambda line: _guest(story, line))
        async with running(state, options) as appliance:
            for name, value in describe(appliance.image).items():
                story.say(f"{name} {value[:48]}…")
            await _released(story, appliance)
            await asyncio.to_thread(demo_user.act_as_user, story, appliance, state)
            await _one_holder_down(story, appliance)
        await _edited_image(story, state)
    typer.echo(typer.style("\nAll steps held.", bold=True) + " `make run` does the same and stays up for you to try.")


def _guest(story: Story, line: str) -> None:
    """What the enclave's process prints, where a person can use it."""
    if line.startswith("simulator: "):
        story.say(line.removeprefix("simulator: "))


async def _released(story: Story, appliance: Appliance) -> None:
    story.step("Three share holders release their keys, to this measurement only")
    health = await appliance.wait_until("serving")
    holders = health["holders"]
    require(holders["available"] == 3, "all holders answer")
    story.say("each is a KMS key in an account and region of its own; its policy names PCR0, PCR1 and PCR2")
    story.say(f"{holders['available']} of 3 released, {holders['threshold']} needed, {holders['may_fail']} may fail")


async def _one_holder_down(story: Story, appliance: Appliance) -> None:
    from simulator import settings
    from simulator.kms.faults import Fault

    story.step("One holder of three goes down, and the enclave restarts: nothing changes for the user")
    appliance.stand_ins.kms.set_fault(settings.HOLDERS[0].region, Fault.DOWN)
    await appliance.launcher.stop()  # every key has to be released anew
    health = await appliance.wait_for(
        lambda health: bool(health["serving"] and health["holders"]["failing"]), "serving with one holder down"
    )
    story.say(f"serving again; /health names the missing holder: {json.dumps(health['holders'])}")
    await asyncio.to_thread(demo_user.log_in_again, story, appliance)


async def _edited_image(story: Story, state: Path) -> None:
    """One line more in `enclave/`, and the holders refuse."""
    import shutil

    from host_proxy.logging import Log
    from simulator.appliance import Options, running
    from simulator.enclaves import SOURCE_ROOT, WalledIn
    from simulator.image import APP_PACKAGES

    story.step("Somebody edits one line of the enclave: the holders refuse")
    with tempfile.TemporaryDirectory(prefix="chancery-edited-") as folder:
        source = Path(folder)
        for package in (*APP_PACKAGES, "simulator"):
            shutil.copytree(SOURCE_ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
        with (source / "enclave" / "wallets.py").open("a") as file:
            file.write("\n# a line that nobody approved\n")
        with (state / "host.log").open("a") as stream:
            options = Options(listen="127.0.0.1:0", log=Log(stream), enclaves=WalledIn(source), pin=False)
            async with running(state, options) as appliance:
                story.say(f"PCR0 {appliance.image.pcrs[0].hex()[:48]}…")
                await _refused(story, appliance)


async def _refused(story: Story, appliance: Appliance) -> None:
    health = await appliance.wait_for(
        lambda health: len((health["holders"] or {}).get("failing", ())) == 3, "every holder has answered"
    )
    require(not health["serving"], "the edited image does not serve")
    require(set(health["holders"]["failing"].values()) == {"kms-denied"}, "every holder refuses")
    story.say(f"it stays {health['phase']}; holders say: {json.dumps(health['holders']['failing'])}")
