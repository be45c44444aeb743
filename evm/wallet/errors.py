"""Refusals of wallet formats: members of the package's one error family.

`code` is stable and this package's own; every code begins with `wallet-`. Where the deployed contracts would refuse the
same input, `reason` is the name of the error with which they revert (`InvalidSignatureWeight`, `UnusedSnapshot`, ...).
"""

from evm.errors import EvmError


class WalletError(EvmError):
    """A configuration, payload or signature of a wallet breaks a rule."""

    def __init__(self, code: str, reason: str | None = None) -> None:
        super().__init__(code)
        self.reason = reason


def require(condition: bool, code: str, reason: str | None = None) -> None:
    """`WalletError(code, reason)` unless `condition` holds."""
    if not condition:
        raise WalletError(code, reason)
