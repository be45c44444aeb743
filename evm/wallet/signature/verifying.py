"""Whether a wallet takes a signature: the contract's `signatureValidation`, `isValidSignature` and `execute`.

A `VerifiedSignature` is made here alone. The contract's reasons are those of `execute`; where the image hash is
another, `isValidSignature` answers zeros instead of reverting with `InvalidSignature`.
"""

from dataclasses import dataclass, replace

from evm.address import ZERO_ADDRESS, Address
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import Operation
from evm.wallet.packed_calls import parse_packed_calls
from evm.wallet.payload import DigestPayload
from evm.wallet.signature.contracts import Contracts
from evm.wallet.signature.model import ChainedSignature, StaticSignature
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet on one chain, and the image hash that it knows there: stored, or the one that its address is made of."""

    address: Address
    chain_id: int
    image_hash: bytes


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """An operation of which a wallet's configuration approved; with `no_chain_id`, on every chain."""

    operation: Operation
    image_hash: bytes


def verify_signature(data: bytes, operation: Operation, image_hash: bytes, contracts: Contracts) -> VerifiedSignature:
    """The operation, approved by the configuration with this image hash, the one that the wallet knows.

    Raises `WalletError`: the bytes are malformed, the weight is below the threshold, a chain or a checkpointer breaks a
    rule, a contract refuses, or another configuration signed. Static signatures need `verify_static_signature`.
    """
    signature = parse_signature(data)
    if isinstance(signature, StaticSignature):
        raise WalletError("wallet-signature-static")
    found = recover(signature, operation, contracts)
    require(found.weight >= found.threshold, "wallet-signature-weight-low", "InvalidSignatureWeight")
    require(found.image_hash == image_hash, "wallet-signature-image-hash", "InvalidSignature")
    newest = signature.parts[0] if isinstance(signature, ChainedSignature) else signature
    return VerifiedSignature(replace(operation, no_chain_id=newest.no_chain_id), image_hash)


def verify_erc1271(hash_: bytes, data: bytes, wallet: Wallet, contracts: Contracts) -> VerifiedSignature:
    """`isValidSignature(hash, signature)`: the hash is wrapped before it is compared with what was signed."""
    operation = Operation(DigestPayload(hash_), wallet.address, wallet.chain_id)
    return verify_signature(data, operation, wallet.image_hash, contracts)


def verify_execution(
    packed: bytes, data: bytes, wallet: Wallet, contracts: Contracts, *, next_nonce: int | None = None
) -> VerifiedSignature:
    """`execute(payload, signature)` up to the calls. `next_nonce`, if known, is what the wallet's `readNonce` says."""
    payload = parse_packed_calls(packed, wallet.address)
    require(next_nonce in (None, payload.nonce), "wallet-calls-nonce-not-next", "BadNonce")
    return verify_signature(data, Operation(payload, wallet.address, wallet.chain_id), wallet.image_hash, contracts)


def verify_static_signature(
    data: bytes, operation: Operation, contracts: Contracts, *, caller: Address, now_s: int
) -> Operation:
    """An operation that the wallet itself approved of before, for `caller` at `now_s`."""
    signature = parse_signature(data)
    if not isinstance(signature, StaticSignature):
        raise WalletError("wallet-signature-not-static")
    operation = replace(operation, no_chain_id=signature.no_chain_id)
    approval = contracts.static_signature(operation.wallet, operation.digest)
    require(approval.expires_s > now_s, "wallet-signature-static-expired", "InvalidStaticSignatureExpired")
    anyone = approval.caller == ZERO_ADDRESS
    require(anyone or approval.caller == caller, "wallet-signature-static-caller", "InvalidStaticSignatureWrongCaller")
    return operation
