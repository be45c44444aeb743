"""One-time codes by mail: codes, salts and answers, byte for byte as published clients compute them.

Pure. Source: identity-instrument.md 2.1 and 10 (rows 6 to 8); controls OT-01, OT-09, OT-10. Salts and answers are
hashed as the *text* of their hex form. Tries are counted, and bound to the auth key, in `enclave.login.commitments`.
"""

import hmac
import re
from collections.abc import Callable
from typing import Final

from enclave.errors import Refusal
from evm.keccak import keccak256
from protocol import limits
from protocol.errors import ANSWER_INCORRECT, INVALID_REQUEST

SALT_BYTES: Final = 12
_DRAW_BYTES: Final = 8
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no I, L, O, U
_GROUP_CHARS: Final = 5

# Lower-case ASCII only, so that no two spellings name one mailbox: Unicode addresses are refused, and an
# internationalized domain is written in its `xn--` form (RFC 5890). Sizes: RFC 5321 4.5.3.1, RFC 1035 2.3.4.
_EMAIL: Final = re.compile(
    r"[a-z0-9._%+-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9])\Z"
)


def generate_code(digits: int, random: Callable[[int], bytes]) -> str:
    """A code of 6 to 12 decimal digits, each equally likely (OT-01)."""
    codes = 10**digits
    unbiased = 256**_DRAW_BYTES // codes * codes
    while True:
        draw = int.from_bytes(random(_DRAW_BYTES), "big")
        if draw < unbiased:
            return f"{draw % codes:0{digits}d}"


def generate_long_code(random: Callable[[int], bytes]) -> str:
    """A code of ten letters and digits in two groups, `K7QD3-MXRTA`: 50 bits, more than anybody can try (OT-01)."""
    letters = "".join(_LETTERS[byte % len(_LETTERS)] for byte in random(2 * _GROUP_CHARS))  # 256 is a multiple of 32
    return f"{letters[:_GROUP_CHARS]}-{letters[_GROUP_CHARS:]}"


def spellings(code: str) -> tuple[str, ...]:
    """How people type `code`: with and without the hyphen, in capitals or not. Clients hash what was typed."""
    joined = code.replace("-", "")
    return tuple(dict.fromkeys((code, joined, code.lower(), joined.lower())))


def generate_salt(random: Callable[[int], bytes]) -> str:
    """A fresh salt as the wire's text: `0x` and 24 hex digits. The client's is the `challenge`, the other stays."""
    return f"0x{random(SALT_BYTES).hex()}"


def client_answer(client_salt: str, code: str) -> str:
    """What a client sends for `code`."""
    return _hash_text(client_salt + code)


def stored_answer(server_salt: str, answer: str) -> str:
    """What is kept of the right client answer."""
    return _hash_text(server_salt + answer)


def stored_answers(server_salt: str, client_salt: str, code: str) -> tuple[str, ...]:
    """What is kept of `code`: the stored answer for each spelling."""
    return tuple(stored_answer(server_salt, client_answer(client_salt, typed)) for typed in spellings(code))


def verify_answer(stored: tuple[str, ...], server_salt: str, answer: str) -> None:
    """Return if `answer` is a right one, ANSWER_INCORRECT otherwise; compares all, digests of equal length (OT-10)."""
    given = stored_answer(server_salt, answer).encode()
    if sum(hmac.compare_digest(given, known.encode()) for known in stored) == 0:
        raise Refusal(ANSWER_INCORRECT)


def _hash_text(text: str) -> str:
    return f"0x{keccak256(text.encode('utf-8', 'surrogatepass')).hex()}"


def normalize_email(text: str) -> str:
    """The one form of a mail address: spaces around it cut, letters lower case (OT-09); INVALID_REQUEST otherwise.

    Only spaces are cut: a line break or NUL anywhere refuses the address.
    """
    address = text.strip(" ")
    if address.isascii():  # before lower(): some letters outside ASCII have a lower case inside it
        address = address.lower()
    if len(address) > limits.MAX_EMAIL_BYTES or not _EMAIL.match(address):
        raise Refusal(INVALID_REQUEST, "invalid recipient: invalid email address: incorrect email format")
    return address
