"""The call with which an account takes a delegation back on the chain, and the transaction that carries it."""

from typing import Any, Final

from enclave.delegations.grants import Granted
from evm.address import checksum
from evm.delegations.context import disable_call
from evm.fields import members
from evm.transaction import Transaction, parse_transaction

_FEES: Final = ("nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas")


def disable_call_of(granted: Granted) -> dict[str, Any]:
    """Recipient and data of the call; it counts only if the delegating account itself sends it."""
    return {
        "chainId": hex(granted.chain_id),
        "from": checksum(granted.signed.delegation.delegator),
        "to": checksum(granted.manager.address),
        "value": "0x0",
        "data": "0x" + disable_call(granted.signed.delegation).hex(),
    }


def parse_disabling(fees: object, granted: Granted) -> Transaction:
    """The transaction of type 2, from its fee members alone; `EvmError` as for every transaction."""
    found = members(fees, required=_FEES, code="delegation-fees")
    return parse_transaction({"type": "0x2", **disable_call_of(granted), **found})
