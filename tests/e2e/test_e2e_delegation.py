"""Payments while the user is away, from the command line: every answer attested, every request past a real host."""

import asyncio
import time
from typing import Any

import pytest

from evm.address import checksum, parse_address
from evm.authorization import authorization_from_json
from evm.delegations.context import parse_context
from evm.delegations.deployment import METAMASK
from evm.signature import parse_signature
from host_proxy.client.delegation_flows import DelegationFlows
from simulator import delegations
from simulator.browser import sign_in
from tests.e2e.e2e_support import Site
from tests.e2e.test_e2e_wallet import Terminal
from tests.enclave_delegations.kit import KINDS, kit_programs, run_kit

SHOP = checksum(parse_address("0x" + "33" * 20))


@pytest.fixture(scope="module")
def terminal(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Logged in with an ID token."""
    made = Terminal(site, tmp_path_factory.mktemp("home"))
    token = made.home / "token.txt"
    token.write_text(sign_in(site.stand_ins.login_page_url, "subscriber"))
    made.run("login", "--id-token", token, "--url", site.url)
    return made


def permission(**data: Any) -> dict[str, Any]:
    now_s = int(time.time())
    period = {"tokenAddress": delegations.USDC, "periodAmount": "0x989680", "periodDuration": 2_592_000}
    return {
        "chainId": hex(delegations.CHAIN_ID),
        "to": delegations.EXECUTORS[0],
        "permission": {
            "type": "erc20-token-periodic",
            "isAdjustmentAllowed": False,
            "data": period | {"startTime": now_s} | data,
        },
        "rules": [
            {"type": "expiry", "data": {"timestamp": now_s + 90 * 86_400}},
            {"type": "payee", "data": {"addresses": [SHOP]}},
        ],
    }


def test_permission_is_shown_asked_for_granted_listed_and_taken_back(terminal: Terminal) -> None:
    asked = terminal.file("permission.json", permission())
    refused = terminal.run("delegation", "grant", asked, stdin="n\n", code=1)
    assert f"At the most, this costs 30000000 base units of token {delegations.USDC}" in refused.stdout
    assert "nothing was signed" in refused.stderr
    shown = terminal.json("delegation", "grant", asked)
    granted = terminal.json("delegation", "grant", asked, "--approve", shown["hash"])
    [link] = parse_context(granted["context"])
    digest = link.delegation.digest(METAMASK.manager, delegations.CHAIN_ID)
    assert parse_signature(link.signature).recover(digest) == link.delegation.delegator
    listed = terminal.json("delegation", "list")
    assert listed["permissions"] == [granted["permission"]]
    again = terminal.run("delegation", "grant", asked, stdin="y\n").stdout
    assert "Earlier grants can still cost 30000000 of 2000000000 base units" in again
    paid = {"nonce": "0x1", "gas": "0x186a0", "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x1"}
    fees = terminal.file("fees.json", paid)
    taken = terminal.run("delegation", "revoke", granted["hash"], "--fees", fees).stdout
    assert "raw        0x02" in taken
    assert f"{granted['hash']} revoked " in terminal.run("delegation", "list").stdout


def test_what_a_rule_forbids_is_refused_with_its_name(terminal: Terminal) -> None:
    everything = terminal.file("everything.json", permission(periodAmount=hex(2**255)))
    assert "delegation-exposure" in terminal.run("delegation", "grant", everything, code=1).stderr


def test_supported_permissions_and_caps_are_shown(terminal: Terminal) -> None:
    shown = terminal.run("delegation", "supported").stdout
    assert "erc20-token-periodic         on chains 0x89" in shown
    assert f"chain 0x89: of {delegations.USDC} 1000000000 a grant, 2000000000 in all" in shown


def test_account_takes_on_code_from_a_file(terminal: Terminal) -> None:
    [chain] = delegations.delegations()["chains"]
    address = chain["account_code"][0]["address"]
    code = terminal.file("code.json", {"chainId": "0x89", "address": address, "nonce": "0x0"})
    signed = terminal.json("delegation", "authorize", code, "--account-nonce", "0x0")
    assert checksum(authorization_from_json(signed["authorization"]).authorization.delegate) == address
    words = terminal.run("delegation", "authorize", code, "--account-nonce", "0x0").stdout
    assert "hands full control of itself to the code at" in words


def test_node_that_cannot_be_asked_and_chain_that_is_not_configured_are_told(terminal: Terminal) -> None:
    unreachable = terminal.run("delegation", "check", "http://127.0.0.1:9", "--chain", "137", code=4)
    assert "the node does not answer" in unreachable.stderr
    other = terminal.run("delegation", "check", "http://127.0.0.1:9", "--chain", "1", code=1)
    assert "nothing is configured for chain 1" in other.stderr


async def test_published_kit_asks_and_lists_through_a_real_host(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    user = site.user()
    signer, session = await asyncio.to_thread(user.ready)
    flows = DelegationFlows(user.api, session.session)
    methods = {
        "Supported": flows.supported,
        "Request": lambda **asked: flows.request(asked),
        "Grant": lambda hash: flows.grant(hash),
        "List": flows.list,
        "Revoke": lambda hash: flows.revoke(hash, None),
    }

    async def ask(method: str, **members: Any) -> Any:
        return await asyncio.to_thread(methods[method], **members)

    found = await run_kit(await asyncio.to_thread(kit_programs, tmp_path_factory), ask, int(time.time()))
    assert {result["from"].lower() for result in found["results"].values()} == {signer.lower()}
    assert set(found["results"]) == set(KINDS)
    assert "delegation-recipient-open" in found["refused"]
    assert (len(found["granted"]), found["left"]) == (len(KINDS) + 1, len(KINDS))
