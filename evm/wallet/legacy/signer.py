"""Legacy: one signer's signature, whose last byte says of which type it is."""

from collections.abc import Callable
from enum import IntEnum
from typing import Final, TypeAlias

from evm.address import Address
from evm.errors import EvmError
from evm.message import PersonalMessage
from evm.signature import SIGNATURE_BYTES, Signature, parse_signature
from evm.wallet.errors import WalletError, require

IsValidSignature: TypeAlias = Callable[[Address, bytes, bytes], bool]
"""ERC-1271: whether a contract takes bytes for its signature on a digest."""

KEY_SIGNATURE_BYTES: Final = SIGNATURE_BYTES + 1


class SignatureType(IntEnum):
    """How a signer signed."""

    DIGEST = 1
    ETH_SIGN = 2
    ERC1271 = 3


def no_contract(*_: object) -> bool:
    """Nobody to ask: refuses."""
    raise WalletError("wallet-contract-unknown")


def key_signature(signature: Signature, *, eth_sign: bool = False) -> bytes:
    """r, s, v and type: 66 bytes."""
    return bytes(signature) + bytes([SignatureType.ETH_SIGN if eth_sign else SignatureType.DIGEST])


def recover_signer(data: bytes, digest: bytes) -> Address:
    """The key behind 66 bytes; like the contract, refuses a high s and a v other than 27 and 28."""
    require(len(data) == KEY_SIGNATURE_BYTES, "wallet-legacy-signature")
    match data[-1]:
        case SignatureType.DIGEST:
            return parse_signature(data[:-1]).recover(digest)
        case SignatureType.ETH_SIGN:
            return parse_signature(data[:-1]).recover(PersonalMessage(digest, None).digest)
    raise WalletError("wallet-legacy-signature")


def verify_signer(signer: Address, data: bytes, digest: bytes, ask: IsValidSignature) -> None:
    """Raises `wallet-legacy-signature` unless `data`, of whatever type, is the signature of `signer`."""
    require(bool(data), "wallet-legacy-signature")
    if data[-1] == SignatureType.ERC1271:
        require(ask(signer, digest, data[:-1]) is True, "wallet-legacy-signature")
        return
    try:
        found = recover_signer(data, digest)
    except EvmError:
        raise WalletError("wallet-legacy-signature") from None
    require(found == signer, "wallet-legacy-signature")
