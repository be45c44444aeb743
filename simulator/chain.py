"""A small EVM chain in memory (Prague rules): it executes what the appliance signed, and refuses what a chain refuses.

Trust side: tests and demonstrations only. py-evm executes; each transaction gets a block of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import coincurve
from eth.chains.base import MiningChain
from eth.db.atomic import AtomicDB
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState
from eth.vm.message import Message
from eth.vm.spoof import SpoofTransaction

from evm.address import ZERO_ADDRESS, Address, address_from_public_key
from evm.signature import parse_recoverable
from evm.transaction import Transaction, TransactionType, contract_address, transaction_hash

GAS_LIMIT: Final = 30_000_000
CALL_GAS: Final = 10_000_000
_FAUCET_WEI: Final = 10**30
_FAUCET_FEE: Final = 10**10
_FAUCET_KEY: Final = coincurve.PrivateKey(b"the faucet of a simulated chain.")

Computed = Callable[[Any], None]
"""What a computation of py-evm does in the place of a contract's code."""

_T = TypeVar("_T")


class ChainError(Exception):
    """The chain refuses a transaction (it is in no block), or a read-only call failed."""


@dataclass(frozen=True, slots=True)
class Log:
    """An event that a contract emitted."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction. `status` is False where execution was reverted; its fee is paid all the same."""

    hash: bytes
    status: bool
    block_number: int
    gas_used: int
    fee: int
    logs: tuple[Log, ...]
    output: bytes
    contract: Address | None


