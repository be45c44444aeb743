"""`chancery-sim boot`: builds the real image, boots it in the emulator, and does the demo's main job against it.

What the demo shows of a walled-in process is shown here of the image that is deployed: kernel, init, /dev/nsm, vsock.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from host_proxy.cli.exit_codes import ExitCode, leave
from simulator import demo_steps, demo_user
from simulator.story import Story, require

if TYPE_CHECKING:
    from simulator.appliance import Appliance

_MEASURED_MODULE: Final = "enclave/wallets.py"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("boot")(boot)


def boot() -> None:
    """Build the image twice, boot it in QEMU, log in, sign and verify; then boot it with one byte changed.

    The first time, kernel and emulator are built too: about half an hour on two cores, kept in the cache. Needs Linux
    on x86-64 with user namespaces, and a Debian mirror in apt's configuration. Exits with 0 only if every step held.
    """
    from eif.errors import EifError
    from host_proxy.client.errors import ClientError

    try:
        with tempfile.TemporaryDirectory(prefix="chancery-boot-") as folder:
            asyncio.run(_boot(Path(folder)))
    except EifError as error:
        leave(ExitCode.FAILED, f"the image does not boot: {error.text}")
    except (TimeoutError, ValueError, OSError, ClientError) as error:
        leave(ExitCode.FAILED, f"the image does not do its job: {error}")


async def _boot(state: Path) -> None:
    from host_proxy.logging import Log
    from simulator.appliance import Options, describe, running
    from simulator.enclaves import Emulated

    story = Story()
    story.step("The image is built and measured")
    with (state / "host.log").open("w") as stream:
        enclaves = Emulated(say=story.say)
        options = Options(listen="127.0.0.1:0", log=Log(stream), enclaves=enclaves, on_line=story.say)
        async with running(state, options) as appliance:
            story.say(f"{appliance.image.path.stat().st_size / 2**20:.1f} MiB")
            for name, value in describe(appliance.image).items():
                story.say(f"{name} {value[:48]}…")
            story.step("It boots in QEMU: kernel, init, /dev/nsm, vsock; and the holders release to its registers")
            await demo_steps.released(story, appliance)
            await asyncio.to_thread(demo_user.act_as_user, story, appliance, state)
            await demo_steps.one_holder_down(story, appliance)
            kept = state / "approved.eif"
            shutil.copyfile(appliance.image.path, kept)
        await _edited_image(story, state, kept)
    typer.echo(typer.style("\nAll steps held.", bold=True))


async def _edited_image(story: Story, state: Path, approved: Path) -> None:
    """One byte in the source, another image; the holders refuse it, and `explain` names the file."""
    from host_proxy.logging import Log
    from simulator.appliance import Options, running
    from simulator.enclaves import Emulated

    story.step("The same image with one byte changed: it boots, and the holders refuse it")
    with tempfile.TemporaryDirectory(prefix="chancery-edited-") as folder:
        source = demo_steps.copy_of_the_code(Path(folder))
        path = source / _MEASURED_MODULE
        path.write_text(path.read_text().replace("The", "the", 1))
        with (state / "host.log").open("a") as stream:
            options = Options(listen="127.0.0.1:0", log=Log(stream), enclaves=Emulated(source), pin=False)
            async with running(state, options) as appliance:
                _explain(story, approved, appliance)
                await demo_steps.refused(story, appliance)


def _explain(story: Story, approved: Path, appliance: Appliance) -> None:
    from eif.explain import explain
    from eif.explain.render import render
    from eif.reader import opened

    with opened(approved) as before, opened(appliance.image.path) as after:
        text = render(explain(before, after))
    require(_MEASURED_MODULE in text, "explain names the file that was edited")
    for line in text.splitlines():
        story.say(line)
