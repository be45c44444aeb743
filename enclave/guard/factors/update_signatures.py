"""Whether a wallet has signed an update of its factors, told offline from its configuration.

Any generation's wallet: its signature leads back to the configuration that its address is made of, or to one that the
guard has signed an update to. ERC-6492 wraps the signature of a wallet that is not deployed, and so names it.
"""

from collections.abc import Collection, Iterator
from typing import Final

from enclave.guard.factors.proofs import CHAIN_ID, update_digest, update_preimage
from enclave.sequence.p256 import verify_p256
from evm.address import Address
from evm.errors import EvmError
from evm.wallet.abi import word
from evm.wallet.context import CONTEXTS, EXTENSIONS, Context
from evm.wallet.deploy import DEPLOY, is_erc6492, parse_erc6492
from evm.wallet.errors import WalletError
from evm.wallet.legacy.context import V1, V2, LegacyContext
from evm.wallet.legacy.digests import subdigest
from evm.wallet.legacy.signer import IsValidSignature, no_contract
from evm.wallet.legacy.v1 import recover_v1
from evm.wallet.legacy.v2_signature import recover_v2
from evm.wallet.operation_hash import Operation
from evm.wallet.passkeys.verifying import PasskeyModule
from evm.wallet.payload import MessagePayload
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.model import StaticSignature
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover
from evm.wallet.values import HASH_BYTES

_PASSKEYS: Final = {found.passkeys: PasskeyModule(verify_p256) for found in EXTENSIONS.values()}
_CONTRACTS: Final = KnownContracts(CHAIN_ID, compact=_PASSKEYS)
_THIRD: Final = tuple(CONTEXTS.values())


def unwrap(data: bytes) -> tuple[bytes, Address | None]:
    """The wallet's signature, and the wallet that an ERC-6492 wrapper claims to deploy. `EvmError` for a malformed one.

    Deploying may be one call of several; which wallet it is, the signature has to prove.
    """
    if not is_erc6492(data):
        return data, None
    signature, deploy = parse_erc6492(data)
    return signature, next(_deployed(deploy.data), None)


def _deployed(calldata: bytes) -> Iterator[Address]:
    modules: list[tuple[Context | LegacyContext, Address]] = [(found, found.stage1) for found in _THIRD]
    modules += [(found, found.main_module) for found in (V1, V2)]
    for context, module in modules:
        _, called, rest = calldata.partition(DEPLOY + word(module))
        if called and len(rest) >= HASH_BYTES:
            yield context.wallet_address(rest[:HASH_BYTES])


def verify_update(
    signature: bytes,
    wallet: Address,
    time_s: int,
    approved: Collection[bytes],
    ask: IsValidSignature = no_contract,
) -> None:
    """Return if `wallet` has signed the update of this time; `WalletError` otherwise.

    `approved`: image hashes of later configurations that count. `ask`: ERC-1271, for signers of older generations.
    """
    for recovered, contexts in ((_third, _THIRD), (_second, (V2,)), (_first, (V1,))):
        try:
            image_hash = recovered(signature, wallet, time_s, ask)
        except EvmError:
            continue
        if image_hash in approved or any(found.wallet_address(image_hash) == wallet for found in contexts):
            return
    raise WalletError("wallet-signature-image-hash")


def _third(signature: bytes, wallet: Address, time_s: int, _ask: IsValidSignature) -> bytes:
    parsed = parse_signature(signature)
    if isinstance(parsed, StaticSignature):
        raise WalletError("wallet-signature-static")
    found = recover(parsed, Operation(MessagePayload(update_preimage(time_s)), wallet, CHAIN_ID), _CONTRACTS)
    return _heavy(found.image_hash, found.weight, found.threshold)


def _second(signature: bytes, wallet: Address, time_s: int, ask: IsValidSignature) -> bytes:
    found = recover_v2(signature, update_digest(time_s), wallet, CHAIN_ID, ask)
    return _heavy(found.image_hash, found.weight, found.threshold)


def _first(signature: bytes, wallet: Address, time_s: int, ask: IsValidSignature) -> bytes:
    configuration, weight = recover_v1(signature, subdigest(CHAIN_ID, wallet, update_digest(time_s)), ask)
    return _heavy(configuration.image_hash, weight, configuration.threshold)


def _heavy(image_hash: bytes, weight: int, threshold: int) -> bytes:
    if weight < threshold:
        raise WalletError("wallet-signature-weight-low")
    return image_hash
