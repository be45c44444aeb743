"""Legacy: factories and main modules of the first and second generation, and the addresses they give.

The creation code is the older one; a wallet's address is otherwise made like today's (`evm.wallet.context`).
"""

from dataclasses import dataclass
from typing import Final

from evm.address import Address
from evm.wallet.context import counterfactual_address, init_code_hash

_CREATION_CODE: Final = bytes.fromhex(
    "603a600e3d39601a805130553df3363d3d373d3d3d363d30545af43d82803e903d91601857fd5bf3"
)


@dataclass(frozen=True, slots=True)
class LegacyContext:
    """A factory, and the module with which its wallets begin."""

    factory: Address
    main_module: Address

    def wallet_address(self, image_hash: bytes) -> Address:
        """Where the wallet with this first image hash is, or will be."""
        return counterfactual_address(self.factory, image_hash, init_code_hash(_CREATION_CODE, self.main_module))


V1: Final = LegacyContext(
    factory=Address(bytes.fromhex("f9d09d634fb818b05149329c1dccfaea53639d96")),
    main_module=Address(bytes.fromhex("d01f11855bccb95f88d7a48492f66410d4637313")),
)
V2: Final = LegacyContext(
    factory=Address(bytes.fromhex("faa5c0b14d1bed5c888ca655b9a8a5911f78ef4a")),
    main_module=Address(bytes.fromhex("fbf8f1a5e00034762d928f46d438b947f5d4065d")),
)
