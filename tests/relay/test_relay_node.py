"""A relay on a real local node: receipts, order, fees, and a node, a signer or other senders that misbehave."""

from pathlib import Path
from typing import Any

import pytest

from host_proxy.errors import RelayFault
from host_proxy.relay.fees import FeeRules, Fees
from host_proxy.relay.journal import Journal
from host_proxy.relay.node_relay import Patience
from host_proxy.relay.port import Operation, State
from host_proxy.relay.rpc import RpcRefusal
from protocol import limits
from tests.relay.chain import (
    ACCOUNT,
    CHAIN_ID,
    COUNTER,
    GWEI,
    REFUSER,
    Chain,
    Process,
    operation,
    refusal,
    until_final,
)


async def test_operation_is_mined_once_and_its_receipt_comes_back(chain: Chain, tmp_path: Path) -> None:
    process = Process(chain.url, tmp_path / "journal")
    await process.relay.check_chain()
    sent = operation("a")
    [status] = await process.relay.send([sent])
    assert status.state is State.PENDING
    await chain.mine()
    mined = await process.relay.status(sent.id)
    assert (mined.state, mined.succeeded, mined.tx_hash) == (State.MINED, True, status.tx_hash)
    [final] = await until_final(chain, process.relay, [sent])
    assert final.tx_hash == status.tx_hash
    assert final.receipt is not None
    assert final.receipt["to"] == COUNTER
    assert (await process.relay.send([sent])) == [final]
    assert await chain.count(sent) == 1
    await process.close()


async def test_several_go_together_in_their_order(chain: Chain, tmp_path: Path) -> None:
    process = Process(chain.url, tmp_path / "journal")
    sent = [operation(f"several {number}") for number in range(5)]
    first = await chain.nonce()
    await process.relay.send(sent)
    await until_final(chain, process.relay, sent)
    planned = [process.journal.find(each.id) for each in sent]
    assert [each.nonce for each in planned if each] == list(range(first, first + 5))
    assert [await chain.count(each) for each in sent] == [1] * 5
    await process.close()


async def test_operation_that_would_fail_takes_no_nonce_and_no_other_with_it(chain: Chain, tmp_path: Path) -> None:
    process = Process(chain.url, tmp_path / "journal")
    good, bad = operation("good"), operation("bad", REFUSER)
    assert await refusal(process.relay.send([good, bad])) == "relay-would-revert"
    assert await refusal(process.relay.status(good.id)) == "relay-unknown"
    assert (await chain.nonce(), process.journal.unsettled()) == (0, [])
    await process.close()


async def test_operation_that_fails_on_the_chain_is_reported_as_such(chain: Chain, tmp_path: Path) -> None:
    await chain.automine(False)
    process = Process(chain.url, tmp_path / "journal")
    sent = operation("fails")
    await process.relay.send([sent])
    await chain.rpc.call("anvil_setCode", COUNTER, "0x60006000fd")
    [final] = await until_final(chain, process.relay, [sent])
    assert (final.state, final.succeeded) == (State.FINAL, False)
    await process.close()


async def test_name_is_good_for_one_operation(chain: Chain, tmp_path: Path) -> None:
    process = Process(chain.url, tmp_path / "journal")
    sent = operation("a")
    other = Operation(sent.id, sent.to, "0x", sent.wallet)
    assert await refusal(process.relay.send([sent, other])) == "relay-id-taken"
    await process.relay.send([sent, sent])
    assert await refusal(process.relay.send([other])) == "relay-id-taken"
    await until_final(chain, process.relay, [sent])
    assert await chain.nonce() == 1
    await process.close()


async def test_number_of_open_operations_is_bounded(chain: Chain, tmp_path: Path) -> None:
    await chain.automine(False)
    process = Process(chain.url, tmp_path / "journal")
    sent = [operation(f"many {number}") for number in range(limits.MAX_RELAY_OPEN + 1)]
    process.journal.plan([(each, 100_000) for each in sent[:-2]], 0)
    await process.relay.send([sent[-2]])
    assert await refusal(process.relay.send([sent[-1]])) == "relay-busy"
    await process.close()


# --- fees ---


async def test_stuck_transaction_is_paid_more_for_and_mined_once(chain: Chain, tmp_path: Path) -> None:
    await chain.automine(False)
    clock = [0.0]
    process = Process(chain.url, tmp_path / "journal", now_s=lambda: clock[0])
    sent = operation("stuck")
    await process.relay.send([sent])
    for _ in range(2):
        await process.relay.advance()
    assert len(process.journal.attempts(sent.id)) == 1, "too early to pay more"
    for number in (2, 3):
        clock[0] += 60
        await process.relay.advance()
        attempts = process.journal.attempts(sent.id)
        assert len(attempts) == number
        [waiting] = await chain.waiting()
        assert (waiting["hash"], int(waiting["nonce"], 16)) == (attempts[-1].hash, 0)
        assert int(waiting["maxFeePerGas"], 16) > attempts[-2].fees.max_fee
    [final] = await until_final(chain, process.relay, [sent])
    assert final.tx_hash == process.journal.attempts(sent.id)[-1].hash
    assert await chain.count(sent) == 1
    await process.close()


