"""A person at a laptop becomes a reviewer of the simulated guard, in a browser, and decides there."""

import asyncio
import json
from pathlib import Path

from simulator import guard_settings
from tests.enclave_login.browser import browser_page
from tests.guard_review.test_review_page import TITLE, ReviewPageDriver, needs_chromium
from tests.simulator_guard.terminal import Terminal, payment
from tests.simulator_guard.test_officers import activate, approved


def name_as_reviewer(terminal: Terminal, path: Path, entry: dict[str, str]) -> None:
    """The officers put rules in force that name one more reviewer."""
    terminal.run("guard", "rules", "--out", path, "--url", terminal.guard)
    document = json.loads(path.read_text())
    document["version"] += 1
    document["review"]["reviewers"].append(entry)
    path.write_text(json.dumps(document))
    activate(terminal, path, *approved(terminal, path, "olga", "otto"))


def sign_bonus(terminal: Terminal, code: int = 0) -> None:
    path = terminal.file("bonus.json", payment(3 * 10**18))
    terminal.run("wallet", "sign", path, "--chain", guard_settings.CHAIN, "--guard", terminal.guard, code=code)


@needs_chromium
async def test_person_enrols_on_the_page_is_named_by_officers_and_approves(terminal: Terminal, tmp_path: Path) -> None:
    url = guard_settings.origin(terminal.guard) + "/review/"
    async with browser_page(tmp_path, url, TITLE) as page:
        await page.add_authenticator()
        driver = ReviewPageDriver(page)
        entry = await driver.enrol("me")
        await asyncio.to_thread(name_as_reviewer, terminal, tmp_path / "rules.json", entry)
        await asyncio.to_thread(sign_bonus, terminal, 6)
        await driver.click("#sign-in")
        assert "Signed in as me" in await driver.text("#notice")
        await driver.click("#queue li:first-child button")
        assert "Send 3 coins" in await driver.text("#review")
        await driver.click("#review .approve")
        assert "Your decision (approve) counts" in await driver.text("#notice")
    id_ = terminal.json("reviews", "list")["reviews"][0]["id"]
    assert terminal.run("reviews", "approve", id_, "--as", "rosa").stdout == "approved\n"
    sign_bonus(terminal)