class LocalChain:
    """One chain with its own id. Amounts are in wei, addresses and hashes in bytes."""

    def __init__(
        self,
        chain_id: int = 31337,
        contracts: Mapping[Address, bytes] | None = None,
        computed: Mapping[Address, Computed] | None = None,
    ) -> None:
        """`contracts` are there from the beginning: their code, at addresses at which nobody here could deploy.
        `computed` are functions in the place of code.
        """
        vm: Any = PragueVM if computed is None else _vm_with(computed)
        configured: Any = MiningChain.configure("LocalChain", vm_configuration=((0, vm),), chain_id=chain_id)
        accounts = {address: _account(code=code) for address, code in (contracts or {}).items()}
        accounts[_faucet_address()] = _account(balance=_FAUCET_WEI)
        self._chain = configured.from_genesis(
            AtomicDB(), {"timestamp": 1, "gas_limit": GAS_LIMIT, "difficulty": 0}, accounts
        )
        self.chain_id = chain_id

    def send_raw(self, raw: bytes) -> Receipt:
        """Execute a signed transaction in a block of its own; `ChainError` when the chain would not take it."""
        tx: Any = _or_refuse(lambda: self._chain.get_vm().get_transaction_builder().decode(raw))
        if tx.chain_id != self.chain_id:
            raise ChainError(f"the transaction is for chain {tx.chain_id}")
        self._chain.header = self._chain.header.copy(gas_limit=GAS_LIMIT)  # or small blocks would shrink it
        result, receipts, computations = _or_refuse(lambda: self._chain.mine_all([tx]))
        header = result.imported_block.header
        receipt, computation = receipts[0], computations[0]
        status = receipt.state_root == b"\x01"
        price = min(tx.max_fee_per_gas, header.base_fee_per_gas + tx.max_priority_fee_per_gas)
        return Receipt(
            hash=transaction_hash(raw),
            status=status,
            block_number=header.block_number,
            gas_used=header.gas_used,
            fee=header.gas_used * price,
            logs=tuple(_log(log) for log in receipt.logs),
            output=computation.output,
            contract=contract_address(tx.sender, tx.nonce) if not tx.to and status else None,
        )

    def call(self, to: Address | None, data: bytes, *, sender: Address = ZERO_ADDRESS, value: int = 0) -> bytes:
        """What a read-only call returns; `ChainError` when it reverts."""
        vm = self._chain.get_vm()
        tx = vm.create_unsigned_transaction(
            nonce=self.nonce(sender), gas_price=0, gas=CALL_GAS, to=to or b"", value=value, data=data
        )
        spoofed = SpoofTransaction(tx, from_=sender)
        output: bytes = _or_refuse(lambda: self._chain.get_transaction_result(spoofed, self._head))
        return output

    def estimate(self, to: Address | None, data: bytes, *, sender: Address, value: int = 0) -> int:
        """The gas that a transaction takes now; `ChainError` when it would be reverted."""
        self.call(to, data, sender=sender, value=value)
        tx = self._chain.get_vm().create_unsigned_transaction(
            nonce=self.nonce(sender), gas_price=0, gas=CALL_GAS, to=to or b"", value=value, data=data
        )
        return int(_or_refuse(lambda: self._chain.estimate_gas(SpoofTransaction(tx, from_=sender))))

    def run(self, init_code: bytes) -> bytes:
        """What a constructor returns, without deploying anything; `ChainError` when it fails."""
        return self.call(None, init_code)

    def constructed(self, init_code: bytes, address: Address) -> bytes:
        """The code that a constructor would leave at `address`, where it may have written the address into it."""
        vm: Any = self._chain.get_vm()
        sender: Any = _faucet_address()
        where: Any = address
        nobody: Any = b""
        tx = vm.create_unsigned_transaction(nonce=0, gas_price=0, gas=CALL_GAS, to=b"", value=0, data=init_code)
        context = vm.state.get_transaction_context(SpoofTransaction(tx, from_=sender))
        message = Message(CALL_GAS, nobody, sender, 0, b"", init_code, create_address=where)
        state = vm.state
        computation = state.computation_class.apply_create_message(state, message, context)
        if computation.is_error:
            raise ChainError(f"the constructor failed: {computation.error}")
        return bytes(computation.output)

    def fund(self, address: Address, wei: int) -> Receipt:
        """Give `address` coins from the faucet."""
        return self._send_from_faucet(address, wei, b"", 21_000 if not self.code(address) else CALL_GAS)

    def execute(self, to: Address, data: bytes) -> Receipt:
        """Call a contract in a block of its own, from the faucet."""
        return self._send_from_faucet(to, 0, data, CALL_GAS)

    def deploy(self, init_code: bytes, *, wei: int = 0) -> Address:
        """Create a contract; `ChainError` when its constructor fails."""
        contract = self._send_from_faucet(None, wei, init_code, CALL_GAS).contract
        if contract is None:
            raise ChainError("the constructor failed")
        return contract

    def balance(self, address: Address) -> int:
        """The coins of an account."""
        return int(self._state.get_balance(address))

    def nonce(self, address: Address, block: int | None = None) -> int:
        """The number of the next transaction of an account, now or after a block."""
        if block is None:
            return int(self._state.get_nonce(address))
        header = self._chain.get_canonical_block_header_by_number(block)
        return int(self._chain.get_vm(header).state.get_nonce(address))

    def code(self, address: Address) -> bytes:
        """The code of an account; ef0100 and an address where it delegates (EIP-7702)."""
        return bytes(self._state.get_code(address))

    def storage(self, address: Address, slot: int) -> int:
        """A word of an account's storage."""
        return int(self._state.get_storage(address, slot))

    @property
    def base_fee(self) -> int:
        """The price per gas that the next block takes, in wei."""
        return int(self._chain.header.base_fee_per_gas)

    @property
    def block_number(self) -> int:
        """The newest block's."""
        return int(self._head.block_number)

    @property
    def _head(self) -> Any:
        return self._chain.get_canonical_head()

    @property
    def _state(self) -> Any:
        return self._chain.get_vm().state

    def _send_from_faucet(self, to: Address | None, wei: int, data: bytes, gas: int) -> Receipt:
        tx = Transaction(
            type=TransactionType.DYNAMIC_FEE,
            chain_id=self.chain_id,
            nonce=self.nonce(_faucet_address()),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=_FAUCET_FEE,
            gas=gas,
            to=to,
            value=wei,
            data=data,
        )
        by = parse_recoverable(_FAUCET_KEY.sign_recoverable(tx.digest, hasher=None))
        return self.send_raw(tx.signed(by.r, by.s, by.y_parity))


def _vm_with(computed: Mapping[Address, Computed]) -> Any:
    """Prague, with functions in the place of some contracts' code."""
    precompiles: dict[Any, Any] = {**PragueComputation.get_precompiles(), **computed}
    computation: Any = PragueComputation.configure("ComputedContracts", _precompiles=precompiles)
    state: Any = PragueState.configure("ComputedState", computation_class=computation)
    return PragueVM.configure("ComputedVM", _state_class=state)


def _account(*, balance: int = 0, code: bytes = b"") -> dict[str, Any]:
    return {"balance": balance, "nonce": 0, "code": code, "storage": {}}


def _faucet_address() -> Address:
    return address_from_public_key(_FAUCET_KEY.public_key.format(compressed=False))


def _log(log: Any) -> Log:
    topics = tuple(topic.to_bytes(32, "big") for topic in log.topics)
    return Log(Address(bytes(log.address)), topics, bytes(log.data))


def _or_refuse(action: Callable[[], _T]) -> _T:
    try:
        return action()
    except Exception as error:  # py-evm raises its own, rlp's and the key library's families
        raise ChainError(f"{type(error).__name__}: {error}") from error
