"""Refusals of delegations: members of the package's one error family. Codes begin with `delegation-`, `permission-`."""

from evm.errors import EvmError


class DelegationError(EvmError):
    """A delegation, or a request for one, breaks a rule."""


def require(condition: bool, code: str) -> None:
    """`DelegationError(code)` unless `condition` holds."""
    if not condition:
        raise DelegationError(code)
