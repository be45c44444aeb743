"""What a second signer is shown of a user's wallet: the configuration from which it derives the wallet by itself.

{"configuration", "context"}          the third generation: the configuration that signs
{"parent", "user", "userSalt"}        the second: the parent's configuration, and what makes the wallet the user's own
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from evm.address import Address
from evm.fields import hex_word, members
from evm.intents.errors import IntentError, require
from evm.intents.user_wallet import ChildWalletV2, child_wallet, verify_parent
from evm.wallet.configuration import Configuration
from evm.wallet.configuration_json import configuration_to_json, parse_configuration
from evm.wallet.context import Context, parse_context
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.topology import SignerLeaf, leaves_of

_CODE: Final = "intent-shown-wallet"


@dataclass(frozen=True, slots=True)
class ShownWalletV3:
    """The configuration that signs now, and the contracts. Its address is its first configuration's."""

    configuration: Configuration
    context: Context

    def as_json(self) -> dict[str, Any]:
        """The wire's form."""
        return {"configuration": configuration_to_json(self.configuration), "context": self.context.name}


@dataclass(frozen=True, slots=True)
class ShownWalletV2:
    """The parent's first configuration, the tenant's name for the user, and the tenant's salt (32 bytes)."""

    parent: V2Configuration
    user: str
    user_salt: bytes

    def as_json(self) -> dict[str, Any]:
        """The wire's form."""
        shown = Configuration(self.parent.threshold, self.parent.checkpoint, self.parent.topology)
        return {"parent": configuration_to_json(shown), "user": self.user, "userSalt": "0x" + self.user_salt.hex()}

    def verify(self, guard: Address) -> tuple[ChildWalletV2, Address]:
        """The user's wallet, and the one account that signs for its parent beside `guard`: both are needed, and nobody
        else counts. `intent-parent-…` otherwise.
        """
        others = [
            leaf.address
            for leaf in leaves_of(self.parent.topology)
            if isinstance(leaf, SignerLeaf) and leaf.address != guard
        ]
        require(len(others) == 1, "intent-parent-signers")
        [enclave] = others
        address = V2.wallet_address(self.parent.image_hash)
        parent = verify_parent(self.parent, address, enclave=enclave, guard=guard, user_salt=self.user_salt)
        return child_wallet(parent, self.user), enclave


ShownWallet: TypeAlias = ShownWalletV3 | ShownWalletV2


def parse_shown_wallet(value: object) -> ShownWallet:
    """Either form; `intent-shown-wallet`, or what is wrong with the configuration."""
    if isinstance(value, dict) and "parent" in value:
        found = members(value, required=("parent", "user", "userSalt"), code=_CODE)
        if not isinstance(found["user"], str):
            raise IntentError(_CODE)
        shown = parse_configuration(found["parent"])
        parent = V2Configuration(shown.threshold, shown.checkpoint, shown.topology)
        return ShownWalletV2(parent, found["user"], hex_word(found["userSalt"], _CODE))
    found = members(value, required=("configuration", "context"), code=_CODE)
    return ShownWalletV3(parse_configuration(found["configuration"]), parse_context(found["context"]))
