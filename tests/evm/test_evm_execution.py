"""What the formats encode and a key signs, a chain executes: every transaction type, a token, a delegation."""

from typing import Any

import coincurve
import pytest

from evm.address import ZERO_ADDRESS, Address, address_from_public_key, checksum
from evm.authorization import parse_authorization
from evm.keccak import keccak256
from evm.signature import CURVE_ORDER
from evm.transaction import contract_address, parse_transaction
from simulator import contracts
from simulator.chain import ChainError, LocalChain, Receipt

from .samples import KEYS, sign, transaction

CHAIN_ID = 31337
ETHER = 10**18
ALICE, BOB, SPONSOR = (address_from_public_key(key.public_key.format(compressed=False)) for key in KEYS)
TRANSFER = keccak256(b"Transfer(address,address,uint256)")


@pytest.fixture
def chain() -> LocalChain:
    chain = LocalChain(CHAIN_ID)
    chain.fund(ALICE, ETHER)
    return chain


def request(chain: LocalChain, type_: int, sender: Address = ALICE, **changes: Any) -> dict[str, Any]:
    """A request that a user might send: funds and numbers fit the chain."""
    return transaction(
        type_,
        **{
            "chainId": hex(CHAIN_ID),
            "nonce": hex(chain.nonce(sender)),
            "gas": hex(200_000),
            "value": "0x0",
            "data": "0x",
            **changes,
        },
    )


def execute(chain: LocalChain, found: dict[str, Any], key: coincurve.PrivateKey = KEYS[0]) -> Receipt:
    tx = parse_transaction(found)
    by = sign(tx.digest, key)
    return chain.send_raw(tx.signed(by.r, by.s, by.y_parity))


def signed_authorization(nonce: int, delegate: Address, key: coincurve.PrivateKey) -> dict[str, Any]:
    unsigned = {"chainId": hex(CHAIN_ID), "address": checksum(delegate), "nonce": hex(nonce)}
    by = sign(parse_authorization(unsigned).digest, key)
    return {**unsigned, "yParity": hex(by.y_parity), "r": hex(by.r), "s": hex(by.s)}


def word(value: int | bytes) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


@pytest.mark.parametrize("type_", [0, 1, 2])
def test_transfer_of_each_type_is_executed_at_no_more_than_the_fee_shown(chain: LocalChain, type_: int) -> None:
    found = request(chain, type_, to=checksum(BOB), value=hex(5))
    before = chain.balance(ALICE)
    receipt = execute(chain, found)
    assert receipt.status
    assert chain.balance(BOB) == 5
    assert chain.balance(ALICE) == before - 5 - receipt.fee
    assert receipt.fee <= int(parse_transaction(found).understood()["maxFee"])
    assert chain.nonce(ALICE) == 1


def test_serialized_request_is_executed(chain: LocalChain) -> None:
    tx = parse_transaction("0x" + parse_transaction(request(chain, 2, to=checksum(BOB), value="0x7")).unsigned.hex())
    by = sign(tx.digest)
    assert chain.send_raw(tx.signed(by.r, by.s, by.y_parity)).status
    assert chain.balance(BOB) == 7


def test_token_transfer_does_what_was_understood(chain: LocalChain) -> None:
    token = chain.deploy(contracts.token(ALICE, 1000))
    data = "0xa9059cbb" + word(BOB).hex() + word(40).hex()
    found = request(chain, 2, to=checksum(token), data=data)
    assert parse_transaction(found).understood()["call"]["name"] == "erc20.transfer"
    receipt = execute(chain, found)
    assert receipt.status
    (log,) = receipt.logs
    assert (log.address, log.topics, log.data) == (token, (TRANSFER, word(ALICE), word(BOB)), word(40))
    balances = [chain.call(token, bytes.fromhex("70a08231") + word(owner)) for owner in (ALICE, BOB)]
    assert balances == [word(960), word(40)]


def test_token_transfer_beyond_the_balance_is_reverted(chain: LocalChain) -> None:
    token = chain.deploy(contracts.token(ALICE, 1000))
    receipt = execute(
        chain, request(chain, 2, to=checksum(token), data="0xa9059cbb" + word(BOB).hex() + word(1001).hex())
    )
    assert not receipt.status
    assert receipt.logs == ()
    assert receipt.fee > 0


def test_creation_lands_at_the_address_that_was_shown(chain: LocalChain) -> None:
    data = "0x" + contracts.token(BOB, 3).hex()
    found = request(chain, 2, to=None, data=data, **{"from": checksum(ALICE)})
    shown = parse_transaction(found).understood()["contract"]
    receipt = execute(chain, found)
    assert receipt.contract == contract_address(ALICE, 0)
    assert checksum(receipt.contract) == shown
    assert chain.code(receipt.contract)


