"""Silent, capped sends: a session that the login approves in words, whose key sends within its caps and not beyond."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evm.address import ZERO_ADDRESS, Address, checksum
from evm.errors import EvmError
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import Call, CallsPayload
from evm.wallet.sessions.assembly import CallSigned, ExplicitCallSignature
from evm.wallet.sessions.capped import MAX_SENDS, CappedSend, capped_session, parse_capped, plan_sends
from evm.wallet.sessions.chain_state import SESSION_MANAGER, ChainState
from evm.wallet.sessions.explicit import PlannedCall, increment_call
from evm.wallet.sessions.permission import SessionPermissions
from evm.wallet.sessions.worst_case import worst_case

from .test_wallet_session_use import by_session, check, known
from .wallet_support import CHAIN_ID, DAY, STRANGER, TOKEN, SmartUser, address_of, refused, transfer

KEY = address_of(STRANGER)
SHOP, OTHER = Address(b"\x51" * 20), Address(b"\x52" * 20)
NOW_S, UNTIL_S = 1_800_000_000, 1_800_000_000 + DAY


def capped(*sends: dict[str, Any], until: int = UNTIL_S, **changes: Any) -> dict[str, Any]:
    one = {"token": checksum(TOKEN), "to": checksum(SHOP), "perTransaction": "50", "total": "120"}
    listed = [one | changed for changed in sends or ({},)]
    return {"signer": checksum(KEY), "chainId": str(CHAIN_ID), "until": str(until), "sends": listed} | changes


async def test_login_approves_caps_in_words_and_the_key_sends_within_them(user: SmartUser) -> None:
    now_s = user.world.clock.wall_ms() // 1000
    asked = capped(until=now_s + DAY)
    shown = await user.ask("ApproveSession", capped=asked)
    assert shown["signed"] is False
    assert f"By transfer it may give {checksum(SHOP)} of token {checksum(TOKEN)}: " in shown["session"][2]
    assert "at most 50 base units in a call, at most 120 base units in all" in shown["session"][2]
    assert shown["worstCase"] == {
        "native": "0",
        "tokens": [{"token": checksum(TOKEN), "most": "120"}],
        "onEachChain": False,
    }
    await user.update("ApproveSession", capped=asked)
    configuration, tree = await known(user)
    session = parse_capped(asked)

    def send(*amounts: int, used: int = 0) -> None:
        usage = {session.permissions[0].usage_hash(KEY, 3): used}
        state = ChainState(CHAIN_ID, now_s, usage=usage)
        calls = plan_sends(session, [(TOKEN, SHOP, amount) for amount in amounts], state)
        operation = Operation(CallsPayload(calls, space=5), user.wallet, CHAIN_ID)
        signed: list[CallSigned] = [
            ExplicitCallSignature(KEY, 0, by_session(operation, index)) for index in range(len(calls))
        ]
        check(configuration, tree, operation, signed, state)  # as the wallet's contracts do

    send(50)
    send(50, 50, 20)
    send(50, used=70)
    for amounts, used in (((51,), 0), ((50, 50, 21), 0), ((50,), 71), ((1,), 120)):
        with pytest.raises(WalletError) as caught:
            send(*amounts, used=used)
        assert caught.value.reason == "InvalidPermission"


def spend(session: SessionPermissions, call: Call, *, at_s: int = NOW_S, chain_id: int = CHAIN_ID) -> str:
    """What the session contract says of a call."""
    try:
        increment_call([PlannedCall(call, session, 0)], KEY, ChainState(chain_id, at_s))
    except WalletError as error:
        return str(error.reason)
    return "allowed"


def call(receiver: Address, amount: int, **changes: Any) -> Call:
    return Call(**({"to": TOKEN, "data": bytes.fromhex(transfer(receiver, amount)[2:])} | changes))


def test_key_does_nothing_but_these_sends() -> None:
    session = parse_capped(capped())
    data = call(SHOP, 50).data
    assert spend(session, call(SHOP, 50)) == "allowed"
    assert spend(session, call(SHOP, 50), at_s=UNTIL_S + 1) == "SessionExpired"
    assert spend(session, call(SHOP, 50), chain_id=1) == "InvalidChainId"
    assert spend(session, call(SHOP, 50, value=1)) == "InvalidValue"
    hostile = [
        call(OTHER, 50),
        call(SHOP, 2**256 - 1),
        call(SHOP, 50, to=OTHER),
        call(SHOP, 50, data=b"\x09\x5e\xa7\xb3" + data[4:]),  # approve
        call(SHOP, 50, data=data[:4] + b"\x01" + data[5:]),  # a recipient with a bit above its address
        call(SHOP, 50, data=data[:-1]),
        call(SHOP, 50, data=data[:4]),
        call(SHOP, 50, data=b""),
    ]
    assert [spend(session, each) for each in hostile] == ["InvalidPermission"] * len(hostile)


SENDS = st.tuples(st.sampled_from([TOKEN, OTHER]), st.sampled_from([SHOP, KEY]), st.integers(1, 99))


@given(st.lists(SENDS, min_size=1, max_size=9))
def test_no_order_of_sends_passes_a_cap(sends: list[tuple[Address, Address, int]]) -> None:
    caps = [CappedSend(token, to, 40, 100) for token in (TOKEN, OTHER) for to in (SHOP, KEY)]
    session = capped_session(KEY, CHAIN_ID, UNTIL_S, caps)
    sums: dict[tuple[Address, Address], int] = {}
    for token, to, amount in sends:
        sums[token, to] = sums.get((token, to), 0) + amount
    within = all(amount <= 40 for *_, amount in sends) and all(total <= 100 for total in sums.values())
    refusal = ""
    try:
        plan_sends(session, sends, ChainState(CHAIN_ID, NOW_S))
    except WalletError as error:
        refusal = str(error.reason)
    assert refusal == ("" if within else "InvalidPermission")


def test_worst_case_is_the_sum_of_the_totals() -> None:
    session = parse_capped(capped({}, {"to": checksum(OTHER), "total": "80"}))
    assert (worst_case(session).native_wei, worst_case(session).tokens[TOKEN]) == (0, 200)
    with pytest.raises(WalletError) as caught:
        plan_sends(session, [(OTHER, SHOP, 1)], ChainState(CHAIN_ID, NOW_S))
    assert caught.value.code == "wallet-capped-permission"


def hostile() -> Iterator[tuple[dict[str, Any], str]]:
    yield capped({"perTransaction": "0"}), "wallet-capped-amount"
    yield capped({"perTransaction": "121"}), "wallet-capped-amount"
    yield capped({"total": str(2**256)}), "wallet-capped-amount"
    yield capped({"perTransaction": "0x32"}), "wallet-capped-amount"
    yield capped({"token": None}), "wallet-capped-coins"
    yield capped({"token": checksum(ZERO_ADDRESS)}), "wallet-capped-token"
    yield capped({"token": checksum(SESSION_MANAGER)}), "wallet-capped-token"
    yield capped({"to": checksum(ZERO_ADDRESS)}), "wallet-capped-recipient"
    yield capped({"to": checksum(TOKEN)}), "wallet-capped-recipient"
    yield capped({"to": None}), "wallet-capped-recipient"
    yield capped({"recipients": []}), "wallet-capped"
    yield capped({}, {"total": "500"}), "wallet-capped-twice"
    yield capped(*[{"to": checksum(Address(bytes([n]) * 20))} for n in range(1, MAX_SENDS + 2)]), "wallet-capped-sends"
    yield capped(sends=[]), "wallet-capped-sends"
    yield capped(chainId="0"), "wallet-capped-chain-id"
    yield capped(until=0), "wallet-capped-until"
    yield capped(signer="0x12"), "wallet-capped-signer"
    yield capped(valueLimit="1"), "wallet-capped"


@pytest.mark.parametrize(("value", "code"), list(hostile()), ids=lambda found: found if isinstance(found, str) else "")
def test_what_is_no_cap_is_refused(value: dict[str, Any], code: str) -> None:
    with pytest.raises(EvmError) as caught:
        parse_capped(value)
    assert caught.value.code == code


async def test_caps_for_keys_of_the_wallet_in_the_past_or_beside_rules_are_refused(user: SmartUser) -> None:
    assert (await refused(user.ask("ApproveSession", capped=capped(until=1)))).cause == (
        "wallet-session-expired (SessionExpired)"
    )
    mine = capped(signer=user.signer)
    assert (await refused(user.ask("ApproveSession", capped=mine))).cause == "wallet-session-signer"
    both = await refused(user.ask("ApproveSession", capped=capped(), permissions={}))
    assert (both.name, both.cause) == ("WalletRule", "wallet-capped")
