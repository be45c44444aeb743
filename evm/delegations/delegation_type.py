"""The EIP-712 types of delegations: what managers take for one, whatever their domain."""

from typing import Final

CAVEAT_TYPE: Final = "Caveat(address enforcer,bytes terms)"
DELEGATION_TYPE: Final = (
    "Delegation(address delegate,address delegator,bytes32 authority,Caveat[] caveats,uint256 salt)" + CAVEAT_TYPE
)
