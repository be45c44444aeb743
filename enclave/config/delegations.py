"""What users of a scope may delegate (ERC-7710), and which code their accounts may take on (EIP-7702), chain by chain.

The enclave cannot look at a chain. So every contract that a signature puts its trust in is pinned here, by its address
and by the hash of the code that was reviewed; whoever verifies an image can hold the pins against any node.
"""

from typing import Annotated, Final

import msgspec

from enclave.config.fields import Measured
from enclave.errors import BootError

HexAddress = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]
HexHash = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-f]{64}\Z")]
Amount = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,76}\Z")]
"""Base units of an asset, in decimal text: JSON numbers are exact up to 2^53 only."""
COINS: Final = "native"
_MAX_LIFETIME_S: Final = 3 * 366 * 86_400


class PinnedContract(Measured, frozen=True, kw_only=True):
    """A contract on one chain. `code_hash`: keccak-256 of its deployed code."""

    address: HexAddress
    code_hash: HexHash


class AssetCaps(Measured, frozen=True, kw_only=True):
    """The most that grants of one asset may be worth: one grant, all of an account, all of the scope's accounts.

    `asset` is a token's address, or "native" for the chain's coin. An asset without caps is not granted.
    """

    asset: Annotated[str, msgspec.Meta(pattern=r"^(native|0x[0-9a-fA-F]{40})\Z")]
    grant: Amount
    account: Amount
    scope: Amount


class DelegationChain(Measured, frozen=True, kw_only=True):
    """One chain. `enforcers` by the name of their contract; a condition of another kind is not signed there."""

    chain_id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    manager: PinnedContract
    manager_name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "DelegationManager"
    """With `manager_version` and the manager's address, the EIP-712 domain of what is signed."""
    manager_version: Annotated[str, msgspec.Meta(min_length=1, max_length=16)] = "1"
    enforcers: Annotated[dict[str, PinnedContract], msgspec.Meta(min_length=1, max_length=64)]
    delegates: Annotated[tuple[HexAddress, ...], msgspec.Meta(min_length=1, max_length=64)]
    """Who may be let act: executors that the operator knows."""
    recipients: Annotated[tuple[HexAddress, ...], msgspec.Meta(min_length=1, max_length=256)] | None = None
    """To whom grants may pay; None: to whomever the user agrees to."""
    caps: Annotated[tuple[AssetCaps, ...], msgspec.Meta(max_length=64)]
    account_code: Annotated[tuple[PinnedContract, ...], msgspec.Meta(max_length=8)] = ()
    """Code that an account may take on."""


class Delegations(Measured, frozen=True, kw_only=True):
    """Chains, how long a grant may last, and how long ago its login may have been."""

    chains: Annotated[tuple[DelegationChain, ...], msgspec.Meta(min_length=1, max_length=64)]
    max_lifetime_s: Annotated[int, msgspec.Meta(ge=60, le=_MAX_LIFETIME_S)]
    fresh_login: bool = False
    """Whether a grant takes a login of the last few minutes: an application can grant under the session that it has."""

    def chain(self, chain_id: int) -> DelegationChain | None:
        """What is configured for a chain."""
        return next((chain for chain in self.chains if chain.chain_id == chain_id), None)


def validate_delegations(delegations: Delegations, scope: str) -> None:
    """`BootError("config-delegations")` where a rule is broken that the types do not carry."""
    from evm.delegations.terms import ENFORCERS  # most scopes have no delegations, and start without this

    if not _distinct([str(chain.chain_id) for chain in delegations.chains]):
        raise BootError("config-delegations", scope)
    for chain in delegations.chains:
        contracts = [chain.manager.address, *(each.address for each in chain.enforcers.values())]
        lists = [contracts, list(chain.delegates), [caps.asset for caps in chain.caps], list(chain.recipients or ())]
        if not all(map(_distinct, lists)) or not chain.enforcers.keys() <= ENFORCERS:
            raise BootError("config-delegations", scope)
        if not all(int(caps.grant) <= int(caps.account) <= int(caps.scope) for caps in chain.caps):
            raise BootError("config-delegations", scope)


def _distinct(texts: list[str]) -> bool:
    """Whether no address, in whatever case, stands there twice, and none is zero."""
    lowered = [text.lower() for text in texts]
    return len(set(lowered)) == len(lowered) and "0x" + "00" * 20 not in lowered
