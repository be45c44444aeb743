"""Wallets of the third generation on a simulated chain: their contracts' rules are computed by `evm.wallet`.

Trust side: simulator. Nobody publishes the compiled contracts (ADR 43), so functions stand at their production
addresses in the place of code: factory, module of wallets, guest module. The proxies are genuine, and so is what a
wallet calls; nonces, image hashes and coins are state of the chain. Wallets whose signers are accounts are known, no
passkeys and no session modules.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from eth.exceptions import Revert

from evm.address import Address
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.wallet.abi import selector, word
from evm.wallet.context import CONTEXTS, GUEST_MODULE, Context
from evm.wallet.deploy import DEPLOY, EXECUTE
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import Operation
from evm.wallet.packed_calls import parse_packed_calls
from evm.wallet.payload import BehaviorOnError, Call, DigestPayload
from evm.wallet.reader import Reader
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.model import StaticSignature
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover
from simulator.chain import Computed

CODE: Final = b"\xfe"
"""Stands at the addresses, so that everybody sees that there is a contract; never run."""

_UPDATE_IMAGE_HASH: Final = selector("updateImageHash(bytes32)")
_IS_VALID: Final = selector("isValidSignature(bytes32,bytes)")
_IMAGE_HASH_SLOT: Final = int.from_bytes(keccak256(b"image hash of a simulated wallet"), "big")
_GAS: Final = {DEPLOY: 34_000, EXECUTE: 25_000, _IS_VALID: 15_000}  # near those of the contracts
_ANY_GAS: Final = 5_000
_CALL_GAS: Final = 12_000  # for coins and a new account, whether there are any or not
_CODE: Final = "wallet-simulated"

T = TypeVar("T")


def computed_contracts(chain_id: int) -> Mapping[Address, Computed]:
    """The contracts by address, for the chain of this id."""
    found: dict[Address, Computed] = {GUEST_MODULE: _guest}
    for context in CONTEXTS.values():
        found[context.factory] = _factory
        found[context.stage1] = found[context.stage2] = _module(context, chain_id)
    return found


def _factory(computation: Any) -> None:
    """`deploy(address,bytes32)`: the genuine creation code, by CREATE2 with the image hash as its salt."""
    computation.consume_gas(_GAS[DEPLOY], reason="deploy")
    data = bytes(computation.msg.data)
    context = next((known for known in CONTEXTS.values() if data[:36] == DEPLOY + word(known.stage1)), None)
    if context is None or len(data) != 68:
        raise Revert(b"")
    wallet = context.wallet_address(data[36:])
    if computation.state.has_code_or_nonce(wallet):
        raise Revert(b"DeployFailed")
    code = context.creation_code + word(context.stage1)
    if _child(computation, to=b"", value=0, data=b"", code=code, create_address=wallet).is_error:
        raise Revert(b"")
    computation.output = word(wallet)


def _guest(computation: Any) -> None:
    """Packed calls of anybody, from the guest module's account."""
    computation.consume_gas(_ANY_GAS, reason="guest module")
    payload = _or_revert(lambda: parse_packed_calls(bytes(computation.msg.data), GUEST_MODULE))
    _run(computation, payload.calls)


def _module(context: Context, chain_id: int) -> Computed:
    """What a wallet's proxy delegates to."""

    def module(computation: Any) -> None:
        data, wallet = bytes(computation.msg.data), Address(bytes(computation.msg.storage_address))
        computation.consume_gas(_GAS.get(data[:4], _ANY_GAS), reason="wallet")
        if data[:4] == EXECUTE:
            _execute(computation, wallet, context, chain_id)
        elif data[:4] == _IS_VALID:
            asked = Operation(DigestPayload(data[4:36]), wallet, chain_id)
            _or_revert(lambda: _verify(computation, asked, _dynamic(data[4:], 1), context))
            computation.output = _IS_VALID.ljust(32, b"\0")
        elif data[:4] == _UPDATE_IMAGE_HASH and computation.msg.sender == wallet:
            computation.state.set_storage(wallet, _IMAGE_HASH_SLOT, int.from_bytes(data[4:36], "big"))
        elif data:
            raise Revert(b"")

    return module


def _execute(computation: Any, wallet: Address, context: Context, chain_id: int) -> None:
    """`execute(bytes,bytes)`: the nonce, the signature, the calls."""
    state, arguments = computation.state, bytes(computation.msg.data)[4:]
    payload = _or_revert(lambda: parse_packed_calls(_dynamic(arguments, 0), wallet))
    slot = int.from_bytes(keccak256(b"nonce of a simulated wallet" + word(payload.space)), "big")
    if state.get_storage(wallet, slot) != payload.nonce:
        raise Revert(b"BadNonce")
    state.set_storage(wallet, slot, payload.nonce + 1)
    operation = Operation(payload, wallet, chain_id)
    _or_revert(lambda: _verify(computation, operation, _dynamic(arguments, 1), context))
    _run(computation, payload.calls)


def _verify(computation: Any, operation: Operation, data: bytes, context: Context) -> None:
    """`WalletError` unless the wallet's configuration approves: the stored one, or that which gives its address."""
    signature = parse_signature(data)
    if isinstance(signature, StaticSignature):
        raise WalletError("wallet-signature-static")
    found = recover(signature, operation, KnownContracts(operation.chain_id))
    require(found.weight >= found.threshold, "wallet-signature-weight-low", "InvalidSignatureWeight")
    stored = computation.state.get_storage(operation.wallet, _IMAGE_HASH_SLOT)
    known = (
        found.image_hash == stored.to_bytes(32, "big")
        if stored
        else context.wallet_address(found.image_hash) == operation.wallet
    )
    require(known, "wallet-signature-image-hash", "InvalidSignature")


def _run(computation: Any, calls: Iterable[Call]) -> None:
    """Calls in order, and what follows from one that fails."""
    failed = False
    for call in calls:
        if call.only_fallback and not failed:
            continue
        if call.delegate_call or computation.state.get_balance(computation.msg.storage_address) < call.value:
            raise Revert(b"")
        code = computation.state.get_code(call.to)
        child = _child(computation, call.gas_limit, to=call.to, value=call.value, data=call.data, code=code)
        failed = child.is_error
        if failed and call.behavior_on_error is BehaviorOnError.REVERT:
            raise Revert(b"Reverted")
        if failed and call.behavior_on_error is BehaviorOnError.ABORT:
            return


def _child(computation: Any, gas_limit: int = 0, **message: Any) -> Any:
    """One call or creation inside, with all but a 64th of the gas, or with `gas_limit`."""
    computation.consume_gas(_CALL_GAS, reason="call")
    remaining = computation.get_gas_remaining()
    gas = min(gas_limit or remaining, remaining - remaining // 64)
    computation.consume_gas(gas, reason="gas of a call")
    child = computation.apply_child_computation(computation.prepare_child_message(gas=gas, **message))
    if child.should_return_gas:
        computation.return_gas(child.get_gas_remaining())
    return child


def _dynamic(arguments: bytes, place: int) -> bytes:
    """The bytes argument at `place`."""
    head = Reader(arguments, _CODE, position=32 * place)
    at = head.uint(32)
    require(at <= len(arguments), _CODE)
    reader = Reader(arguments, _CODE, position=at)
    return reader.take(reader.uint(32))


def _or_revert(action: Callable[[], T]) -> T:
    try:
        return action()
    except EvmError as error:
        raise Revert(error.code.encode()) from None
