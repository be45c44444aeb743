"""JSON members as the wallet libraries write them: integers as decimal text, because JavaScript cannot hold them."""

import re
from typing import Final

from evm.fields import UINT256_MAX
from evm.wallet.errors import WalletError

_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z")


def decimal(value: object, code: str, *, most: int = UINT256_MAX) -> int:
    """An integer from 0 to `most`, as decimal text without leading zeros or as a JSON integer."""
    if isinstance(value, str) and _DECIMAL.match(value):
        number = int(value)
    elif type(value) is int:
        number = value
    else:
        raise WalletError(code)
    if not 0 <= number <= most:
        raise WalletError(code)
    return number
