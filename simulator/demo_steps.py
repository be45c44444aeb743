"""Steps that the demo and the boot of the real image have in common: holders that release, fail, and refuse."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from simulator import demo_user
from simulator.story import Story, require

if TYPE_CHECKING:
    from simulator.appliance import Appliance


def copy_of_the_code(folder: Path) -> Path:
    """A copy of the checkout's measured code in `folder`, to be edited."""
    from simulator.enclaves import SOURCE_ROOT
    from simulator.image import APP_PACKAGES

    for package in (*APP_PACKAGES, "simulator"):
        shutil.copytree(SOURCE_ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


async def released(story: Story, appliance: Appliance) -> None:
    story.step("Three share holders release their keys, to this measurement only")
    health = await appliance.wait_until("serving")
    holders = health["holders"]
    require(holders["available"] == 3, "all holders answer")
    story.say("each is a KMS key in an account and region of its own; its policy names PCR0, PCR1 and PCR2")
    story.say(f"{holders['available']} of 3 released, {holders['threshold']} needed, {holders['may_fail']} may fail")


async def one_holder_down(story: Story, appliance: Appliance) -> None:
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


async def refused(story: Story, appliance: Appliance) -> None:
    health = await appliance.wait_for(
        lambda health: len((health["holders"] or {}).get("failing", ())) == 3, "every holder has answered"
    )
    require(not health["serving"], "the edited image does not serve")
    require(set(health["holders"]["failing"].values()) == {"kms-denied"}, "every holder refuses")
    story.say(f"it stays {health['phase']}; holders say: {json.dumps(health['holders']['failing'])}")