async def test_first_attempt_may_still_be_the_one_that_is_mined(chain: Chain, tmp_path: Path) -> None:
    await chain.automine(False)
    clock = [0.0]
    process = Process(chain.url, tmp_path / "journal", now_s=lambda: clock[0])
    sent = operation("first of two")
    [status] = await process.relay.send([sent])
    clock[0] += 60
    process.node_rpc.batch = _without(process.node_rpc.batch, "eth_sendRawTransaction")  # type: ignore[method-assign]
    await process.relay.advance()
    assert len(process.journal.attempts(sent.id)) == 2
    [final] = await until_final(chain, process.relay, [sent])
    assert final.tx_hash == status.tx_hash
    assert await chain.count(sent) == 1
    await process.close()


def _without(batch: Any, method: str) -> Any:
    """An exchange in which calls of one method get lost, and are refused."""

    async def exchange(requests: Any) -> list[Any]:
        return [RpcRefusal(-32000, "lost") for _ in requests] if requests[0][0] == method else await batch(requests)

    return exchange


async def test_nobody_pays_more_than_the_cap(chain: Chain, tmp_path: Path) -> None:
    await chain.automine(False)
    clock, rules = [0.0], FeeRules(max_fee_cap=4 * GWEI, max_gas=500_000)
    process = Process(chain.url, tmp_path / "journal", now_s=lambda: clock[0], rules=rules)
    sent = operation("capped")
    await process.relay.send([sent])
    for _ in range(8):
        clock[0] += 60
        await process.relay.advance()
    fees = [attempt.fees for attempt in process.journal.attempts(sent.id)]
    assert 1 < len(fees) < 8
    assert max(each.max_fee for each in fees) <= rules.max_fee_cap
    await chain.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
    await chain.mine()
    assert await refusal(process.relay.send([operation("dear")])) == "relay-fee-cap"
    await process.close()


def test_bumped_fees_replace_and_stay_below_the_cap() -> None:
    rules = FeeRules(max_fee_cap=1000, max_gas=100)
    assert rules.first(100, 10) == Fees(210, 10)
    assert rules.first(900, 100) == Fees(1000, 100)
    assert rules.next(Fees(210, 10), 100, 10) == Fees(263, 13)
    assert rules.next(Fees(210, 10), 400, 50) == Fees(850, 50)
    assert rules.next(Fees(210, 0), 100, 0) == Fees(263, 1)
    assert rules.next(Fees(800, 10), 100, 10) == Fees(1000, 13)
    assert rules.next(Fees(801, 10), 100, 10) is None
    assert rules.gas(80) == 100
    for failing in (lambda: rules.first(901, 100), lambda: rules.gas(81)):
        with pytest.raises(RelayFault):
            failing()


# --- node, signer and others ---


async def test_node_that_loses_its_pool_gets_the_transaction_again(chain: Chain, tmp_path: Path) -> None:
    await chain.automine(False)
    process = Process(chain.url, tmp_path / "journal")
    sent = operation("dropped")
    await process.relay.send([sent])
    await chain.rpc.call("anvil_dropAllTransactions")
    assert await chain.waiting() == []
    await process.relay.advance()
    assert len(await chain.waiting()) == 1
    await until_final(chain, process.relay, [sent])
    assert (await chain.count(sent), len(process.journal.attempts(sent.id))) == (1, 1)
    await process.close()


async def test_node_that_ends_and_comes_back_gets_it_again(chain: Chain, tmp_path: Path) -> None:
    before, sent = operation("before"), operation("over the end")
    process = Process(chain.url, tmp_path / "journal")
    await process.relay.send([before])
    await chain.automine(False)
    await process.relay.send([sent])
    await chain.end()
    assert await refusal(process.relay.advance()) == "relay-unreachable"
    assert await refusal(process.relay.send([operation("meanwhile")])) == "relay-unreachable"
    assert await refusal(process.relay.status(operation("meanwhile").id)) == "relay-unknown"
    await chain.start()
    await until_final(chain, process.relay, [before, sent])
    assert [await chain.count(each) for each in (before, sent)] == [1, 1]
    await process.close()


