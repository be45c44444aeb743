"""Embedded wallets on a laptop: transactions of the published client end in blocks of `make run`."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator import guard_settings, settings
from simulator.places import GuardOptions
from tests.e2e.e2e_support import Site
from tests.packaging.source import ROOT
from tests.waas.test_waas_client import installed  # noqa: F401  a fixture

FRIEND = "0x00000000000000000000000000000000DeaDBeef"
_RUN_S = 60
_WRITTEN = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `make run` starts."""
    with Site(tmp_path_factory.mktemp("laptop"), guard=GuardOptions()) as running:
        yield running.serving()


def ask(laptop: Site, method: str, *params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(laptop.appliance.node_url, json=body, trust_env=False).json()["result"]


def snippet() -> str:
    """The program in the README."""
    [found] = re.findall(r"^```js\n(// send\.mjs.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert _WRITTEN in found
    return str(found)


def run(folder: Path, name: str, program: str) -> str:
    path = folder / name
    path.write_text(program)
    done = subprocess.run(["node", str(path)], cwd=folder, capture_output=True, text=True, check=False, timeout=_RUN_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_program_of_the_readme_ends_in_a_mined_transaction(
    laptop: Site,
    installed: Path,  # noqa: F811
) -> None:
    told = run(installed, "readme.mjs", snippet().replace(_WRITTEN, laptop.url))
    wallet, tx_hash = told.split()
    receipt = ask(laptop, "eth_getTransactionReceipt", tx_hash)
    assert receipt["status"] == "0x1"
    assert ask(laptop, "eth_getCode", wallet, "latest") != "0x", "the wallet was created"


def test_coins_that_a_wallet_got_move_as_its_user_sends_them(
    laptop: Site,
    installed: Path,  # noqa: F811
) -> None:
    """The second transaction is sent while the first, which creates the wallet, is on its way."""
    fund = (
        "const body = { jsonrpc: '2.0', id: 1, method: 'simulator_fund', params: [wallet, '1000'] }\n"
        f"await fetch({json.dumps(laptop.appliance.node_url)}, {{ method: 'POST', body: JSON.stringify(body) }})\n"
        "const send = value =>\n"
        "  client.sendTransaction({ identifier: `payment ${value}`, transactions: [{ to: friend, value }] })\n"
        "const both = await Promise.all([send(7n), send(8n)])\n"
        "console.log(JSON.stringify(both.map(each => each.data.txHash)))\n"
    )
    before, _, _ = snippet().replace(_WRITTEN, laptop.url).partition("const sent = ")
    hashes = json.loads(run(installed, "coins.mjs", before + fund))
    assert [ask(laptop, "eth_getTransactionReceipt", each)["status"] for each in hashes] == ["0x1", "0x1"]
    assert int(ask(laptop, "eth_getBalance", FRIEND, "latest"), 16) == 15


def test_guard_signs_second_what_its_rules_pay_and_nothing_else(
    laptop: Site,
    installed: Path,  # noqa: F811
) -> None:
    guarded = snippet().replace(_WRITTEN, laptop.url).replace(settings.ACCESS_KEY, settings.GUARDED_ACCESS_KEY)
    guarded = guarded.replace("projectId: 123", f"projectId: {settings.GUARDED_SCOPE[1:]}")
    paid = run(installed, "paid.mjs", guarded.replace(FRIEND, guard_settings.PAYROLL))
    assert ask(laptop, "eth_getTransactionReceipt", paid.split()[1])["status"] == "0x1"
    before, _, _ = guarded.partition("const sent = ")
    attempt = "client.sendTransaction({ transactions: [{ to: friend, value: 0n }] })"
    told = run(installed, "refused.mjs", f"{before}\nawait {attempt}.catch(error => console.log(error.cause))")
    assert told.strip() == "guard:deny:no-rule"
