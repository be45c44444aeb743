"""What a signature does: a bounded tree of effects, the one thing that rules judge.

An effect says whose assets or powers change (`account`), by which contract and function, for the benefit of whom
(`counterparty`), and how much. Kinds that contain others (`nested`, `user-operation`, `delegate-call`, `recovery`) hold
them in `effects`; rules judge the containers and the contained.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from evm.address import Address
from evm.fields import UINT256_MAX

MAX_EFFECTS: Final = 512  # waas-guard-intents.md 2.5: what a person or a rule can still take in
MAX_DEPTH: Final = 8  # calls inside calls

ALL: Final = UINT256_MAX
"""The amount of an approval that never runs out."""
# The narrowest "all bits" that a token keeps as unlimited; with 18 decimals, 79 billion of a token.
_UNLIMITED_FROM: Final = 2**96 - 1

Standard: TypeAlias = Literal["native", "erc20", "erc721", "erc1155", "token"]
"""`token`: the function is one of several standards, and nobody has said which of them the contract follows."""


class Kind(StrEnum):
    """Every kind of effect there is."""

    NATIVE = "native"
    """The chain's own coin moves from `account` to `counterparty`; `amount` in wei."""
    TRANSFER = "transfer"
    """A token moves from `account` to `counterparty` (None: to whomever somebody else chooses later)."""
    APPROVAL = "approval"
    """`counterparty` may take `amount` of an asset, or one item, until `expires_s`."""
    OPERATOR = "operator"
    """`counterparty` may take every item of a token."""
    REVOCATION = "revocation"
    """An approval or operator ends."""
    FEE = "fee"
    """The most that execution costs; `amount` in wei, or in base units of a token."""
    DELEGATE_CALL = "delegate-call"
    """Code of `contract` runs as the account itself."""
    CREATION = "creation"
    """A contract comes to be."""
    DELEGATION = "delegation"
    """EIP-7702: the account takes on the code at `counterparty`; None ends a delegation."""
    ACCOUNT_CHANGE = "account-change"
    """Who controls `account`, or which code it runs, changes: configuration, owner, module, implementation."""
    GRANT = "grant"
    """`counterparty` may act for the account later: a session, a delegation of ERC-7710."""
    RECOVERY = "recovery"
    """The account's recovery is used; what it will do then is in `effects`."""
    STATEMENT = "statement"
    """A text is signed that no contract is known to read; `site` where it signs in somewhere."""
    NESTED = "nested"
    """`contract` carries out further calls, which are in `effects`."""
    USER_OPERATION = "user-operation"
    """ERC-4337: an entry point lets `account` do what is in `effects`."""
    UNKNOWN = "unknown"
    """What could not be decoded; `reason` says why."""


class Reason(StrEnum):
    """Why something is unknown."""

    SELECTOR = "selector"
    """A call of a function that is in no table."""
    ENCODING = "encoding"
    """The function is known, its arguments are not encoded as the ABI says."""
    IMPOSTOR = "impostor"
    """A function of one well-known contract, called at another address."""
    STANDARD = "standard"
    """A function that the token's standard does not have."""
    EMPTY = "empty"
    """A known function with lists of nothing."""
    TOO_DEEP = "too-deep"
    """A call inside more than `MAX_DEPTH` others."""
    TYPED_DATA = "typed-data"
    """A document whose type is in no table, or that does not say what its type needs."""
    HASH = "hash"
    """Thirty-two bytes that may be the hash of anything."""
    PREIMAGE = "preimage"
    """Bytes that are a transaction, an operation or a document to whoever hashes them."""
    BYTES = "bytes"
    """Bytes without a known meaning, signed as they are."""
    CODE = "code"
    """Further code takes part, of which nothing is known: a paymaster, a factory, a fulfiller's hook."""


@dataclass(frozen=True, slots=True)
class Asset:
    """What moves. `contract` is None for the chain's coin; `id` is the item of an ERC-721 or ERC-1155 token."""

    standard: Standard
    contract: Address | None = None
    id: int | None = None

    @property
    def kind(self) -> "Asset":
        """The asset without its item."""
        return self if self.id is None else Asset(self.standard, self.contract)


COIN: Final = Asset("native")


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect. Chain id 0 stands for every chain; `amount` is None where the kind has none.

    `signed`: the signature alone is enough, so that somebody else decides when it happens, and whether. `conditional`:
    it happens only if something else fails or does not fail. `expires_s`: Unix time in seconds; None, never.
    """

    kind: Kind
    chain_id: int
    account: Address
    contract: Address | None = None
    selector: bytes = b""
    function: str = ""
    counterparty: Address | None = None
    asset: Asset | None = None
    amount: int | None = None
    expires_s: int | None = None
    signed: bool = False
    conditional: bool = False
    site: str = ""
    reason: Reason | None = None
    effects: "tuple[Effect, ...]" = ()

    @property
    def unlimited(self) -> bool:
        """Whether the amount is one that stands for "all there is and will be"."""
        if self.kind is Kind.OPERATOR:
            return True
        if self.kind not in (Kind.APPROVAL, Kind.GRANT) or self.amount is None:
            return False
        return self.amount >= _UNLIMITED_FROM

    def walk(self) -> "Iterator[Effect]":
        """This effect, then all that it contains, in order."""
        yield self
        for effect in self.effects:
            yield from effect.walk()


@dataclass(frozen=True, slots=True)
class Token:
    """What the rules' author vouches for about a token contract: its standard, and how its amounts are written."""

    standard: Standard
    symbol: str
    decimals: int = 0


Tokens: TypeAlias = Mapping[tuple[int, Address], Token]
"""Known tokens by chain id and address."""


def all_effects(effects: tuple[Effect, ...]) -> Iterator[Effect]:
    """Every effect of the trees, in order."""
    for effect in effects:
        yield from effect.walk()
