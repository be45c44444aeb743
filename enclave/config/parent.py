"""The parent wallet of a scope whose users have wallets of the second generation from before.

Each of these wallets has one signer, the parent; the parent has two, both needed: the enclave's key of the scope, and a
guard. All of it is measured, who the users are included: as the root of a list, which is shown entry by entry.
"""

from typing import Annotated

import msgspec

from enclave.config.fields import Measured
from enclave.errors import BootError

Address = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]
Word = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-f]{64}\Z")]


class ParentWallet(Measured, frozen=True, kw_only=True):
    """Checked against the enclave's key before its first use (waas-guard-intents.md 1.16 no. 10)."""

    configuration: msgspec.Raw
    """The parent's first, in the JSON of the wallet library."""
    guard: Address
    user_salt: Word
    users_root: Word
    """Of the list of users (`protocol.user_list`): which login is which user of the service before."""


def validate_parent(parent: ParentWallet, scope: str) -> None:
    """`BootError("config-parent")` for a configuration that is none."""
    from evm.errors import EvmError  # most scopes have no parent, and start without this
    from evm.wallet.configuration_json import parse_configuration

    try:
        parse_configuration(msgspec.json.decode(parent.configuration))
    except (EvmError, msgspec.MsgspecError):
        raise BootError("config-parent", scope) from None
