"""A headless Chromium with a virtual authenticator, driven over its debugging protocol."""

import asyncio
import contextlib
import itertools
import json
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import websockets

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
)
_DEADLINE_S = 60
_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Page:
    """One page of the browser."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command; it has to be taken."""
        message = await self._answer(method, **params)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def _answer(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(_DEADLINE_S):
            while True:
                message: dict[str, Any] = json.loads(await self._connection.recv())
                if message.get("id") == number:
                    return message

    async def loaded(self, title: str) -> None:
        """Return once the page of that title is there, with what secure contexts have."""
        async with asyncio.timeout(_DEADLINE_S):
            while True:
                state = await self._answer("Runtime.evaluate", expression="document.title + isSecureContext")
                if state.get("result", {}).get("result", {}).get("value") == f"{title}true":
                    return  # before that there is no page yet, or an empty one
                await asyncio.sleep(0.1)

    async def run(self, script: str) -> Any:
        """The value of a script, run as after a click of the user."""
        answer = await self.command(
            "Runtime.evaluate", expression=script, awaitPromise=True, userGesture=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def add_authenticator(self) -> None:
        """Its user is always there, and always verified."""
        await self.command("WebAuthn.enable")
        await self.command("WebAuthn.addVirtualAuthenticator", options=_AUTHENTICATOR)

    async def credential(self, ceremony: str, options: dict[str, Any]) -> str:
        """What `navigator.credentials` answers, as the page would send it."""
        parse = {"create": "parseCreationOptionsFromJSON", "get": "parseRequestOptionsFromJSON"}[ceremony]
        call = f"navigator.credentials.{ceremony}({{publicKey: PublicKeyCredential.{parse}({json.dumps(options)})}})"
        answer = await self.command(
            "Runtime.evaluate",
            expression=f"{call}.then(made => JSON.stringify(made.toJSON()))",
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer
        text: str = answer["result"]["value"]
        return text


@contextlib.contextmanager
def empty_site() -> Iterator[str]:
    """An origin at localhost that serves an empty page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!DOCTYPE html><title>empty</title>")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.asynccontextmanager
async def browser_page(profile: Path, url: str, title: str = "empty") -> AsyncIterator[Page]:
    """A page that shows `url`."""
    assert CHROMIUM is not None
    arguments = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", url]
    process = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = await _page_address(profile, url)
        async with websockets.connect(address, max_size=None, proxy=None) as connection:
            page = Page(connection)
            await page.loaded(title)
            yield page
    finally:
        process.terminate()
        await process.wait()


async def _page_address(profile: Path, url: str) -> str:
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            await asyncio.sleep(0.1)
            with contextlib.suppress(OSError, IndexError, ValueError, StopIteration):
                port = int((profile / "DevToolsActivePort").read_text().splitlines()[0])
                listed = await asyncio.to_thread(_targets, port)
                return next(found["webSocketDebuggerUrl"] for found in listed if found["url"].startswith(url))


def _targets(port: int) -> Any:
    with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
        return json.loads(answer.read())
