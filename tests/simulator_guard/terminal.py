"""`chancery-sim` as people use it, in a folder of their own, beside a simulator with a guard."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from simulator import guard_settings, settings
from simulator.browser import sign_in
from simulator.cli import build
from tests.e2e.e2e_support import Site

_FOR_USERS = ("login", "session", "wallet", "sign", "account")


class Terminal:
    """One person at one device."""

    def __init__(self, site: Site, home: Path) -> None:
        self._app = build()
        self.home = home
        self.site = site
        guard = site.appliance.guard
        assert guard is not None
        self.guard = guard.url

    def run(self, *arguments: object, stdin: str | None = None, code: int = 0) -> Result:
        """The command's result; its exit code has to be `code`."""
        home = ["--home", str(self.home)] if arguments[0] in _FOR_USERS else []
        words = ["--state", str(self.site.state), *map(str, arguments), *home]
        done = CliRunner().invoke(self._app, words, input=stdin)
        assert done.exit_code == code, f"{done.stdout}{done.stderr}{done.exception!r}"
        return done

    def json(self, *arguments: object, **options: Any) -> Any:
        return json.loads(self.run(*arguments, "--json", **options).stdout)

    def log_in(self, name: str) -> None:
        token = self.file("token.txt", sign_in(self.site.stand_ins.login_page_url, name))
        where = ("--url", self.site.url, "--scope", settings.GUARDED_SCOPE, "--lifetime", "3600")
        self.run("login", "--id-token", token, *where)

    def file(self, name: str, value: Any) -> Path:
        path = self.home / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def officer(self, name: str) -> Path:
        return guard_settings.officer_key(self.site.state, name)


def payment(value: int, to: str = guard_settings.PAYROLL, data: str = "0x", nonce: int = 0) -> dict[str, Any]:
    """A payload of one call."""
    call = {
        "to": to,
        "value": str(value),
        "data": data,
        "gasLimit": "0",
        "delegateCall": False,
        "onlyFallback": False,
        "behaviorOnError": "revert",
    }
    return {"type": "call", "space": "0", "nonce": str(nonce), "calls": [call]}
