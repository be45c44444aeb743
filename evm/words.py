"""Numbers and texts of others, written so that a person reads what is there."""

import unicodedata

from evm.fields import UINT256_MAX

_DECIMALS = 18


def coins(wei: int) -> str:
    """An amount of the chain's own coin, exact: `0.5 coins (500000000000000000 wei)`."""
    whole, rest = divmod(wei, 10**_DECIMALS)
    fraction = f"{rest:018d}".rstrip("0")
    return f"{whole}{'.' + fraction if fraction else ''} coins ({wei} wei)"


def token_amount(amount: int) -> str:
    """An amount in a token's smallest unit; its decimals are known to the token alone."""
    return "an unlimited amount (2^256 - 1 base units)" if amount == UINT256_MAX else f"{amount} base units"


def printable(text: str) -> str:
    """`text` in quotes; quotes, control, format (bidirectional marks among them) and odd space characters escaped."""
    return '"' + "".join(map(_shown, text)) + '"'


def _shown(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char != " " and unicodedata.category(char)[0] in "CZ":
        return f"\\u{{{ord(char):x}}}"
    return char
