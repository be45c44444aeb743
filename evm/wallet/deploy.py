"""Bringing a wallet into being: the factory's call, the first transaction, and signatures from before it (ERC-6492)."""

from typing import Final

from evm.abi import WORD
from evm.address import Address, address_from_bytes
from evm.wallet.abi import dynamic, encode, selector, word
from evm.wallet.context import Context
from evm.wallet.errors import WalletError, require
from evm.wallet.packed_calls import pack_calls
from evm.wallet.payload import MAX_PAYLOAD_BYTES, Call, CallsPayload
from evm.wallet.reader import Reader

DEPLOY: Final = selector("deploy(address,bytes32)")
EXECUTE: Final = selector("execute(bytes,bytes)")
ERC6492_SUFFIX: Final = bytes.fromhex("6492" * 16)
_WRAPPED: Final = "wallet-erc6492"


def deploy_call(context: Context, image_hash: bytes) -> Call:
    """The call that creates the wallet with this image hash; the factory reverts `DeployFailed` where it exists."""
    return Call(context.factory, data=DEPLOY + encode(word(context.stage1), image_hash))


def execute_call(wallet: Address, packed: bytes, signature: bytes) -> Call:
    """The call with which a wallet takes packed calls and their signature."""
    return Call(wallet, data=EXECUTE + encode(dynamic(packed), dynamic(signature)))


def first_transaction(context: Context, image_hash: bytes, packed: bytes, signature: bytes) -> bytes:
    """The guest module's calldata: it creates the wallet and lets it execute its first calls, or neither."""
    wallet = context.wallet_address(image_hash)
    calls = (deploy_call(context, image_hash), execute_call(wallet, packed, signature))
    return pack_calls(CallsPayload(calls))


def wrap_erc6492(signature: bytes, deploy: Call) -> bytes:
    """A signature of a wallet that is not deployed, for verifiers that know ERC-6492."""
    return encode(word(deploy.to), dynamic(deploy.data), dynamic(signature)) + ERC6492_SUFFIX


def is_erc6492(signature: bytes) -> bool:
    """Whether the bytes claim to be such a signature."""
    return signature.endswith(ERC6492_SUFFIX)


def parse_erc6492(data: bytes) -> tuple[bytes, Call]:
    """The signature and the call that deploys its wallet; the one encoding that `wrap_erc6492` writes, no other."""
    require(len(data) <= MAX_PAYLOAD_BYTES and is_erc6492(data), _WRAPPED)
    reader = Reader(data, _WRAPPED)
    factory, _, signature_at = (reader.take(WORD) for _ in range(3))
    calldata = reader.take(reader.uint(WORD))
    reader.position = min(int.from_bytes(signature_at, "big"), len(data))
    signature = reader.take(reader.uint(WORD))
    deploy = Call(address_from_bytes(factory[12:], _WRAPPED), data=calldata)
    if wrap_erc6492(signature, deploy) != data:
        raise WalletError(_WRAPPED)
    return signature, deploy
