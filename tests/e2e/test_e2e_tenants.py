"""Tenants and invitations on a laptop, by the commands that docs/embedded-wallets.md names."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from simulator import settings, tenancy
from simulator.cli import build
from simulator.invitations import Page
from tests.e2e.e2e_support import Site
from tests.packaging.source import ROOT

PAPER = ROOT / "docs" / "embedded-wallets.md"
EXAMPLE = ROOT / "docs" / "tenant.json"
PROJECT = 500


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("tenants")) as running:
        yield running.serving()


def command(laptop: Site, *words: str, fails: bool = False) -> str:
    done = CliRunner().invoke(build(), ["--state", str(laptop.state), *words])
    assert (done.exit_code != 0) is fails, done.output
    return done.output


def key(laptop: Site, name: str) -> tuple[str, str]:
    return "--key", str(tenancy.key_file(laptop.state, name))


def test_tenant_is_written_signed_by_two_and_served(laptop: Site, tmp_path: Path) -> None:
    document, of = tmp_path / "tenant.json", ("--deployment", settings.DEPLOYMENT)
    command(laptop, "tenant", "write", str(EXAMPLE), "--out", str(document), *of)
    approvals = []
    for name in tenancy.OFFICERS[:2]:
        approvals.append(tmp_path / f"{name}.json")
        approvals[-1].write_text(command(laptop, "tenant", "sign", str(document), *key(laptop, name)))
    put = ("tenant", "put", str(document), "--create", "--url", laptop.url)
    assert "Unauthorized" in command(laptop, *put, str(approvals[0]), fails=True)
    assert "version 1" in command(laptop, *put, *map(str, approvals))
    shown = json.loads(
        command(laptop, "tenant", "show", str(PROJECT), *key(laptop, "officer-3"), *of, "--url", laptop.url)
    )
    assert shown["document"] == document.read_text()
    asked = {"x-access-key": "my-games-access-key", "origin": shown["allowedOrigins"][0]}
    chains = httpx.post(f"{laptop.url}/rpc/WaasAuthenticator/ChainList", json={}, headers=asked, trust_env=False)
    assert chains.json()["chains"][0]["id"] == 31337


def test_invited_person_joins_and_the_tenants_server_is_told(laptop: Site) -> None:
    email, of = "guest@example.com", ("--deployment", settings.DEPLOYMENT, "--url", laptop.url)
    inviting = ("tenant", "invite", "123", email, *key(laptop, tenancy.INVITER), *of, "--reference", "customer-7")
    link = json.loads(command(laptop, *inviting))["link"]
    page = Page(laptop.url, settings.ACCESS_KEY, settings.ORIGIN)
    wallet = page.join(link, laptop.mailed_code)
    until = time.monotonic() + 20
    while not laptop.stand_ins.webhook.events and time.monotonic() < until:
        time.sleep(0.05)
    [told] = [said for each in laptop.stand_ins.webhook.events.values() for said in each["events"].values()]
    assert (told["wallet"], told["reference"]) == (wallet, "customer-7")
    status = json.loads(command(laptop, "tenant", "invitation", "123", email, *key(laptop, tenancy.INVITER), *of))
    assert status["wallet"] == wallet


def test_program_of_the_paper_verifies_an_id_token(laptop: Site, tmp_path: Path) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```$", PAPER.read_text(), re.MULTILINE | re.DOTALL)
    email = "verified@example.com"
    inviting = ("tenant", "invite", "123", email, *key(laptop, tenancy.INVITER), "--deployment", settings.DEPLOYMENT)
    page = Page(laptop.url, settings.ACCESS_KEY, settings.ORIGIN)
    wallet = page.join(json.loads(command(laptop, *inviting, "--url", laptop.url))["link"], laptop.mailed_code)
    (tmp_path / "token.txt").write_text(page.id_token(wallet))
    found = f'["jwks_uri"].replace(issuer, "{laptop.url}")'  # it listens elsewhere than the paper says
    for written, here in {"{issuer}/.well": f"{laptop.url}/.well", '["jwks_uri"]': found}.items():
        assert written in program
        program = program.replace(written, here)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == wallet, done.stderr
