"""Legacy: call data for wallets of the second generation: bundles, and the transaction that creates one first."""

from collections.abc import Sequence
from typing import Final

from evm.address import Address
from evm.wallet.abi import dynamic, encode, selector, word
from evm.wallet.deploy import DEPLOY
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.digests import LegacyCall, encode_calls

GUEST_MODULE: Final = Address(bytes.fromhex("fea230ee243f88bc698dd8f1ae93f8301b6cdfae"))
_EXECUTE: Final = selector("execute((bool,bool,uint256,address,uint256,bytes)[],uint256,bytes)")


def execute_bundle(calls: Sequence[LegacyCall], nonce: int, signature: bytes) -> bytes:
    """The call data with which a wallet takes a bundle and its signature; `nonce` with its space."""
    return _EXECUTE + encode(encode_calls(calls), word(nonce), dynamic(signature))


def deploy_v2(image_hash: bytes) -> LegacyCall:
    """The call of the factory that creates the wallet with this image hash."""
    return LegacyCall(V2.factory, 0, DEPLOY + encode(word(V2.main_module), image_hash))


def create_and_execute(image_hash: bytes, bundle: bytes) -> bytes:
    """The guest module's call data: it creates the wallet and hands it its bundle (`execute_bundle`), or neither."""
    wallet = V2.wallet_address(image_hash)
    return execute_bundle([deploy_v2(image_hash), LegacyCall(wallet, 0, bundle)], 0, b"")
