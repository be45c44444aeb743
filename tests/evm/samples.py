"""Inputs that the tests of this package share: well-formed JSON of every kind, and hypothesis strategies for it."""

from typing import Any

import coincurve
from eth_account import Account
from hypothesis import strategies as st

from evm.address import Address, checksum
from evm.authorization import parse_authorization
from evm.signature import Signature, parse_recoverable

KEYS = [coincurve.PrivateKey(bytes([number]) * 32) for number in (1, 2, 3)]
ACCOUNT = Account.from_key(KEYS[0].secret)
TYPES = (0, 1, 2, 4)


def sign(digest: bytes, key: coincurve.PrivateKey = KEYS[0]) -> Signature:
    return parse_recoverable(key.sign_recoverable(digest, hasher=None))


def authorization(chain_id: int, nonce: int = 0, delegate: str = "0x" + "dd" * 20, key: int = 1) -> dict[str, Any]:
    """A signed authorization in its JSON form."""
    unsigned = {"chainId": hex(chain_id), "address": delegate, "nonce": hex(nonce)}
    by = sign(parse_authorization(unsigned).digest, KEYS[key])
    return {**unsigned, "yParity": hex(by.y_parity), "r": hex(by.r), "s": hex(by.s)}


def transaction(type_: int, **changes: Any) -> dict[str, Any]:
    """A transaction of one type in its JSON form; a change to `...` takes the member out."""
    chain_id = 1
    found: dict[str, Any] = {
        "type": hex(type_),
        "chainId": hex(chain_id),
        "nonce": "0x7",
        "gas": "0x5208",
        "to": "0x" + "22" * 20,
        "value": "0xde0b6b3a7640000",
        "data": "0xc0ffee",
    }
    if type_ < 2:
        found["gasPrice"] = "0x2540be400"
    else:
        found |= {"maxFeePerGas": "0x2540be400", "maxPriorityFeePerGas": "0x3b9aca00"}
    if type_:
        found["accessList"] = [{"address": "0x" + "33" * 20, "storageKeys": ["0x" + "00" * 31 + "01"]}]
    if type_ == 4:
        found["authorizationList"] = [authorization(chain_id)]
    found |= changes
    return {name: value for name, value in found.items() if value is not ...}


def mail() -> dict[str, Any]:
    """The example document of EIP-712."""
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
            "Mail": [
                {"name": "from", "type": "Person"},
                {"name": "to", "type": "Person"},
                {"name": "contents", "type": "string"},
            ],
        },
        "primaryType": "Mail",
        "domain": {
            "name": "Ether Mail",
            "version": "1",
            "chainId": 1,
            "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
        },
        "message": {
            "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
            "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
            "contents": "Hello, Bob!",
        },
    }


def document(members: list[tuple[str, str]], message: dict[str, Any], **types: list[tuple[str, str]]) -> dict[str, Any]:
    """A document whose primary type `P` has `members` (name and type), and whose domain is a name."""
    declared = {"EIP712Domain": [("name", "string")], "P": members, **types}
    return {
        "types": {name: [{"name": n, "type": t} for n, t in fields] for name, fields in declared.items()},
        "primaryType": "P",
        "domain": {"name": "test"},
        "message": message,
    }


# --- strategies ---

addresses = st.binary(min_size=20, max_size=20).map(lambda data: checksum(Address(data)))
uint64s = st.integers(0, 2**64 - 2) | st.sampled_from([0, 1, 127, 128, 255, 256, 2**64 - 2])
uint256s = st.integers(0, 2**256 - 1) | st.sampled_from([0, 1, 127, 128, 2**255, 2**256 - 1])
words = st.binary(min_size=32, max_size=32).map(lambda data: "0x" + data.hex())
data = st.binary(max_size=80).map(lambda value: "0x" + value.hex())
chain_ids = st.sampled_from([1, 10, 137, 8453, 31337, 2**63 - 37])
access_lists = st.lists(
    st.fixed_dictionaries({"address": addresses, "storageKeys": st.lists(words, max_size=3)}), max_size=3
)


@st.composite
def transactions(draw: st.DrawFn) -> dict[str, Any]:
    """Well-formed transactions of every type, in JSON form with hex quantities."""
    type_ = draw(st.sampled_from(TYPES))
    chain_id = draw(chain_ids)
    changes: dict[str, Any] = {
        "chainId": hex(chain_id),
        "nonce": hex(draw(uint64s)),
        "gas": hex(draw(uint64s)),
        "to": draw(addresses),
        "value": hex(draw(uint256s)),
        "data": draw(data),
    }
    if type_ != 4 and changes["data"] != "0x" and draw(st.booleans()):
        changes["to"] = None
    high, low = sorted(draw(st.tuples(uint256s, uint256s)), reverse=True)
    if type_ < 2:
        changes["gasPrice"] = hex(high)
    else:
        changes |= {"maxFeePerGas": hex(high), "maxPriorityFeePerGas": hex(low)}
    if type_:
        changes["accessList"] = draw(access_lists)
    if type_ == 4:
        entry = st.tuples(uint64s, addresses, st.integers(0, 2))
        changes["authorizationList"] = [
            authorization(chain_id, *parts) for parts in draw(st.lists(entry, min_size=1, max_size=2))
        ]
    return transaction(type_, **changes)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | data,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def damaged(draw: st.DrawFn, whole: Any) -> Any:
    """`whole` with one member or element somewhere in it replaced by any JSON value, doubled or taken out."""
    if not isinstance(whole, (dict, list)) or not whole or draw(st.integers(0, 5)) == 0:
        return draw(json_values)
    copy: Any = whole.copy()
    key = draw(st.sampled_from(sorted(whole) if isinstance(whole, dict) else range(len(whole))))
    match draw(st.integers(0, 4)):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, list):
            copy.append(copy[key])
        case 1:
            copy[draw(st.text(max_size=8))] = copy[key]
        case _:
            copy[key] = draw(damaged(whole[key]))
    return copy
