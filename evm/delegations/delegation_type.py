"""The EIP-712 types of delegations, and whether a document is one: only what holds delegations to rules signs those."""

from typing import Final

from evm.typed_data import TypedData

CAVEAT_TYPE: Final = "Caveat(address enforcer,bytes terms)"
DELEGATION_TYPE: Final = (
    "Delegation(address delegate,address delegator,bytes32 authority,Caveat[] caveats,uint256 salt)" + CAVEAT_TYPE
)


def is_delegation(document: TypedData) -> bool:
    """Whether a manager, of whatever domain, would take the document for a delegation."""
    return document.encoded_type == DELEGATION_TYPE
