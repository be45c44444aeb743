"""Contracts that carry out calls now or later: timelocks, governors, multisignature wallets, proxies of one owner.

A call that is only proposed or scheduled counts as carried out, for the sender has no further say in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from evm.address import Address
from evm.effects.call import Call, reads
from evm.effects.model import Effect, Kind, Reason
from evm.effects.nesting import account_batch, delegate_call, safe_operation
from evm.errors import EvmError


@reads(
    "schedule(address,uint256,bytes,bytes32,bytes32,uint256)",
    "execute(address,uint256,bytes,bytes32,bytes32)",
    "submitTransaction(address,uint256,bytes)",
)
def _one(call: Call, to: Address, value: int, data: bytes, *_terms: object) -> Iterable[Effect]:
    """OpenZeppelin's timelock; Gnosis' multisignature wallet."""
    return account_batch(call, [(to, value, data)])


@reads(
    "scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)",
    "executeBatch(address[],uint256[],bytes[],bytes32,bytes32)",
    "propose(address[],uint256[],bytes[],string)",
    "execute(address[],uint256[],bytes[],bytes32)",
    "queue(address[],uint256[],bytes[],bytes32)",
)
def _many(
    call: Call, targets: Sequence[Address], values: Sequence[int], data: Sequence[bytes], *_terms: object
) -> Iterable[Effect]:
    """Timelocks, and OpenZeppelin's governor."""
    if not len(targets) == len(values) == len(data):
        raise EvmError("abi")
    return account_batch(call, list(zip(targets, values, data, strict=True)))


@reads("execute(address,bytes)")
def _run(call: Call, target: Address, data: bytes) -> Iterable[Effect]:
    """DSProxy: the target's code runs as the proxy."""
    return [call.nested(Kind.NESTED, [delegate_call(call, call.to, target, data)], account=call.to)]


@reads("execute(address,uint256,bytes,uint8)")
def _execute(call: Call, to: Address, value: int, data: bytes, operation: int) -> Iterable[Effect]:
    """ERC-6551, and accounts that take the operations of a Safe."""
    return _operate(call, operation, to, value, data)


@reads("execute(uint256,address,uint256,bytes)")
def _execute_725(call: Call, operation: int, to: Address, value: int, data: bytes) -> Iterable[Effect]:
    """ERC-725X: 0 call, 1 and 2 creation, 3 static call, 4 delegate call."""
    if operation > max(_OPERATIONS_725):
        raise EvmError("abi")
    return _operate(call, _OPERATIONS_725[operation], to, value, data)


_CALL, _DELEGATE_CALL, _CREATE, _CREATE2 = range(4)
_OPERATIONS_725 = {0: _CALL, 1: _CREATE, 2: _CREATE2, 3: _CALL, 4: _DELEGATE_CALL}


def _operate(call: Call, operation: int, to: Address, value: int, data: bytes) -> Iterable[Effect]:
    if operation in (_CREATE, _CREATE2):
        inside: Iterable[Effect] = [call.effect(Kind.CREATION, account=call.to)]
    else:
        inside = safe_operation(call, call.to, to, value, data, operation)
    return [call.nested(Kind.NESTED, inside, account=call.to)]


@reads("executeWithoutChainIdValidation(bytes[])")
def _on_every_chain(call: Call, calls: Sequence[bytes]) -> Iterable[Effect]:
    """Coinbase's smart wallet: functions of the account itself, by a signature that holds on every chain."""
    everywhere = replace(call, chain_id=0)
    effects = [effect for data in calls for effect in everywhere.inner(call.to, 0, data)]
    return [everywhere.nested(Kind.NESTED, effects, account=call.to)]


@reads("approveHash(bytes32)", "signMessage(bytes)")
def _approve_hash(call: Call, _hash: bytes) -> Iterable[Effect]:
    """A Safe's owner confirms, or a Safe signs, what is not shown."""
    return [call.unknown(Reason.HASH)]
