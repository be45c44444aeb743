"""Recovery by the login's key, where the wallet names it as a recovery key: queue now, execute after the delay.

Nobody can take back what is queued; it is made void by using its nonce first, or by a configuration under which what
was queued before does not count.
"""

from dataclasses import dataclass
from typing import Any, Final

from enclave.sequence.asked import asked_calls, parse_calls, parse_chain_id
from enclave.sequence.wallet_records import SmartWallet
from evm.address import checksum
from evm.fields import UINT64_MAX
from evm.signature import parse_signature
from evm.wallet.compact import to_compact
from evm.wallet.deploy import execute_call
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import Operation
from evm.wallet.packed_calls import pack_calls
from evm.wallet.payload import MAX_NONCE, MAX_SPACE, CallsPayload
from evm.wallet.recovery.queue import QueueRequest, verify_queue_request
from evm.wallet.recovery.tree import RecoveryLeaf, trim
from evm.wallet.recovery.tree_encoding import encode_tree
from evm.wallet.recovery.words import leaf_words
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import sapient_signature
from evm.wallet.signature.merging import assemble
from evm.wallet.times import moment
from evm.wallet.values import parse_decimal, to_hex

_CODE: Final = "wallet-recovery"


@dataclass(frozen=True, slots=True)
class AskedRecovery:
    """Calls that the login's key is to queue."""

    wallet: SmartWallet
    leaf: RecoveryLeaf
    payload: CallsPayload
    operation: Operation
    understood: dict[str, Any]

    @property
    def request(self) -> QueueRequest:
        """What is signed and sent to the recovery module."""
        chain_id = 0 if self.operation.no_chain_id else self.operation.chain_id
        return QueueRequest(self.wallet.address, self.leaf.signer, self.payload, chain_id)

    def signed(self, data: bytes) -> dict[str, Any]:
        """The call that queues, and the call that executes once the delay is over; anyone may send either."""
        request = self.request
        compact = to_compact(parse_signature(data))
        verify_queue_request(request, compact)
        wallet, module = self.wallet, self.wallet.plan.extensions.recovery
        tree = wallet.plan.recovery
        shown = sapient_signature(module, tree.hash, encode_tree(trim(tree, self.leaf.signer)), compact=True)
        signature = encode_signature(assemble(wallet.plan.configuration, self.operation, [shown]))
        execute = execute_call(wallet.address, pack_calls(self.payload, wallet.address), signature)
        return {
            "signature": to_hex(data),
            "signer": checksum(self.leaf.signer),
            "digest": to_hex(request.digest),
            "payloadHash": to_hex(request.payload_hash),
            "queue": {"to": checksum(module), "data": to_hex(request.calldata(compact))},
            "execute": {"to": checksum(execute.to), "data": to_hex(execute.data)},
            "delay": self.leaf.required_delta_s,
            "imageHash": to_hex(wallet.plan.configuration.image_hash),
        }


def parse_recovery(params: dict[str, Any], wallet: SmartWallet, now_s: int) -> AskedRecovery:
    """From `chainId` and `payload`, calls in the library's form. The login's key has to be one of the recovery keys."""
    leaf = next((key for key in wallet.plan.recovery_keys if key.signer == wallet.plan.identity), None)
    if leaf is None:
        raise WalletError(f"{_CODE}-signer", "InvalidSignature")
    require(leaf.min_timestamp_s <= now_s, f"{_CODE}-not-ready", "QueueNotReady")
    payload, chain_id = parse_calls(params.get("payload")), parse_chain_id(params.get("chainId"))
    require(not payload.parent_wallets, "wallet-packed-calls-parents")
    asked = asked_calls(payload, wallet, chain_id)
    earliest = min(now_s + leaf.required_delta_s, UINT64_MAX)
    words = [
        *asked.understood["words"],
        leaf_words(leaf),
        f"Queued now, anyone may have it done from {moment(earliest)} on, unless it is made void before",
    ]
    return AskedRecovery(wallet, leaf, payload, asked.operation, asked.understood | {"words": words})


def parse_cancellation(params: dict[str, Any]) -> CallsPayload:
    """Calls of nothing, with the `space` and `nonce` of what was queued: done first, they use the nonce up."""
    space = parse_decimal(params.get("space"), "wallet-calls-space", most=MAX_SPACE)
    return CallsPayload((), space, parse_decimal(params.get("nonceUsed"), "wallet-calls-nonce", most=MAX_NONCE))
