"""Accounts and rotation from the command line, every answer attested, under key policies that holders really have."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from host_proxy.cli import USER_COMMANDS, build_app
from host_proxy.client.device_key import DeviceKey
from host_proxy.client.errors import ServiceRefusal
from simulator import settings
from simulator.browser import authorize, sign_in
from tests.e2e.e2e_support import Site, new_email, refused, scopes

DELAY_S = 1


class Terminal:
    """The program under the simulator's root, and one home folder."""

    def __init__(self, site: Site, home: Path) -> None:
        self._app = build_app((site.stand_ins.root,), USER_COMMANDS)
        self.home = home
        self.site = site

    def run(self, *arguments: object, stdin: str | None = None, code: int = 0) -> Result:
        done = CliRunner().invoke(self._app, list(map(str, arguments)), input=stdin)
        assert done.exit_code == code, f"{done.stdout}{done.stderr}{done.exception}"
        return done

    def user(self, *arguments: object, code: int = 0) -> Result:
        return self.run(*arguments, "--home", self.home, code=code)

    def account(self, *arguments: object) -> Any:
        return json.loads(self.user("account", *arguments, "--json").stdout)

    def log_in(self, name: str) -> None:
        token = self.home / "token.txt"
        token.write_text(sign_in(self.site.stand_ins.login_page_url, name))
        self.user("login", "--id-token", token, "--url", self.site.url)


@pytest.fixture(scope="module")
def admin_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("admin") / "admin.pem"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, admin_key: Path) -> Iterator[Site]:
    """An appliance with an administrator and short delays."""
    wire = DeviceKey.load_or_create(admin_key).wire()
    admin = {"name": "operations", "key_type": wire["keyType"], "address": wire["address"]}
    provisioned = {"client_secret": "provisioned"}
    clients = [client | (provisioned if "client_secret" in client else {}) for client in settings.oidc_clients()]
    changes = {"scopes": scopes(oidc=clients), "admins": [admin], "limits": {"account_delay_s": DELAY_S}}
    with Site(tmp_path_factory.mktemp("appliance"), changes=changes) as running:
        yield running.serving()


@pytest.fixture
def terminal(site: Site, tmp_path: Path) -> Terminal:
    return Terminal(site, tmp_path)


def test_a_second_login_is_linked_and_closed_again(terminal: Terminal) -> None:
    terminal.log_in("grace")
    wallet = terminal.account("show")["signer"]
    token = terminal.home / "second.txt"
    token.write_text(sign_in(terminal.site.stand_ins.login_page_url, "grace-at-work"))
    shown = terminal.account("link", "--id-token", token)
    names = [login["login"] for login in shown["logins"]]
    assert names == [f"OIDC:{settings.ISSUER}#{name}" for name in ("grace", "grace-at-work")]
    terminal.log_in("grace-at-work")
    assert terminal.account("show")["signer"] == wallet
    terminal.log_in("grace")
    assert len(terminal.account("unlink", names[1])["logins"]) == 1
    refused = terminal.user("account", "unlink", names[0], code=1)
    assert "last login" in refused.stderr


def test_a_frozen_account_signs_nothing_until_it_thaws(terminal: Terminal) -> None:
    terminal.log_in("hedy")
    assert terminal.account("freeze")["state"] == "frozen"
    assert "frozen" in terminal.user("sign", "message", "hello", code=1).stderr
    assert "Log in again" in terminal.user("account", "unfreeze", code=1).stderr


def test_others_are_logged_out(terminal: Terminal, tmp_path: Path) -> None:
    terminal.log_in("ida")
    other = Terminal(terminal.site, tmp_path / "other")
    other.home.mkdir()
    other.log_in("ida")
    assert len(terminal.account("show")["devices"]) == 2
    assert len(terminal.account("log-out-others")["devices"]) == 1
    other.user("sign", "message", "hello", code=1)
    terminal.user("sign", "message", "hello")


def test_what_is_shown_reads_like_words(terminal: Terminal) -> None:
    terminal.log_in("joan")
    words = terminal.user("account", "show").stdout
    assert f"login    OIDC:{settings.ISSUER}#joan  (this device)" in words
    assert "state    active" in words


def test_a_key_for_the_configuration_is_printed_and_kept(terminal: Terminal, admin_key: Path) -> None:
    printed = json.loads(terminal.run("admin", "key", "--key", admin_key, "--name", "night-shift").stdout)
    assert printed == json.loads(terminal.run("admin", "key", "--key", admin_key, "--name", "night-shift").stdout)
    assert printed["address"] == DeviceKey.load_or_create(admin_key).address


def test_client_secret_is_provisioned_past_the_host(site: Site, terminal: Terminal, admin_key: Path) -> None:
    user, secret = site.user(), terminal.home / "secret.json"
    named = (settings.ISSUER, settings.WEB_CLIENT_ID, settings.REDIRECT_URI)
    with refused() as refusal:
        user.flows.finish_code_login(user.flows.start_code_login(*named), "code")
    assert (refusal.code, refusal.cause) == (7104, "provider-client-secret")
    secret.write_text(json.dumps({"value": settings.WEB_CLIENT_SECRET}))
    options = ("--key", admin_key, "--deployment", settings.DEPLOYMENT, "--url", site.url, "--scope", settings.SCOPE)
    client = ("--issuer", settings.ISSUER, "--audience", settings.WEB_CLIENT_ID)
    assert "has a secret" in terminal.run("admin", "client-secret", secret, *options, *client).stdout
    started = user.flows.start_code_login(*named)
    code = authorize(site.stand_ins.login_page_url, "web-user", settings.WEB_CLIENT_ID, started["challenge"])
    assert user.flows.finish_code_login(started, code).identity["sub"] == "web-user"


def test_refresh_waits_when_it_comes_too_often(
    site: Site, terminal: Terminal, admin_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bool | Exception] = [ServiceRefusal({"code": 7205}), False, ServiceRefusal({"code": 7205}), True]

    def refresh(*_: object) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pauses: list[float] = []
    monkeypatch.setattr("host_proxy.client.admin.Admin.refresh", refresh)
    monkeypatch.setattr("time.sleep", pauses.append)
    options = ("--key", admin_key, "--deployment", settings.DEPLOYMENT, "--url", site.url)
    assert "2 batches" in terminal.run("admin", "refresh", "1", *options).stdout
    assert pauses == [5.0, 5.0]


def test_rotation_needs_every_holder_and_loses_no_wallet(site: Site, terminal: Terminal, admin_key: Path) -> None:
    """The administrator alone rotates nothing: key policies name the generation that they allow."""
    user = site.user()
    email = new_email()
    wallet, session = user.ready(email)
    options = ("--key", admin_key, "--deployment", settings.DEPLOYMENT, "--url", site.url)
    refused = terminal.run("admin", "rotate", "1", *options, code=1)
    assert "Too few share holders" in refused.stderr
    pcrs = {index: site.appliance.image.pcrs[index] for index in range(3)}
    site.stand_ins.pin(pcrs, (1, 2))
    terminal.run("admin", "rotate", "1", *options)
    assert user.recovered(session.session) == wallet
    assert "as far as the store tells" in terminal.run("admin", "refresh", "1", *options).stdout
    assert user.recovered(session.session) == wallet
    assert "retired 0" in terminal.run("admin", "cleanup", *options).stdout, "others may not know yet"
    site.restart()
    assert user.ready(email)[0] == wallet
    stranger = terminal.home / "stranger.pem"
    assert "Access error" in terminal.run("admin", "cleanup", "--key", stranger, *options[2:], code=1).stderr
