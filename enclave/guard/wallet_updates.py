"""The way from a wallet's first configuration to a later one: its own updates, as a chain's contracts follow them."""

from collections.abc import Sequence

from enclave.sequence.p256 import verify_p256
from evm.address import Address
from evm.wallet.configuration import Configuration
from evm.wallet.context import Context, extensions_of
from evm.wallet.errors import require
from evm.wallet.operation_hash import Operation
from evm.wallet.passkeys.verifying import PasskeyModule
from evm.wallet.payload import ConfigUpdatePayload
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.model import ChainedSignature, Signature
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover


def verify_updates(wallet: Address, configuration: Configuration, context: Context, updates: Sequence[bytes]) -> None:
    """`EvmError` unless `updates`, complete signatures of this wallet, the oldest first, lead to this configuration
    from the one that its address is made of.
    """
    parts = [part for part in map(parse_signature, reversed(updates)) if isinstance(part, Signature)]
    require(len(parts) == len(updates), "wallet-updates")
    contracts = KnownContracts(0, compact={extensions_of(context).passkeys: PasskeyModule(verify_p256)})
    operation = Operation(ConfigUpdatePayload(configuration.image_hash), wallet, 0, no_chain_id=True)
    first = recover(ChainedSignature(tuple(parts)), operation, contracts)
    require(parts[0].checkpoint < configuration.checkpoint, "wallet-updates")
    require(context.wallet_address(first.image_hash) == wallet, "wallet-updates")
