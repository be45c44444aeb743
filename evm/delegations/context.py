"""Permission contexts: a chain of signed delegations, the last link first, as delegation managers redeem it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from evm import abi
from evm.address import Address
from evm.delegations.errors import DelegationError, require
from evm.delegations.model import Caveat, Delegation
from evm.errors import EvmError
from evm.fields import hex_bytes
from evm.wallet.abi import Tail, array, dynamic, encode, selector, word

MAX_CONTEXT_BYTES: Final = 16 * 1024  # own choice
MAX_CHAIN_LINKS: Final = 4  # own choice: delegations passed on
_TYPES: Final = ("(address,address,bytes32,(address,bytes,bytes)[],uint256,bytes)[]",)
_TUPLE: Final = "(address,address,bytes32,(address,bytes,bytes)[],uint256,bytes)"


@dataclass(frozen=True, slots=True)
class SignedDelegation:
    """A delegation with its signature, which nothing here has verified. `arguments`: one for each caveat."""

    delegation: Delegation
    signature: bytes
    arguments: tuple[bytes, ...] = ()


def encode_context(chain: Sequence[SignedDelegation]) -> bytes:
    """The context that redeems a chain, from the last link to the root."""
    return encode(array(*(Tail(_encode(link)) for link in chain)))


def parse_context(value: object) -> tuple[SignedDelegation, ...]:
    """The chain in a context, given as 0x text; `delegation-context` when it is encoded otherwise than the ABI says."""
    data = hex_bytes(value, "delegation-context", most=MAX_CONTEXT_BYTES)
    try:
        [found] = abi.decode(_TYPES, data)
    except EvmError:
        raise DelegationError("delegation-context") from None
    links: Any = found  # the types above say what it is
    require(0 < len(links) <= MAX_CHAIN_LINKS, "delegation-context")
    return tuple(_link(*link) for link in links)


def disable_call(delegation: Delegation) -> bytes:
    """Call data with which the delegator takes a delegation back, sent to the manager."""
    return selector(f"disableDelegation({_TUPLE})") + encode(Tail(_encode(SignedDelegation(delegation, b""))))


def _link(
    delegate: Address, delegator: Address, authority: bytes, caveats: Any, salt: int, signature: bytes
) -> SignedDelegation:
    delegation = Delegation(
        delegate, delegator, authority, tuple(Caveat(enforcer, terms) for enforcer, terms, _ in caveats), salt
    )
    return SignedDelegation(delegation, signature, tuple(arguments for _, _, arguments in caveats))


def _encode(link: SignedDelegation) -> bytes:
    delegation = link.delegation
    arguments = link.arguments or (b"",) * len(delegation.caveats)
    caveats = [
        Tail(encode(word(caveat.enforcer), dynamic(caveat.terms), dynamic(given)))
        for caveat, given in zip(delegation.caveats, arguments, strict=True)
    ]
    return encode(
        word(delegation.delegate),
        word(delegation.delegator),
        delegation.authority,
        array(*caveats),
        word(delegation.salt),
        dynamic(link.signature),
    )
