"""One call on its way to a contract, and the table of functions that are understood.

Each function is registered by its signature with a reader, which turns the decoded arguments into effects. The table is
code (SE-17); two functions with one selector do not load. A call that is in no table, or is encoded otherwise than the
ABI says, is an `unknown` effect (SE-18).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from evm import abi
from evm.address import ZERO_ADDRESS, Address
from evm.effects.model import COIN, MAX_DEPTH, MAX_EFFECTS, Asset, Effect, Kind, Reason, Standard, Tokens
from evm.errors import EvmError
from evm.keccak import keccak256

SELECTOR_BYTES: Final = 4


@dataclass(slots=True)
class Walk:
    """What all calls of one tree share: known tokens, and the budget of effects."""

    tokens: Tokens
    left: int = MAX_EFFECTS

    def count(self) -> None:
        """Count one effect; `EvmError("effects-too-many")` after the last one allowed."""
        self.left -= 1
        if self.left < 0:
            raise EvmError("effects-too-many")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of `to` by `sender`, with `value` in wei. `selector` and `function` are empty until they are known."""

    walk: Walk
    chain_id: int
    sender: Address
    to: Address
    value: int
    data: bytes
    depth: int = 0
    signed: bool = False
    conditional: bool = False
    function: str = field(default="", compare=False)

    @property
    def selector(self) -> bytes:
        """The first four bytes of the data."""
        return self.data[:SELECTOR_BYTES]

    def effect(self, kind: Kind, *, account: Address | None = None, **fields: Any) -> Effect:
        """An effect of this call; the account is the sender's if not given."""
        self.walk.count()
        known: dict[str, Any] = {
            "contract": None if self.signed and self.to == ZERO_ADDRESS else self.to,
            "selector": self.selector,
            "function": self.function,
            "signed": self.signed,
            "conditional": self.conditional,
        }
        return Effect(kind, self.chain_id, account or self.sender, **(known | fields))

    def unknown(self, reason: Reason, **fields: Any) -> Effect:
        """The call as something that was not understood."""
        return self.effect(Kind.UNKNOWN, reason=reason, **fields)

    def coins(self, to: Address | None, amount: int, *, account: Address | None = None) -> Effect:
        """The chain's coin moves."""
        return self.effect(Kind.NATIVE, account=account, counterparty=to, asset=COIN, amount=amount)

    def asset(self, claimed: Standard, id_: int | None = None, *, token: Address | None = None) -> Asset:
        """The token as the function claims it to be, or as it is known to be.

        `EvmError("effects-standard")` if the function does not exist in the standard that it is known to follow.
        """
        contract = token or self.to
        known = self.walk.tokens.get((self.chain_id, contract))
        if known is None:
            return Asset(claimed, contract, None if claimed == "token" else id_)
        if claimed not in (known.standard, "token"):
            raise EvmError("effects-standard")
        return Asset(known.standard, contract, id_ if known.standard in ("erc721", "erc1155") else None)

    def inner(self, to: Address, value: int, data: bytes, *, sender: Address | None = None) -> tuple[Effect, ...]:
        """What a call does that this one leads to; made by the called contract itself if no sender is given."""
        by = sender or self.to
        depth = self.depth + 1
        return read_call(Call(self.walk, self.chain_id, by, to, value, data, depth, self.signed, self.conditional))

    def named(self, function: str) -> "Call":
        """The same call, of a function that has been found in the table."""
        parts = (self.walk, self.chain_id, self.sender, self.to, self.value, self.data)
        return Call(*parts, self.depth, self.signed, self.conditional, function)

    def nested(self, kind: Kind, effects: Iterable[Effect], **fields: Any) -> Effect:
        """A container of further effects."""
        return self.effect(kind, effects=tuple(effects), **fields)


Reader: TypeAlias = Callable[..., Iterable[Effect]]
ContractReader: TypeAlias = Callable[[Call], Iterable[Effect]]


@dataclass(frozen=True, slots=True)
class Function:
    """A function that is understood: its name, its argument types, and what makes effects of its arguments."""

    name: str
    types: tuple[str, ...]
    reader: Reader


FUNCTIONS: Final[dict[bytes, Function]] = {}
"""By selector. Filled when the modules of this package load."""


def reads(*signatures: str) -> Callable[[Reader], Reader]:
    """Register a reader for functions, given as canonical signatures. It gets the call and the decoded arguments."""

    def register(reader: Reader) -> Reader:
        for signature in signatures:
            selector = keccak256(signature.encode())[:SELECTOR_BYTES]
            if selector in FUNCTIONS:
                raise ImportError(f"two functions share a selector: {signature}")
            name, _, types = signature[:-1].partition("(")
            FUNCTIONS[selector] = Function(name, tuple(abi.split_types(types)), reader)
        return reader

    return register


CONTRACTS: Final[dict[Address, ContractReader]] = {}
"""Contracts without functions, by address: whatever they are sent is read by one reader."""


def at_contract(contract: Address) -> Callable[[ContractReader], ContractReader]:
    """Register a reader for all that is sent to a contract."""

    def register(reader: ContractReader) -> ContractReader:
        CONTRACTS[contract] = reader
        return reader

    return register


def read_call(call: Call) -> tuple[Effect, ...]:
    """What a call does. Value that is sent along comes first, as an effect of its own."""
    effects: list[Effect] = []
    if call.value or not call.data:
        effects.append(call.coins(call.to, call.value))
    if call.data:
        effects += _read_data(call)
    return tuple(effects)


def _read_data(call: Call) -> Iterable[Effect]:
    if call.depth > MAX_DEPTH:
        return [call.unknown(Reason.TOO_DEEP)]
    if call.to in CONTRACTS:
        return CONTRACTS[call.to](call)
    function = FUNCTIONS.get(call.selector)
    if function is None:
        return [call.unknown(Reason.SELECTOR)]
    named = call.named(function.name)
    try:
        arguments = abi.decode(function.types, call.data[SELECTOR_BYTES:])
        found = list(function.reader(named, *arguments))
        return found or [named.unknown(Reason.EMPTY)]  # a call is never nothing: its contract is run
    except EvmError as error:
        if error.code == "effects-too-many":
            raise
        return [named.unknown(_REASONS.get(error.code, Reason.ENCODING))]


_REASONS: Final = {"effects-standard": Reason.STANDARD, "effects-impostor": Reason.IMPOSTOR}


def require_at(call: Call, *contracts: Address) -> None:
    """`EvmError("effects-impostor")` unless one of these is called: anybody's contract can have any function."""
    if call.to not in contracts:
        raise EvmError("effects-impostor")
