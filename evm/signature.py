"""ECDSA signatures over secp256k1 as the EVM carries them: r, s and the parity of the nonce point's y.

Only the lower of the two possible s is a signature here (ERC-2, EIP-7702; SE-07), so a signature has one form.
"""

from dataclasses import dataclass
from typing import Final

import coincurve

from evm.address import Address, address_from_public_key
from evm.errors import EvmError

CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HALF_ORDER: Final = CURVE_ORDER // 2
_V_OFFSET: Final = 27
SIGNATURE_BYTES: Final = 65


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature in range with low s; making any other raises `EvmError`. Whose it is, only `recover` tells."""

    r: int
    s: int
    y_parity: int

    def __post_init__(self) -> None:
        if not 0 < self.r < CURVE_ORDER or not 0 < self.s < CURVE_ORDER or self.y_parity not in (0, 1):
            raise EvmError("signature-range")
        if self.s > _HALF_ORDER:
            raise EvmError("signature-high-s")

    def __bytes__(self) -> bytes:
        """r, s and v (27 or 28): 65 bytes, as wallets answer and contracts read."""
        return self._rs + bytes([_V_OFFSET + self.y_parity])

    @property
    def hex(self) -> str:
        """The 65 bytes as 0x text."""
        return "0x" + bytes(self).hex()

    @property
    def _rs(self) -> bytes:
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big")

    def recover(self, digest: bytes) -> Address:
        """The account that signed `digest`; `EvmError` when no key fits."""
        try:
            key = coincurve.PublicKey.from_signature_and_message(self._rs + bytes([self.y_parity]), digest, hasher=None)
        except Exception:  # noqa: BLE001  the library raises a bare Exception here
            raise EvmError("signature-recover") from None
        return address_from_public_key(key.format(compressed=False))


def parse_signature(data: bytes) -> Signature:
    """A signature from r, s and v (27 or 28)."""
    if len(data) != SIGNATURE_BYTES or data[64] not in (_V_OFFSET, _V_OFFSET + 1):
        raise EvmError("signature-format")
    return _from_parts(data, data[64] - _V_OFFSET)


def parse_recoverable(data: bytes) -> Signature:
    """A signature from r, s and recovery id (0 or 1), as libsecp256k1 serializes it.

    Recovery ids 2 and 3 mean that r overflowed the curve order: they do not occur and have no form in the EVM.
    """
    if len(data) != SIGNATURE_BYTES or data[64] > 1:
        raise EvmError("signature-format")
    return _from_parts(data, data[64])


def _from_parts(data: bytes, y_parity: int) -> Signature:
    return Signature(int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big"), y_parity)