async def test_block_that_is_replaced_takes_the_operation_back_and_it_is_sent_again(
    chain: Chain, tmp_path: Path
) -> None:
    process = Process(chain.url, tmp_path / "journal", patience=Patience(confirmations=3, bump_after_s=60))
    snapshot = await chain.rpc.call("evm_snapshot")
    sent = operation("replaced")
    await process.relay.send([sent])
    await chain.mine()
    assert (await process.relay.status(sent.id)).state is State.MINED
    await chain.rpc.call("evm_revert", snapshot)
    assert (await process.relay.status(sent.id)).state is State.PENDING
    await chain.mine(4)
    await process.relay.advance()
    await until_final(chain, process.relay, [sent])
    assert await chain.count(sent) == 1
    await process.close()


async def test_nonce_that_somebody_else_spent_frees_the_operation_once_that_is_final(
    chain: Chain, tmp_path: Path
) -> None:
    process = Process(chain.url, tmp_path / "journal", patience=Patience(confirmations=3, bump_after_s=60))
    sent = operation("overtaken")
    batch = process.node_rpc.batch
    process.node_rpc.batch = _without(batch, "eth_sendRawTransaction")  # type: ignore[method-assign]
    await process.relay.send([sent])
    await chain.rpc.call("eth_sendTransaction", {"from": ACCOUNT, "to": REFUSER[:-1] + "f", "value": "0x1"})
    await process.relay.advance()
    assert (await process.relay.status(sent.id)).state is State.PENDING, "the block could still be replaced"
    await chain.mine(4)
    process.node_rpc.batch = batch  # type: ignore[method-assign]
    await process.relay.advance()
    assert await refusal(process.relay.status(sent.id)) == "relay-unknown"
    await process.relay.send([sent])
    await until_final(chain, process.relay, [sent])
    planned = process.journal.find(sent.id)
    assert planned is not None
    assert (planned.nonce, await chain.count(sent)) == (1, 1)
    await process.close()


@pytest.mark.parametrize("field", ["nonce", "to", "data", "gas", "maxFeePerGas", "chainId", "value", "from"])
async def test_signer_that_signs_something_else_is_refused_and_nothing_is_sent(
    chain: Chain, tmp_path: Path, field: str
) -> None:
    process = Process(chain.url, tmp_path / "journal")
    batch = process.signer_rpc.batch
    other = {
        "nonce": "0x5", "to": REFUSER, "data": "0x", "gas": "0x7a120", "maxFeePerGas": hex(90 * GWEI),
        "chainId": "0x1", "value": "0x1", "from": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
    }  # fmt: skip

    async def lying(requests: Any) -> list[Any]:
        [(method, [transaction])] = requests
        return await batch([(method, [{**transaction, field: other[field]}])])

    process.signer_rpc.batch = lying  # type: ignore[method-assign]
    sent = operation("lied about")
    [status] = await process.relay.send([sent])
    assert (status.state, status.tx_hash) == (State.PENDING, None)
    code = await refusal(process.relay.advance())
    assert code in ("relay-signer", "relay-refused"), "an honest node will not sign for another chain"
    assert (await chain.nonce(), process.journal.attempts(sent.id)) == (0, [])
    process.signer_rpc.batch = batch  # type: ignore[method-assign]
    await until_final(chain, process.relay, [sent])
    assert await chain.count(sent) == 1
    await process.close()


async def test_node_of_another_chain_is_noticed(chain: Chain, tmp_path: Path) -> None:
    process = Process(chain.url, tmp_path / "journal")
    process.relay._chain_id = 1
    assert await refusal(process.relay.check_chain()) == "relay-chain"
    await process.close()


def test_journal_is_of_one_account_one_process_and_one_program(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, chain_id=CHAIN_ID, account=ACCOUNT)
    with pytest.raises(RelayFault, match="relay-journal"):
        Journal(path, chain_id=CHAIN_ID, account=ACCOUNT)
    journal.close()
    for facts in ({"chain_id": 1, "account": ACCOUNT}, {"chain_id": CHAIN_ID, "account": COUNTER}):
        with pytest.raises(RelayFault, match="relay-journal-other-account"):
            Journal(path, **facts)  # type: ignore[arg-type]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change",
    [
        {"id": "0x12"}, {"id": "0x" + "AA" * 32}, {"to": COUNTER[2:]}, {"to": "0x"}, {"wallet": ""},
        {"data": "0x1"}, {"data": "12"}, {"data": "0x" + "00" * (limits.MAX_RELAY_REQUEST_BYTES + 1)},
    ],
)  # fmt: skip
def test_operation_is_written_in_one_way_and_bounded(change: dict[str, str]) -> None:
    good = {"id": "0x" + "aa" * 32, "to": COUNTER, "data": "0x", "wallet": COUNTER}
    Operation(**{**good, "data": "0x" + "00" * limits.MAX_RELAY_REQUEST_BYTES})
    with pytest.raises(RelayFault, match="relay-operation"):
        Operation(**{**good, **change})
