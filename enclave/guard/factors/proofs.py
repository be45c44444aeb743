"""What a user signs before factors are told or changed: the published typed data of the guard's clients.

`AuthMethods(address wallet,string timestamp)` is signed by one of a wallet's signers, `AuthUpdate(string timestamp)` by
the wallet on chain 1. The domain names no contract. The text of the time has seconds (waas-guard-intents.md 2.2, A.4).
"""

from email.utils import formatdate
from typing import Final

from evm.address import Address
from evm.keccak import keccak256

CHAIN_ID: Final = 1
PROOF_WINDOW_S: Final = 300  # nobody has published one

_DOMAIN: Final = keccak256(
    keccak256(b"EIP712Domain(string name,string version,uint256 chainId)")
    + keccak256(b"Sequence Guard")
    + keccak256(b"1")
    + CHAIN_ID.to_bytes(32, "big")
)
_HEAD: Final = b"\x19\x01" + _DOMAIN
_OWNERSHIP: Final = keccak256(b"AuthMethods(address wallet,string timestamp)")
_UPDATE: Final = keccak256(b"AuthUpdate(string timestamp)")


def ownership_digest(wallet: Address, time_s: int) -> bytes:
    """What one of a wallet's signers signs to prove that the wallet is theirs."""
    return keccak256(_HEAD + keccak256(_OWNERSHIP + wallet.rjust(32, b"\0") + _hash_time(time_s)))


def update_preimage(time_s: int) -> bytes:
    """What a wallet signs to let its factors be changed: 66 bytes, whose keccak-256 is the typed data's digest."""
    return _HEAD + keccak256(_UPDATE + _hash_time(time_s))


def update_digest(time_s: int) -> bytes:
    """keccak-256 of `update_preimage`."""
    return keccak256(update_preimage(time_s))


def is_update(preimage: bytes, now_s: int) -> bool:
    """Whether this is an `update_preimage` of a time near `now_s`. It holds hashes, so all near times are tried: some
    milliseconds, and only for bytes under this domain.
    """
    if not preimage.startswith(_HEAD) or len(preimage) != len(_HEAD) + 32:
        return False
    return any(preimage == update_preimage(time_s) for time_s in times_near(now_s))


def is_update_digest(digest: bytes, now_s: int) -> bool:
    """The same for a digest, which wallets of the second generation sign and nobody can read."""
    return any(digest == update_digest(time_s) for time_s in times_near(now_s))


def times_near(now_s: int) -> range:
    """The seconds whose proofs count now."""
    return range(now_s - PROOF_WINDOW_S, now_s + PROOF_WINDOW_S + 1)


def _hash_time(time_s: int) -> bytes:
    return keccak256(formatdate(time_s, usegmt=True).replace("GMT", "UTC").encode())
