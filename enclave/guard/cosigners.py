"""Who has signed beside the guard: accounts, and passkeys and session keys through the modules of a wallet.

A module's signature counts where the rules of the module can be computed here, against the very leaf that the wallet
has registered. What a contract of somebody else's would say is known to a chain, which is not asked.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal

from enclave.sequence.p256 import verify_p256
from evm.address import ADDRESS_BYTES, Address, checksum, parse_address
from evm.errors import EvmError
from evm.fields import hex_bytes
from evm.wallet.context import EXTENSIONS
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.passkeys.verifying import PasskeyModule
from evm.wallet.sessions.chain_state import SESSION_MANAGER, ChainState
from evm.wallet.sessions.implied_usage import implied_state
from evm.wallet.sessions.session_manager import verify_session
from evm.wallet.sessions.session_sig import parse_session_signature
from evm.wallet.values import HASH_BYTES
from protocol import limits

Module = tuple[Address, bytes]
"""A sapient leaf: the module, and the image hash of what it keeps."""

_PASSKEYS: Final = frozenset(modules.passkeys for modules in EXTENSIONS.values())
_ERC6492: Final = bytes.fromhex("6492" * 16)


@dataclass(frozen=True, slots=True)
class ContractSignature:
    """A listed signature that no account made. `image_hash` is what a module's has to lead to."""

    kind: Literal["Sapient", "Erc1271"]
    address: Address
    data: bytes
    image_hash: bytes = b""


def parse_contract_signature(given: dict[str, Any], code: str) -> ContractSignature:
    """From `{"address", "type", "data", "imageHash"?}`; `EvmError(code)` for another type or form."""
    address, data = parse_address(given["address"]), hex_bytes(given["data"], code, most=limits.MAX_BODY_BYTES)
    image_hash = hex_bytes(given.get("imageHash") or "0x", code, most=HASH_BYTES)
    if given["type"] not in ("Sapient", "Erc1271"):
        raise EvmError(code)
    return ContractSignature(given["type"], address, data, image_hash)


def verify_contract_signature(
    listed: ContractSignature, digest: bytes, operation: Operation | None, modules: Collection[Module], now_s: int
) -> tuple[bytes, ...]:
    """Who signed: session keys by address, a passkey by the root of its key.

    `operation` is None for what is no payload. `WalletError` says why nobody counts: "erc1271", "erc6492", "module",
    "unregistered", and what the rules of passkeys and sessions do not take.
    """
    if listed.kind == "Erc1271":
        raise WalletError("erc6492" if listed.data.endswith(_ERC6492) else "erc1271")
    if (listed.address, listed.image_hash) not in modules:
        raise WalletError("unregistered")
    if listed.address in _PASSKEYS:
        found, signers = _passkey(listed, digest)
    elif listed.address == SESSION_MANAGER and operation is not None:
        found, signers = _sessions(listed, operation, now_s)
    else:
        raise WalletError("module")
    if found != listed.image_hash:
        raise WalletError("image-hash")
    return signers


def _passkey(listed: ContractSignature, digest: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    root = PasskeyModule(verify_p256).recover(digest, listed.data)
    return root, (root,)


def _sessions(listed: ContractSignature, operation: Operation, now_s: int) -> tuple[bytes, tuple[bytes, ...]]:
    """What targets of implicit sessions answer, and what is used up, the chain sees to when it carries this out."""
    signature = parse_session_signature(listed.data)
    state = implied_state(signature, operation, ChainState(operation.chain_id, now_s))
    verified = verify_session(signature, operation, state)
    return verified.image_hash, tuple(dict.fromkeys(verified.signers))


def cosigner_text(who: bytes) -> str:
    """A signer's name: an account or session key by its address, a passkey by the root of its key."""
    return checksum(Address(who)) if len(who) == ADDRESS_BYTES else f"passkey 0x{who.hex()}"
