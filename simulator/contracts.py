"""Two hand-assembled contracts for demonstrations and tests: the core of an ERC-20 token, and a delegate for EIP-7702.

There is no compiler on the way: the source below is all there is, and `assemble` turns each word into its bytes.
"""

import re
from collections.abc import Mapping
from typing import Final

from eth.vm import opcode_values

from evm.address import Address
from evm.keccak import keccak256

_PUSH1: Final = 0x60
_LABEL_BYTES: Final = 3  # PUSH2 and two bytes

_ERC20: Final = """
    0x00 CALLDATALOAD 0xe0 SHR
    DUP1 0xa9059cbb EQ @transfer JUMPI
    DUP1 0x70a08231 EQ @balanceOf JUMPI
    @refuse JUMP
balanceOf:
    0x04 CALLDATALOAD SLOAD 0x00 MSTORE 0x20 0x00 RETURN
transfer:
    0x24 CALLDATALOAD                       ; amount
    CALLER SLOAD                            ; amount, balance
    DUP2 DUP2 LT @refuse JUMPI
    DUP2 SWAP1 SUB CALLER SSTORE            ; amount
    0x04 CALLDATALOAD DUP1 SLOAD            ; amount, to, balance of to
    DUP3 ADD SWAP1 SSTORE                   ; amount
    0x00 MSTORE
    0x04 CALLDATALOAD CALLER $Transfer 0x20 0x00 LOG3
    0x01 0x00 MSTORE 0x20 0x00 RETURN
refuse:
    0x00 0x00 REVERT
"""

_RECORDER_SOURCE: Final = """
    0x00 CALLDATALOAD 0x00 SSTORE           ; the first word of calldata goes to slot 0 of whoever runs this
    ADDRESS 0x00 MSTORE 0x20 0x00 RETURN
"""


def token(holder: Address, supply: int) -> bytes:
    """The creation code of a token whose whole supply belongs to `holder`.

    `transfer` (with its event and its answer, reverting beyond the balance) and `balanceOf`, as ERC-20 has them.
    """
    transfer = keccak256(b"Transfer(address,address,uint256)").hex()
    return creation_code(
        assemble(_ERC20.replace("$Transfer", "0x" + transfer)), {int.from_bytes(holder, "big"): supply}
    )


def recorder() -> bytes:
    """The creation code of a contract that writes the first word of calldata to slot 0 and returns its own address."""
    return creation_code(assemble(_RECORDER_SOURCE))


def creation_code(runtime: bytes, storage: Mapping[int, int] | None = None) -> bytes:
    """Code that fills `storage` and leaves `runtime` behind as the contract."""
    stores = "".join(f"{value:#066x} {slot:#066x} SSTORE " for slot, value in (storage or {}).items())
    size = f"{len(runtime):#06x}"
    return assemble(f"{stores} {size} @runtime 0x01 ADD 0x00 CODECOPY {size} 0x00 RETURN runtime:") + runtime


def assemble(source: str) -> bytes:
    """Bytes of `source`: mnemonics, `0x…` (pushed), `name:` (a jump target), `@name` (its offset), `;` comments."""
    words = re.sub(r";.*", "", source).split()
    offsets: dict[str, int] = {}
    offset = 0
    for word in words:
        if word.endswith(":"):
            offsets[word[:-1]] = offset
        offset += _size(word)
    return b"".join(_encode(word, offsets) for word in words)


def _size(word: str) -> int:
    if word.startswith("0x"):
        return len(word) // 2
    return _LABEL_BYTES if word.startswith("@") else 1


def _encode(word: str, offsets: Mapping[str, int]) -> bytes:
    if word.startswith("0x"):
        data = bytes.fromhex(word[2:])
        return bytes([_PUSH1 + len(data) - 1]) + data
    if word.startswith("@"):
        return bytes([_PUSH1 + 1]) + offsets[word[1:]].to_bytes(2, "big")
    if word.endswith(":"):
        return bytes([opcode_values.JUMPDEST])
    opcode: int = getattr(opcode_values, word)
    return bytes([opcode])
