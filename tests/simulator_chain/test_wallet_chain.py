"""A chain on which wallets of the third generation are computed: it takes what is signed, and refuses the rest."""

from collections.abc import Sequence

import coincurve
import pytest

from evm.address import Address, address_from_public_key
from evm.keccak import keccak256
from evm.signature import parse_recoverable
from evm.wallet.abi import dynamic, encode, selector, word
from evm.wallet.configuration import Configuration
from evm.wallet.context import DEFAULT_CONTEXT, GUEST_MODULE
from evm.wallet.deploy import execute_call, first_transaction
from evm.wallet.erc1271 import personal_preimage
from evm.wallet.operation_hash import Operation
from evm.wallet.packed_calls import pack_calls
from evm.wallet.payload import BehaviorOnError, Call, CallsPayload, ConfigUpdatePayload, MessagePayload
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import key_signature
from evm.wallet.signature.merging import assemble
from evm.wallet.signature.model import ChainedSignature, Signature
from evm.wallet.topology import SignerLeaf
from simulator import contracts
from simulator.chain import ChainError, LocalChain
from simulator.chain_node import CHAIN_ID, wallet_chain

FRIEND, OTHER = Address(b"\x99" * 20), Address(b"\x98" * 20)
IS_VALID = selector("isValidSignature(bytes32,bytes)")


class Wallet:
    """One signer, and what it signs."""

    def __init__(self, secret: bytes = b"\x11" * 32, checkpoint: int = 0, address: Address | None = None) -> None:
        self._key = coincurve.PrivateKey(secret)
        self.signer = address_from_public_key(self._key.public_key.format(compressed=False))
        self.configuration = Configuration(1, checkpoint, SignerLeaf(self.signer, 1))
        self.address = address or DEFAULT_CONTEXT.wallet_address(self.configuration.image_hash)

    def part(self, operation: Operation) -> Signature:
        signed = parse_recoverable(self._key.sign_recoverable(operation.digest, hasher=None))
        return assemble(self.configuration, operation, (key_signature(self.signer, signed),))

    def calls(self, calls: Sequence[Call], *, space: int = 0, nonce: int = 0, chain_id: int = CHAIN_ID) -> Operation:
        return Operation(CallsPayload(tuple(calls), space, nonce), self.address, chain_id)

    def first(self, operation: Operation) -> bytes:
        """The guest module's call data."""
        image_hash = self.configuration.image_hash
        return first_transaction(DEFAULT_CONTEXT, image_hash, *self._signed(operation))

    def execute(self, operation: Operation) -> bytes:
        """The wallet's call data."""
        return execute_call(self.address, *self._signed(operation)).data

    def _signed(self, operation: Operation) -> tuple[bytes, bytes]:
        assert isinstance(operation.payload, CallsPayload)
        return pack_calls(operation.payload, self.address), encode_signature(self.part(operation))


@pytest.fixture
def chain() -> LocalChain:
    return wallet_chain()


@pytest.fixture
def wallet(chain: LocalChain) -> Wallet:
    """With coins, and not yet there."""
    made = Wallet()
    chain.fund(made.address, 1000)
    return made


def test_first_transaction_creates_the_wallet_and_the_next_ones_execute(chain: LocalChain, wallet: Wallet) -> None:
    assert chain.code(wallet.address) == b""
    assert chain.execute(GUEST_MODULE, wallet.first(wallet.calls([Call(FRIEND, 7)]))).status
    assert chain.code(wallet.address) != b""
    assert chain.execute(wallet.address, wallet.execute(wallet.calls([Call(FRIEND, 8)], nonce=1))).status
    assert (chain.balance(FRIEND), chain.balance(wallet.address)) == (15, 985)


def test_wallet_is_not_created_twice_and_then_nothing_of_the_transaction_happens(
    chain: LocalChain, wallet: Wallet
) -> None:
    for space, done in ((1, True), (2, False)):
        first = wallet.first(wallet.calls([Call(FRIEND, 7)], space=space))
        assert chain.execute(GUEST_MODULE, first).status is done
    assert chain.balance(FRIEND) == 7


def test_operation_happens_once_and_in_the_order_of_its_nonces(chain: LocalChain, wallet: Wallet) -> None:
    once = wallet.calls([Call(FRIEND, 7)])
    assert chain.execute(GUEST_MODULE, wallet.first(once)).status
    for refused in (once, wallet.calls([Call(FRIEND, 7)], nonce=2)):
        assert not chain.execute(wallet.address, wallet.execute(refused)).status
    assert chain.execute(wallet.address, wallet.execute(wallet.calls([Call(FRIEND, 7)], space=9))).status


