"""Requests of ERC-7715: read strictly, answered with what was asked; and the published client under Node."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from evm.address import checksum
from evm.delegations.context import SignedDelegation, parse_context
from evm.delegations.deployment import METAMASK
from evm.delegations.permission import (
    MAX_ADDRESSES,
    MAX_RULES,
    PermissionRequest,
    parse_permission_request,
    permission_response,
    supported_permissions,
)
from evm.delegations.permission_kinds import MAX_JUSTIFICATION_BYTES, PERMISSIONS
from evm.delegations.rules import verify_grant
from tests.npm import installed_programs

from .samples import CHAIN, DAY_S, END_S, EXECUTOR, NOW_S, PAYEE, RULES, STRANGER, USDC, WALLET, code_of

FOLDER = Path(__file__).parent / "node"
_RUN_S = 60
SALT = b"\x77" * 32
EXPIRY = {"type": "expiry", "data": {"timestamp": END_S}}
PAYS = {"type": "payee", "data": {"addresses": [checksum(PAYEE)]}}
PERIODIC = {"periodAmount": "0x64", "periodDuration": DAY_S, "startTime": NOW_S}
STREAM = {"initialAmount": "0x1", "maxAmount": "0x3e8", "amountPerSecond": "0x2", "startTime": NOW_S}
FLAGS = dict.fromkeys(
    ["erc20Approve", "erc721Approve", "erc721SetApprovalForAll", "permit2Approve", "permit2Lockdown",
     "permit2InvalidateNonces"], True,
)  # fmt: skip
TOKEN = {"tokenAddress": checksum(USDC)}
DATA: dict[str, dict[str, Any]] = {
    "native-token-allowance": {"allowanceAmount": "0x64", "startTime": NOW_S},
    "native-token-periodic": PERIODIC,
    "native-token-stream": STREAM,
    "erc20-token-allowance": {"allowanceAmount": "0x64", "startTime": NOW_S, **TOKEN},
    "erc20-token-periodic": {**PERIODIC, **TOKEN},
    "erc20-token-stream": {**STREAM, **TOKEN},
    "token-approval-revocation": FLAGS,
}


def asked(kind: str = "erc20-token-periodic", **changes: Any) -> dict[str, Any]:
    rules = [EXPIRY] if kind == "token-approval-revocation" else [EXPIRY, PAYS]
    permission = {"type": kind, "isAdjustmentAllowed": False, "data": DATA[kind]}
    return {"chainId": "0x89", "to": checksum(EXECUTOR), "permission": permission, "rules": rules, **changes}


def with_data(kind: str = "erc20-token-periodic", **data: Any) -> dict[str, Any]:
    value = asked(kind)
    return {**value, "permission": {**value["permission"], "data": {**DATA[kind], **data}}}


def of_kind(kind: Any, adjustable: Any = False) -> dict[str, Any]:
    return asked(permission={"type": kind, "isAdjustmentAllowed": adjustable, "data": {}})


def parsed(value: Any) -> PermissionRequest:
    return parse_permission_request(value, NOW_S)


def refused(value: Any) -> str:
    return code_of(parsed, value)


def test_samples_are_of_every_kind() -> None:
    assert set(DATA) == set(PERMISSIONS)


@pytest.mark.parametrize("kind", DATA)
def test_every_kind_is_answered_with_a_delegation_that_may_be_signed(kind: str) -> None:
    request = parsed(asked(kind))
    made = request.delegation(WALLET, METAMASK, nonce=0, salt=SALT)
    found = verify_grant(made, WALLET, request.chain_id, RULES, NOW_S)
    assert found.grant.limit == request.limit
    answer = permission_response(request.source, SignedDelegation(made, b"\x12" * 65), METAMASK.manager)
    assert {name: answer[name] for name in ("chainId", "to", "permission", "rules")} == {
        name: value for name, value in asked(kind).items() if name != "from"
    }
    assert (answer["from"], answer["dependencies"]) == (checksum(WALLET), [])
    assert [link.delegation for link in parse_context(answer["context"])] == [made]


def test_what_has_a_default_is_filled_in_and_reported() -> None:
    data = {"amountPerSecond": "0x2", **TOKEN}
    value = asked("erc20-token-stream")
    request = parsed({**value, "permission": {**value["permission"], "data": {**data, "maxAmount": None}}})
    filled = request.source["permission"]["data"]
    assert filled == {"initialAmount": "0x0", "maxAmount": hex(2**256 - 1), "startTime": NOW_S, **data}


def test_payee_is_added_only_where_the_request_may_be_adjusted() -> None:
    value = {**asked(), "rules": [EXPIRY]}
    stubborn = parsed(value)
    assert stubborn.attenuated() == stubborn
    made = stubborn.delegation(WALLET, METAMASK, nonce=0, salt=SALT)
    assert code_of(verify_grant, made, WALLET, CHAIN, RULES, NOW_S) == "delegation-recipient-open"
    adjustable = {**value, "permission": {**value["permission"], "isAdjustmentAllowed": True}}
    request = parsed(adjustable).attenuated()
    found = verify_grant(request.delegation(WALLET, METAMASK, nonce=0, salt=SALT), WALLET, CHAIN, RULES, NOW_S)
    assert found.grant.recipients == (EXECUTOR,)
    assert request.source["rules"] == [EXPIRY, {"type": "payee", "data": {"addresses": [checksum(EXECUTOR)]}}]


HOSTILE: dict[str, tuple[Any, str]] = {
    "no object": ([], "permission-members"),
    "a member more": ({**asked(), "signer": {}}, "permission-members"),
    "no recipient of the permission": ({k: v for k, v in asked().items() if k != "to"}, "permission-members"),
    "chain 0": (asked(chainId="0x0"), "permission-chain-id"),
    "chain as number": (asked(chainId=137), "permission-chain-id"),
    "chain with leading zero": (asked(chainId="0x089"), "permission-chain-id"),
    "chain beyond all": (asked(chainId=hex(2**63)), "permission-chain-id"),
    "unknown kind": (of_kind("erc20-everything"), "permission-type"),
    "kind that is no text": (of_kind([]), "permission-type"),
    "adjustment as text": (of_kind("native-token-stream", "no"), "permission-adjustment"),
    "a member of the permission more": (
        asked(permission={"type": "native-token-stream", "isAdjustmentAllowed": True, "data": STREAM, "policies": []}),
        "permission-members",
    ),
    "no rules": (asked(rules=None), "permission-expiry"),
    "no end": (asked(rules=[PAYS]), "permission-expiry"),
    "end 0": (asked(rules=[{"type": "expiry", "data": {"timestamp": 0}}]), "permission-expiry"),
    "end as text": (asked(rules=[{"type": "expiry", "data": {"timestamp": "1"}}]), "permission-expiry"),
    "end as flag": (asked(rules=[{"type": "expiry", "data": {"timestamp": True}}]), "permission-expiry"),
    "two ends": (asked(rules=[EXPIRY, EXPIRY]), "permission-rule"),
    "unknown rule": (asked(rules=[EXPIRY, {"type": "rate-limit", "data": {}}]), "permission-rule"),
    "rule with a member more": (asked(rules=[{**EXPIRY, "isAdjustmentAllowed": True}]), "permission-rules"),
    "no payee": (asked(rules=[EXPIRY, {"type": "payee", "data": {"addresses": []}}]), "permission-payees"),
    "payee twice": (
        asked(rules=[EXPIRY, {"type": "payee", "data": {"addresses": [checksum(PAYEE)] * 2}}]), "permission-payees",
    ),
    "amount as number": (with_data(periodAmount=100), "permission-amount"),
    "amount in decimal": (with_data(periodAmount="100"), "permission-amount"),
    "amount 0": (with_data(periodAmount="0x0"), "permission-amount"),
    "amount with leading zero": (with_data(periodAmount="0x064"), "permission-amount"),
    "amount of 257 bits": (with_data(periodAmount=hex(2**256)), "permission-amount"),
    "period 0": (with_data(periodDuration=0), "permission-duration"),
    "period as text": (with_data(periodDuration="86400"), "permission-duration"),
    "negative period": (with_data(periodDuration=-1), "permission-duration"),
    "endless period": (with_data(periodDuration=2**41), "permission-duration"),
    "begins never": (with_data(startTime=0), "permission-start"),
    "no amount": (with_data(periodAmount=None), "permission-data"),
    "data more": (with_data(maxAmount="0x1"), "permission-data"),
    "token that is none": (with_data(tokenAddress="0x12"), "permission-token"),
    "token with a wrong checksum": (with_data(tokenAddress=checksum(USDC).replace("A0", "a0")), "address-checksum"),
    "stream that ends before it begins": (with_data("native-token-stream", initialAmount="0x3e8"), "permission-amount"),
    "stream of nothing": (with_data("native-token-stream", amountPerSecond="0x0"), "permission-amount"),
    "justification that is no text": (with_data(justification=1), "permission-justification"),
    "revocation of nothing": (with_data("token-approval-revocation", **dict.fromkeys(FLAGS, False)), "permission-data"),
    "revocation by text": (with_data("token-approval-revocation", erc20Approve="true"), "permission-data"),
    "revocation that pays": (asked("token-approval-revocation", rules=[EXPIRY, PAYS]), "permission-rule"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests_are_refused_with_reasons(name: str) -> None:
    value, code = HOSTILE[name]
    assert refused(value) == code


def test_request_is_bounded() -> None:
    addresses = ["0x" + bytes([number] * 20).hex() for number in range(1, MAX_ADDRESSES + 2)]
    payees = {"type": "payee", "data": {"addresses": addresses[:-1]}}
    assert len(parsed(asked("native-token-stream", rules=[EXPIRY, payees])).payees) == MAX_ADDRESSES
    payees = {"type": "payee", "data": {"addresses": addresses}}
    assert refused(asked("native-token-stream", rules=[EXPIRY, payees])) == "permission-payees"
    assert refused(asked(rules=[EXPIRY] * (MAX_RULES + 1))) == "permission-rules"
    assert parsed(with_data(justification="x" * MAX_JUSTIFICATION_BYTES)).justification is not None
    assert refused(with_data(justification="x" * (MAX_JUSTIFICATION_BYTES + 1))) == "permission-justification"


def test_two_payees_of_a_token_cannot_be_expressed() -> None:
    two = {"type": "payee", "data": {"addresses": [checksum(PAYEE), checksum(STRANGER)]}}
    request = parsed(asked(rules=[EXPIRY, two]))
    assert code_of(request.delegation, WALLET, METAMASK, nonce=0, salt=SALT) == "permission-payees"


def test_delegation_is_the_wallets_own_and_has_a_fresh_salt() -> None:
    request = parsed(asked(**{"from": checksum(STRANGER)}))
    assert code_of(request.delegation, WALLET, METAMASK, nonce=0, salt=SALT) == "permission-from"
    assert code_of(parsed(asked()).delegation, WALLET, METAMASK, nonce=0, salt=b"\x01") == "delegation-salt"


# --- the published client ---


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed_programs(FOLDER, tmp_path_factory.mktemp("node"))


class Wallet:
    """Answers the client as a wallet would, signatures apart."""

    def __init__(self) -> None:
        self.granted: list[dict[str, Any]] = []
        self.hashes: list[str] = []

    def answer(self, call: dict[str, Any]) -> Any:
        if call["method"] == "wallet_getSupportedExecutionPermissions":
            return supported_permissions({CHAIN: METAMASK})
        if call["method"] == "wallet_getGrantedExecutionPermissions":
            return self.granted
        [value] = call["params"]
        request = parsed(value)
        made = request.delegation(WALLET, METAMASK, nonce=0, salt=SALT)
        found = verify_grant(made, WALLET, request.chain_id, RULES, NOW_S)
        self.hashes.append("0x" + found.delegation.hash.hex())
        self.granted.append(permission_response(request.source, SignedDelegation(made, b"\x12" * 65), METAMASK.manager))
        return self.granted[-1:]


async def test_published_client_gets_what_it_asked_for(installed: Path) -> None:
    wallet = Wallet()
    process = await asyncio.create_subprocess_exec(
        "node", "permissions.mjs", cwd=installed,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    outcome: dict[str, Any] = {}
    async with asyncio.timeout(_RUN_S):
        async for line in process.stdout:
            outcome = json.loads(line)
            if "call" in outcome:
                process.stdin.write(json.dumps(wallet.answer(outcome["call"])).encode() + b"\n")
        complaint = (await process.stderr.read()).decode()
        assert await process.wait() == 0, complaint
    assert [result["hash"] for result in outcome["results"]] == wallet.hashes
    for result in outcome["results"]:
        decoded = result["decoded"]
        assert (result["chainId"], decoded["type"]) == (CHAIN, result["type"])
        expected = {name: value for name, value in DATA[result["type"]].items() if name in decoded["data"]}
        if result["type"] != "token-approval-revocation":
            assert set(expected) == set(decoded["data"])
            assert [rule["type"] for rule in decoded["rules"]] == ["expiry", "redeemer", "payee"]
        assert all(int_of(decoded["data"][name]) == int_of(value) for name, value in expected.items()
                   if not isinstance(value, bool))  # fmt: skip
    assert outcome["granted"] == len(DATA)
    assert set(outcome["supported"]) == set(DATA)


def int_of(value: Any) -> int:
    return int(value, 16) if isinstance(value, str) and value.startswith("0x") else int(value)
