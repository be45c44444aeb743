"""The reviewers' page in a real browser with a virtual authenticator, over the host, to a guard of the simulator."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from evm.address import checksum
from tests.enclave_guard.guard_rules import STRANGER
from tests.enclave_login.browser import CHROMIUM, Page, browser_page
from tests.evm_effects.made import WALLET
from tests.guard_review.review_world import Reviewer, ReviewWorld, challenge, large, terms
from tests.guard_review.serving import free_port, pcrs, serving
from tests.guard_wire.guard_world import approval, recovered, said

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
TITLE = "Guard reviews"
SITE = "localhost"
_PATIENCE_S = 20
FILES = ("", "review.css", "review.js", "passkeys.js", "chancery-fetch.js", "settings.json")


class ReviewPageDriver:
    """What a person does on the page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def click(self, selector: str) -> None:
        """Click, and wait until the page has done what it does."""
        await self.until("document.readyState === 'complete'")  # its module has not run before
        await self.page.run(f"document.querySelector({json.dumps(selector)}).click()")
        await self.until("!document.getElementById('sign-in').disabled")

    async def until(self, condition: str) -> None:
        """Wait in the page for what a script says."""
        look = f"const look = () => ({condition}) ? done() : setTimeout(look, 20)"
        async with asyncio.timeout(_PATIENCE_S):
            await self.page.run(f"new Promise((done) => {{ {look}; look(); }})")

    async def text(self, selector: str) -> str:
        """What can be read there."""
        found: str = await self.page.run(f"document.querySelector({json.dumps(selector)}).innerText")
        return found

    async def enrol(self, name: str) -> dict[str, str]:
        """A new passkey, as rules name it."""
        await self.page.run(f"document.getElementById('name').value = {json.dumps(name)}")
        await self.click("#enrol")
        entry: dict[str, str] = json.loads(await self.page.run("document.getElementById('entry').textContent"))
        return entry

    async def picture(self, name: str) -> None:
        """A screenshot, where somebody wants to see it."""
        if folder := os.environ.get("CHANCERY_PICTURES"):
            shot = await self.page.command("Page.captureScreenshot", captureBeyondViewport=True)
            picture = Path(folder, f"{name}.png")
            await asyncio.to_thread(picture.write_bytes, base64.b64decode(shot["data"]))


@pytest.fixture
async def unmanned(pki_folder: Path) -> AsyncIterator[ReviewWorld]:
    """A guard whose rules name no reviewers yet."""
    world = ReviewWorld(pki_folder, review=None)
    await world.boot()
    yield world
    await world.stop()


async def activate(world: ReviewWorld, review: dict[str, Any]) -> None:
    document = json.loads((await world.ask("Get", {}, "GuardRules"))["document"])
    text = json.dumps(document | {"version": document["version"] + 1, "review": review})
    statement = said("activate guard rules", text.encode(), document["version"] + 1)
    approvals = [approval(number, statement) for number in (0, 1)]
    await world.ask("Activate", {"document": text, "approvals": approvals}, "GuardRules")


