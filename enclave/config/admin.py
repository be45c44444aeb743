"""Who may administer: public keys, measured with everything else, so that no host adds one."""

import re
from typing import Annotated, Final, Literal

import msgspec

from enclave.config.fields import Measured, Text
from enclave.errors import BootError

MIN_QUORUM: Final = 2
_ADDRESS: Final = {
    "Ethereum_Secp256k1": re.compile(r"0x[0-9a-f]{40}\Z"),
    "WebCrypto_Secp256r1": re.compile(r"0x04[0-9a-f]{128}\Z"),
}


class AdminKey(Measured, frozen=True, kw_only=True):
    """A key that signs admin calls, in the form of the wire and in lower case; `name` is what the log calls it."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}\Z")]
    key_type: Literal["WebCrypto_Secp256r1", "Ethereum_Secp256k1"]
    address: Text

    def __str__(self) -> str:
        return f"{self.key_type}:{self.address}"


def validate_admins(admins: tuple[AdminKey, ...]) -> None:
    """`BootError("config-admin")` for a malformed key, or two of one name or key."""
    for admin in admins:
        if not _ADDRESS[admin.key_type].match(admin.address):
            raise BootError("config-admin", admin.name)
    if len({admin.name for admin in admins}) != len(admins) or len({str(admin) for admin in admins}) != len(admins):
        raise BootError("config-admin", "two of one name or key")


def validate_quorum(officers: tuple[AdminKey, ...], quorum: int, code: str) -> None:
    """`BootError` for malformed or equal officers, or, with `code`, a quorum that cannot be met or is one person."""
    validate_admins(officers)
    if not MIN_QUORUM <= quorum <= len(officers):
        raise BootError(code)