def test_what_the_wallet_did_not_sign_for_this_chain_is_refused(chain: LocalChain, wallet: Wallet) -> None:
    assert chain.execute(GUEST_MODULE, wallet.first(wallet.calls([]))).status
    stranger = Wallet(b"\x12" * 32, address=wallet.address)
    assert not chain.execute(wallet.address, stranger.execute(wallet.calls([Call(FRIEND, 7)], nonce=1))).status
    elsewhere = wallet.calls([Call(FRIEND, 7)], nonce=1, chain_id=1)
    assert not chain.execute(wallet.address, wallet.execute(elsewhere)).status
    assert chain.balance(FRIEND) == 0


@pytest.mark.parametrize(
    ("on_error", "done", "received"),
    [(BehaviorOnError.REVERT, False, 0), (BehaviorOnError.IGNORE, True, 12), (BehaviorOnError.ABORT, True, 5)],
)
def test_what_follows_from_a_call_that_fails(
    chain: LocalChain, wallet: Wallet, on_error: BehaviorOnError, done: bool, received: int
) -> None:
    token = chain.deploy(contracts.token(OTHER, 50))
    too_much = selector("transfer(address,uint256)") + encode(word(FRIEND), word(1))
    calls = [Call(FRIEND, 5), Call(token, data=too_much, behavior_on_error=on_error), Call(FRIEND, 7)]
    assert chain.execute(GUEST_MODULE, wallet.first(wallet.calls(calls))).status is done
    assert chain.balance(FRIEND) == received


def test_tokens_move_and_their_events_are_in_the_receipt(chain: LocalChain, wallet: Wallet) -> None:
    token = chain.deploy(contracts.token(wallet.address, 50))
    send = selector("transfer(address,uint256)") + encode(word(FRIEND), word(20))
    done = chain.execute(GUEST_MODULE, wallet.first(wallet.calls([Call(token, data=send)])))
    assert [log.address for log in done.logs] == [token]
    assert chain.call(token, selector("balanceOf(address)") + word(FRIEND)) == word(20)


def test_updated_wallet_takes_a_chain_until_it_is_settled_and_then_the_newest_alone(
    chain: LocalChain, wallet: Wallet
) -> None:
    newest = Wallet(b"\x13" * 32, checkpoint=1, address=wallet.address)
    update = ConfigUpdatePayload(newest.configuration.image_hash)
    approval = wallet.part(Operation(update, wallet.address, CHAIN_ID, no_chain_id=True))
    settle = Call(wallet.address, data=selector("updateImageHash(bytes32)") + newest.configuration.image_hash)
    operation = newest.calls([settle, Call(FRIEND, 7)])
    assert isinstance(operation.payload, CallsPayload)
    chained = encode_signature(ChainedSignature((newest.part(operation), approval)))
    packed = pack_calls(operation.payload, wallet.address)
    image_hash = wallet.configuration.image_hash
    assert chain.execute(GUEST_MODULE, first_transaction(DEFAULT_CONTEXT, image_hash, packed, chained)).status
    for by, done in ((wallet, False), (newest, True)):
        assert chain.execute(wallet.address, by.execute(by.calls([Call(FRIEND, 8)], nonce=1))).status is done
    assert chain.balance(FRIEND) == 15


def test_message_is_valid_for_verifiers_on_the_chain(chain: LocalChain, wallet: Wallet) -> None:
    assert chain.execute(GUEST_MODULE, wallet.first(wallet.calls([]))).status
    preimage = personal_preimage(b"hello")
    signature = encode_signature(wallet.part(Operation(MessagePayload(preimage), wallet.address, CHAIN_ID)))
    asked = IS_VALID + encode(keccak256(preimage), dynamic(signature))
    assert chain.call(wallet.address, asked)[:4] == IS_VALID
    with pytest.raises(ChainError):
        chain.call(wallet.address, IS_VALID + encode(keccak256(b"other"), dynamic(signature)))


def test_strangers_change_no_configuration(chain: LocalChain, wallet: Wallet) -> None:
    assert chain.execute(GUEST_MODULE, wallet.first(wallet.calls([]))).status
    assert not chain.execute(wallet.address, selector("updateImageHash(bytes32)") + b"\x01" * 32).status
