"""Values in the JSON forms of wallets: decimal integers, 32-byte hashes, addresses, bytes.

The library writes integers as decimal text, the state service as numbers or decimal text. Addresses and bytes are as
elsewhere in `evm`: 0x text, and letters of mixed case are a checksum that must be right.
"""

import re
from typing import Any, Final

from evm.fields import UINT256_MAX
from evm.wallet.errors import WalletError, require

HASH_BYTES: Final = 32
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z")


def parse_decimal(value: object, code: str, *, most: int = UINT256_MAX) -> int:
    """An integer from 0 to `most`: a JSON integer or decimal text without leading zeros."""
    if isinstance(value, str) and _DECIMAL.match(value):
        number = int(value)
    elif type(value) is int:
        number = value
    else:
        raise WalletError(code)
    require(0 <= number <= most, code)
    return number


def parse_bool(value: object, code: str) -> bool:
    """A JSON boolean."""
    if not isinstance(value, bool):
        raise WalletError(code)
    return value


def to_hex(data: bytes) -> str:
    """`data` as 0x text."""
    return "0x" + data.hex()


def present(**fields: Any) -> dict[str, Any]:
    """The members that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
