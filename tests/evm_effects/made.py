"""Calls and documents for the tests, encoded by the reference ABI coder and not by ours."""

from typing import Any

from eth_abi import encode

from evm.address import Address, checksum
from evm.keccak import keccak256
from evm.transaction import Transaction, TransactionType

WALLET = Address(b"\x11" * 20)
TOKEN = Address(b"\x22" * 20)
FRIEND = Address(b"\x33" * 20)
THIEF = Address(b"\x66" * 20)
CHAIN = 1
MAX = 2**256 - 1
PERMIT2 = Address(bytes.fromhex("000000000022d473030f116ddee9f6b43ac78ba3"))
MULTICALL3 = Address(bytes.fromhex("ca11bde05977b3631167028862be2a173976ca11"))
MULTI_SEND = Address(bytes.fromhex("40a2accbd92bca938b02010e17a5b8929b49130d"))
ENTRY_POINT = Address(bytes.fromhex("0000000071727de22e5e9d8baf0edac6f37da032"))
ENTRY_POINT_6 = Address(bytes.fromhex("5ff137d4b0fdcd49dca30c7cf57e578a026d2789"))
SAFE = Address(b"\x5a" * 20)


def calldata(signature: str, *values: Any) -> bytes:
    """Selector and arguments."""
    types = _types(signature)
    return keccak256(signature.encode())[:4] + encode(types, [_plain(value) for value in values])


def tx(to: Address | None, data: bytes = b"", value: int = 0, chain_id: int = CHAIN) -> Transaction:
    """A transaction of `WALLET`; the fee is 21,000 units of gas at one wei."""
    return Transaction(TransactionType.DYNAMIC_FEE, chain_id, 0, 1, 1, 21_000, to, value, data)


def document(
    primary: str, types: dict[str, str], message: dict[str, Any], *, contract: Address | None = TOKEN, **domain: Any
) -> dict[str, Any]:
    """The JSON of `eth_signTypedData_v4`; `types` as `"address owner,uint256 value"`."""
    declared = {
        name: [dict(zip(("type", "name"), m.split(" "), strict=True)) for m in text.split(",")]
        for name, text in types.items()
    }
    found = {"name": "Test", "chainId": CHAIN} | domain
    if contract is not None:
        found["verifyingContract"] = checksum(contract)
    found = {name: value for name, value in found.items() if value is not None}
    kinds = {"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address"}
    domain_type = [{"name": name, "type": type_} for name, type_ in kinds.items() if name in found]
    return {
        "types": {"EIP712Domain": domain_type, **declared},
        "primaryType": primary,
        "domain": found,
        "message": {name: _shown(value) for name, value in message.items()},
    }


def multi_send(*calls: tuple[int, Address, int, bytes]) -> bytes:
    """Calldata of Safe's batch contract: operation, target, value, data of each."""
    packed = b"".join(
        bytes([operation]) + to + value.to_bytes(32, "big") + len(data).to_bytes(32, "big") + data
        for operation, to, value, data in calls
    )
    return calldata("multiSend(bytes)", packed)


def _types(signature: str) -> list[str]:
    found, depth, start = [], 0, 0
    text = signature[signature.index("(") + 1 : -1]
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            found.append(text[start:at])
            start = at + 1
    return [*found, text[start:]] if text else []


def _plain(value: Any) -> Any:
    """Addresses as the reference takes them."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return checksum(Address(value)) if isinstance(value, bytes) and len(value) == 20 else value


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shown(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, bytes):
        return checksum(Address(value)) if len(value) == 20 else "0x" + value.hex()
    return value if isinstance(value, (bool, str)) else str(value)
