"""Where Sequence's contracts stand, and the address of a wallet that is not deployed yet.

One factory, one first-stage implementation and one image hash give the same address on every EVM chain (CREATE2). The
`_4337` contexts are for wallets that take ERC-4337 user operations. Addresses are those of the deployed contracts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evm.address import ADDRESS_BYTES, Address
from evm.keccak import keccak256
from evm.wallet.errors import WalletError, require
from evm.wallet.values import HASH_BYTES


def _address(digits: str) -> Address:
    return Address(bytes.fromhex(digits))


_CREATION_CODE: Final = bytes.fromhex(
    "6041600e3d396021805130553df33d3d36153402601f57363d3d373d363d30545af43d82803e903d91601f57fd5bf3"
)
_DEV1_CREATION_CODE: Final = bytes.fromhex(
    "603e600e3d39601e805130553df33d3d34601c57363d3d373d363d30545af43d82803e903d91601c57fd5bf3"
)
_FACTORY: Final = _address("00000000000018a77519fccca060c2537c9d6d3f")
_DEV2_FACTORY: Final = _address("fe14b91de3c5ca74c4d24608ebcd4b2848aa6010")

GUEST_MODULE: Final = _address("0000000000006ac72ed1d192fa28f0058d3f8806")
ENTRY_POINT: Final = _address("0000000071727de22e5e9d8baf0edac6f37da032")
"""ERC-4337 v0.7, the entry point of the `_4337` contexts."""


@dataclass(frozen=True, slots=True)
class Context:
    """A deployment of the contracts: a new wallet begins with `stage1` and turns to `stage2` at its first update."""

    name: str
    factory: Address
    stage1: Address
    stage2: Address
    creation_code: bytes = _CREATION_CODE

    @property
    def init_code_hash(self) -> bytes:
        """keccak-256 of the code that creates a wallet's proxy."""
        return init_code_hash(self.creation_code, self.stage1)

    def wallet_address(self, image_hash: bytes) -> Address:
        """Where the wallet with this first image hash is, or will be."""
        return counterfactual_address(self.factory, image_hash, self.init_code_hash)


def init_code_hash(creation_code: bytes, implementation: Address) -> bytes:
    """keccak-256 of the code that creates a proxy of `implementation`."""
    return keccak256(creation_code + implementation.rjust(32, b"\0"))


def counterfactual_address(factory: Address, image_hash: bytes, code_hash: bytes) -> Address:
    """Where `factory` deploys a wallet (EIP-1014); the salt is the image hash."""
    require(len(image_hash) == HASH_BYTES, "wallet-image-hash")
    return Address(keccak256(b"\xff" + factory + image_hash + code_hash)[-ADDRESS_BYTES:])


_ALL: Final = (
    Context(
        "Rc5",
        _FACTORY,
        _address("0000000000001f3c39d61698ab21131a12134454"),
        _address("d0ae8ef93b7da4eabb32ec4d81b7a501dca04d4c"),
    ),
    Context(
        "Rc5_4337",
        _FACTORY,
        _address("0000000000009cafdedb6f64bf5f31a22124b2a8"),
        _address("cbca3328a731deffe6ce4c2fb51b585c3c37fb92"),
    ),
    Context(
        "Rc4",
        _FACTORY,
        _address("0000000000003df093bc4257e6dce45d937ef161"),
        _address("10be1abf3cd0918bb1079ecc6b8220c177f34088"),
    ),
    Context(
        "Rc4_4337",
        _FACTORY,
        _address("0000000000003add039ff84b064b7347fc23c444"),
        _address("4b3e5735665057a0a15ee448a7293bc01e3b4de9"),
    ),
    Context(
        "Rc3",
        _FACTORY,
        _address("00000000000084fa81809dd337311297c5594d62"),
        _address("7438718f9e4b9b834e305a620eeecf2b9e6ebe79"),
    ),
    Context(
        "Rc3_4337",
        _FACTORY,
        _address("0000000000005a02e3218e820ea45102f84a35c7"),
        _address("7706aac0cc2c42c01ce17136f7475b0e46f2aba1"),
    ),
    Context(
        "Dev2",
        _DEV2_FACTORY,
        _address("300e98ae5bea4a7291d62eb0b9fed535e10095dd"),
        _address("90cb0a8ccf40beda60896e408bdc7801033447c6"),
    ),
    Context(
        "Dev2_4337",
        _DEV2_FACTORY,
        _address("8ae58fcc0ee9b32994ca52c9854deb969dc8fa2a"),
        _address("30f8e3aceacdeac8a3f28935d87fd58dc5f71ad2"),
    ),
    Context(
        "Dev1",
        _address("e828630697817291140d6b7a42a2c3b7277be45a"),
        _address("2a4fb19f66f1427a5e363bf1bb3be27b9a9acc39"),
        _address("e1299e4456b267123f7aba29b72c2164ff501bda"),
        _DEV1_CREATION_CODE,
    ),
)
CONTEXTS: Final[Mapping[str, Context]] = {context.name: context for context in _ALL}
DEFAULT_CONTEXT: Final = CONTEXTS["Rc5"]


@dataclass(frozen=True, slots=True)
class Extensions:
    """The modules that stand as sapient signers in a wallet's configuration."""

    passkeys: Address
    recovery: Address
    sessions: Address


_RC5_PASSKEYS: Final = _address("0000000000005204f3711851ead52cc9c241499a")
_RC5_SESSIONS: Final = _address("00000000000030bcc832f7d657f50d6be35c92b3")
_DEV_SESSIONS: Final = _address("06aa3a8f781f2be39b888ac8a639c754aee9da29")

EXTENSIONS: Final[Mapping[str, Extensions]] = {
    "Rc5": Extensions(_RC5_PASSKEYS, _address("000000000000ab36d17eb1150116371520565205"), _RC5_SESSIONS),
    "Rc4": Extensions(_RC5_PASSKEYS, _address("000000000001fc499c3e177dd56febb0a4bc15b7"), _RC5_SESSIONS),
    "Rc3": Extensions(
        _address("0000000000dc2d96870dc108c5e15570b715dfd2"),
        _address("0000000000213697bca95e7373787a40858a51c7"),
        _address("0000000000cc58810c33f3a0d78aa1ed80fadcd8"),
    ),
    "Dev2": Extensions(
        _address("4491845806b757d67be05bbd877cab101b9bee5c"),
        _address("ded857b9b5142832634129affc1d67cd106b927c"),
        _DEV_SESSIONS,
    ),
    "Dev1": Extensions(
        _address("8f26281db84c18aaeea8a53f94c835393229d296"),
        _address("d98da48c4ff9c19742ea5856a277424557c863a6"),
        _DEV_SESSIONS,
    ),
}


def parse_context(name: object) -> Context:
    """The context of this name; `WalletError("wallet-context")` for any other."""
    if not isinstance(name, str) or name not in CONTEXTS:
        raise WalletError("wallet-context")
    return CONTEXTS[name]


def extensions_of(context: Context) -> Extensions:
    """The modules that belong to a context; both kinds of one release share them."""
    return EXTENSIONS[context.name.removesuffix("_4337")]