def test_delegation_sponsored_by_another_account(chain: LocalChain) -> None:
    """EIP-7702: Alice signs an authorization, the sponsor sends it, and Alice's account runs the delegate's code."""
    chain.fund(SPONSOR, ETHER)
    delegate = chain.deploy(contracts.recorder())
    found = request(
        chain,
        4,
        SPONSOR,
        to=checksum(ALICE),
        data="0x" + word(77).hex(),
        authorizationList=[signed_authorization(0, delegate, KEYS[0])],
    )
    receipt = execute(chain, found, KEYS[2])
    assert receipt.status
    assert chain.code(ALICE) == bytes.fromhex("ef0100") + delegate
    assert chain.storage(ALICE, 0) == 77
    assert chain.storage(delegate, 0) == 0
    assert receipt.output == word(ALICE)
    assert chain.nonce(ALICE) == 1


def test_delegation_of_the_sender_itself_and_its_end(chain: LocalChain) -> None:
    delegate = chain.deploy(contracts.recorder())
    own = [signed_authorization(1, delegate, KEYS[0])]  # the sender's number has been raised before
    assert execute(chain, request(chain, 4, to=checksum(BOB), authorizationList=own)).status
    assert chain.code(ALICE).endswith(delegate)
    end = [signed_authorization(3, ZERO_ADDRESS, KEYS[0])]
    assert execute(chain, request(chain, 4, to=checksum(BOB), authorizationList=end)).status
    assert chain.code(ALICE) == b""


# --- what the chain refuses: it must not be a yes-man ---


def test_transaction_for_another_chain_is_refused(chain: LocalChain) -> None:
    for type_ in (0, 1, 2):
        with pytest.raises(ChainError, match="chain 1"):
            execute(chain, request(chain, type_, chainId="0x1"))


def test_replayed_transaction_is_refused(chain: LocalChain) -> None:
    found = request(chain, 2, to=checksum(BOB), value="0x1")
    execute(chain, found)
    with pytest.raises(ChainError):
        execute(chain, found)
    assert chain.balance(BOB) == 1
    assert execute(chain, request(chain, 2, to=checksum(BOB), value="0x1")).status


def test_transaction_beyond_the_funds_is_refused(chain: LocalChain) -> None:
    with pytest.raises(ChainError):
        execute(chain, request(chain, 2, value=hex(ETHER)))
    with pytest.raises(ChainError):
        execute(chain, request(chain, 2), KEYS[1])


def test_signature_of_another_key_moves_no_coins_of_the_wallet(chain: LocalChain) -> None:
    chain.fund(BOB, ETHER)
    before = chain.balance(ALICE)
    execute(chain, request(chain, 2, to=checksum(SPONSOR), value="0x9"), KEYS[1])
    assert chain.balance(ALICE) == before
    assert chain.balance(SPONSOR) == 9


def test_malleable_twin_is_refused(chain: LocalChain) -> None:
    tx = parse_transaction(request(chain, 2, to=checksum(BOB), value="0x1"))
    by = sign(tx.digest)
    good = tx.signed(by.r, by.s, by.y_parity)
    high = (CURVE_ORDER - by.s).to_bytes(32, "big")
    assert good.endswith(by.s.to_bytes(32, "big"))
    with pytest.raises(ChainError):
        chain.send_raw(good[:-32] + high)


def test_call_that_reverts_raises(chain: LocalChain) -> None:
    token = chain.deploy(contracts.token(ALICE, 1))
    with pytest.raises(ChainError):
        chain.call(token, b"\0\0\0\0")
    with pytest.raises(ChainError):
        chain.call(token, bytes.fromhex("a9059cbb") + word(BOB) + word(2), sender=ALICE)
    assert chain.call(token, bytes.fromhex("a9059cbb") + word(BOB) + word(1), sender=ALICE) == word(1)


def test_deployment_whose_constructor_fails_raises(chain: LocalChain) -> None:
    with pytest.raises(ChainError, match="constructor"):
        chain.deploy(contracts.assemble("0x00 0x00 REVERT"))


@pytest.mark.parametrize("raw", ["", "02", "c0", "03c0", "ff" * 40, "02c0"])
def test_garbage_is_refused(chain: LocalChain, raw: str) -> None:
    with pytest.raises(ChainError):
        chain.send_raw(bytes.fromhex(raw))
    assert chain.fund(BOB, 1).status