@needs_chromium
async def test_a_person_becomes_a_reviewer_reads_and_approves(unmanned: ReviewWorld, tmp_path: Path) -> None:
    world, port = unmanned, free_port()
    served = serving(world, port, roots=(world.pki.root_der,), images=pcrs())
    async with served as origin, browser_page(tmp_path, f"{origin}/review/", TITLE) as page:
        await page.add_authenticator()
        driver = ReviewPageDriver(page)
        await driver.picture("entrance")
        await driver.click("#sign-in")
        assert "name no reviewers" in await driver.text("#notice")
        entry = await driver.enrol("ada")
        ben = Reviewer("ben", SITE)
        review = terms(ben, site=SITE, origins=[origin])
        await activate(world, review | {"reviewers": [entry, ben.entry()]})
        address = await world.address()
        id_ = await world.hold(large())
        refused_id = await world.hold(large(nonce=1))

        await driver.click("#sign-in")
        assert "Signed in as ada" in await driver.text("#notice")
        assert "Verified: enclave i-" in await driver.text("#source")
        assert "Reviewers: 2 of ada, ben" in await driver.text("#rules")
        left = await driver.text("#budgets")
        assert "usd-day: at most 10000 usd in any 1 day for each wallet" in left
        assert f"{checksum(WALLET)}: 9999.999995 left of 10000; comes back: 0.000005 in" in left
        assert "review by budget:usd-day" in await driver.text("#decisions li")
        await page.run(f"document.getElementById('wallet').value = '{checksum(STRANGER)}'")
        await driver.click("#look")
        assert f"{checksum(STRANGER)}: 10000 left of 10000" in await driver.text("#budgets")
        assert "Nothing has been decided" in await driver.text("#decisions-empty")
        waiting = await driver.text("#queue")
        assert waiting.count('Transfer 3000 of "usd"') == 2
        assert "held by budget:usd-day" in waiting
        await driver.click("#queue li:last-child button")
        shown = await driver.text("#review")
        assert id_ in shown
        assert large()["msg"] in shown
        assert "3000 usd, after 0.000005 usd already" in shown
        await driver.picture("reading")
        await page.command(
            "Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=1, mobile=False
        )
        assert await page.run("document.documentElement.scrollWidth") <= 360, "it fits a telephone"
        await driver.click("#review .approve")
        assert await driver.text("#notice") == "Your decision (approve) counts. The request is held."
        assert "ada: approve" in await driver.text("#review")
        await driver.click("#review .approve")
        assert "decided about this request already" in await driver.text("#notice")

        statement = (await world.review("Get", session=await session_of(world, ben, origin), id=id_))["statement"]
        assertion = ben.answer(challenge(statement, "approve"), origin)
        await world.review("Decide", id=id_, decision="approve", assertion=assertion)
        assert recovered(large(), await world.sign(large())) == address

        await driver.click("#refresh")
        await driver.click("#queue li:first-child button")
        assert refused_id in await driver.text("#review")
        await driver.click("#review .refuse")
        assert "The request is refused" in await driver.text("#notice")
        assert "Nothing waits" in await driver.text("#queue-empty")
        assert await driver.text("#history") != ""
        await driver.picture("ended")
        assert await world.refused(large(nonce=1)) == f"guard:review-refused:{refused_id}"


async def session_of(world: ReviewWorld, reviewer: Reviewer, origin: str) -> str:
    asked = (await world.review("Challenge"))["challenge"]
    opened = await world.review("OpenSession", challenge=asked, assertion=reviewer.answer(asked, origin))
    session: str = opened["session"]
    return session


@needs_chromium
@pytest.mark.parametrize(
    ("trusted", "images", "code"),
    [
        (False, pcrs(), "root-untrusted"),
        (True, pcrs(**{"0": "ab" * 48}), "measurement-mismatch"),
    ],
)
async def test_page_shows_nothing_of_what_it_cannot_verify(
    guard: ReviewWorld, tmp_path: Path, trusted: bool, images: dict[Any, str], code: str
) -> None:
    roots = (guard.pki.root_der,) if trusted else ()
    served = serving(guard, free_port(), roots=roots, images=images)
    async with served as origin, browser_page(tmp_path, f"{origin}/review/", TITLE) as page:
        driver = ReviewPageDriver(page)
        await driver.click("#sign-in")
        notice = await driver.text("#notice")
        assert notice.startswith("Nothing is shown, because what answers could not be verified"), notice
        assert code in notice
        assert await driver.text("#source") == "No enclave has been verified yet."


async def test_files_of_the_page_let_nothing_else_run(guard: ReviewWorld) -> None:
    port = free_port()
    async with serving(guard, port, roots=(), images=pcrs()), httpx.AsyncClient(trust_env=False) as http:
        for name in FILES:
            found = await http.get(f"http://127.0.0.1:{port}/review/{name}")
            assert found.status_code == 200
            policy = found.headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" in policy
            assert "unsafe" not in policy
            assert found.headers["x-content-type-options"] == "nosniff"
        settings = await http.get(f"http://127.0.0.1:{port}/review/settings.json")
        assert settings.json() == {"deployment": "test-deployment", "expectedPcrs": pcrs()}, "roots are a stand-in's"
        page = (await http.get(f"http://127.0.0.1:{port}/review/")).text
        assert "style=" not in page
        assert page.count("<script") == page.count('<script type="module" src="') == 1
        assert (await http.post(f"http://127.0.0.1:{port}/review/")).status_code == 405
        for path in ("/review", "/review/index.html", "/review/../review/review.js", "/review/%72eview.js"):
            assert (await http.get(f"http://127.0.0.1:{port}{path}")).status_code in (200, 404)
