"""Queueing what a recovery key wants the wallet to do: its signature, and the call that anyone may send.

The contract's `queuePayload`. The signature is on the payload under the recovery domain; what is stored, with the time,
is the payload's ordinary operation hash, once for each wallet, key and hash.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from evm.address import Address
from evm.wallet.abi import dynamic, encode, selector, word
from evm.wallet.compact import recover_compact
from evm.wallet.context import EXTENSIONS
from evm.wallet.decoded import payload_abi
from evm.wallet.errors import require
from evm.wallet.operation_hash import RecoveryPayload, operation_hash
from evm.wallet.payload import Payload

RECOVERY_MODULE: Final = EXTENSIONS["Rc5"].recovery
MAX_SIGNATURE_BYTES: Final = 32 * 1024  # own choice; longer than 64 only where the key is a contract (ERC-1271)

_CODE: Final = "wallet-recovery"
_QUEUE: Final = selector(
    "queuePayload(address,address,(uint8,bool,(address,uint256,bytes,uint256,bool,bool,uint256)[],uint256,uint256,"
    "bytes,bytes32,bytes32,address[]),bytes)"
)

ContractSignature = Callable[[Address, bytes, bytes], bool]
"""Whether the contract at an address takes a signature for a digest (ERC-1271): address, digest, signature."""


@dataclass(frozen=True, slots=True)
class QueueRequest:
    """A payload of `wallet` that the key `signer` wants to queue. Chain id 0 for one that holds on every chain."""

    wallet: Address
    signer: Address
    payload: Payload
    chain_id: int

    @property
    def digest(self) -> bytes:
        """What the recovery key signs; `recoveryPayloadHash` of the contract."""
        return operation_hash(RecoveryPayload(self.payload), self.wallet, self.chain_id)

    @property
    def payload_hash(self) -> bytes:
        """Under which hash the payload is queued, and with which the wallet asks for it later."""
        return operation_hash(self.payload, self.wallet, self.chain_id)

    def calldata(self, signature: bytes) -> bytes:
        """The call of `RECOVERY_MODULE` that queues the payload.

        The client library says `noChainId` false whatever was signed; here it says what the digest holds.
        """
        require(len(signature) <= MAX_SIGNATURE_BYTES, f"{_CODE}-signature-bytes")
        decoded = payload_abi(self.payload, no_chain_id=self.chain_id == 0)
        return _QUEUE + encode(word(self.wallet), word(self.signer), decoded, dynamic(signature))


@dataclass(frozen=True, slots=True)
class VerifiedQueueRequest:
    """A request that its key has signed. Only `verify_queue_request` makes one."""

    request: QueueRequest
    signature: bytes


def verify_queue_request(
    request: QueueRequest, signature: bytes, *, contract_signature: ContractSignature | None = None
) -> VerifiedQueueRequest:
    """The request with its signature; `WalletError` where the contract would refuse it.

    64 bytes are tried as a key's; where that fails and the signer is a contract, the chain is asked through
    `contract_signature`, if the caller has one. The contract takes malformed signatures for those of the zero address.
    """
    require(any(request.signer), f"{_CODE}-signer")
    require(len(signature) <= MAX_SIGNATURE_BYTES, f"{_CODE}-signature-bytes")
    digest = request.digest
    by_key = recover_compact(signature, digest) == request.signer
    accepted = by_key or (contract_signature is not None and contract_signature(request.signer, digest, signature))
    require(accepted, f"{_CODE}-signature", "InvalidSignature")
    return VerifiedQueueRequest(request, signature)
