"""An effect as one sentence. Names of addresses and tokens are those of the rules; nobody else's are shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from evm.address import Address, checksum
from evm.effects.model import ALL, Asset, Effect, Kind, Reason, Tokens
from evm.words import coins, printable, token_amount

_LAST_YEAR_S: Final = 253_402_300_799  # 9999-12-31, the last date that has four digits


@dataclass(frozen=True, slots=True)
class Naming:
    """How addresses are called, and what is known about tokens."""

    names: Mapping[Address, str] = field(default_factory=lambda: MappingProxyType({}))
    tokens: Tokens = field(default_factory=lambda: MappingProxyType({}))

    def address(self, address: Address | None) -> str:
        """The address with its name, if it has one; None is anybody."""
        if address is None:
            return "ANYBODY"
        text = checksum(address)
        return f"{text} {printable(self.names[address])}" if address in self.names else text

    def amount(self, effect: Effect) -> str:
        """The amount of the effect's asset, and the asset."""
        asset = effect.asset
        if asset is None:
            return "assets"
        if asset.contract is None:
            return "coins" if effect.amount is None else coins(effect.amount)
        token = self.tokens.get((effect.chain_id, asset.contract))
        name = f"{printable(token.symbol)} {checksum(asset.contract)}" if token else f"token {checksum(asset.contract)}"
        if asset.standard == "erc721":
            return f"item {asset.id} of {name}" if asset.id is not None else f"any item of {name}"
        return f"{self._number(effect, asset)} of {name}"

    def _number(self, effect: Effect, asset: Asset) -> str:
        amount = effect.amount
        if amount is None:
            return "all"
        if effect.unlimited:
            return "an UNLIMITED amount"
        if amount == ALL:
            return "an amount without a bound"
        if asset.standard == "erc1155":
            return f"{amount} of item {asset.id if asset.id is not None else 'ANY'}"
        if asset.standard == "token":
            return f"{amount} (base units, or the item with this number)"
        token = self.tokens.get((effect.chain_id, asset.contract)) if asset.contract else None
        return decimal(amount, token.decimals) if token and token.decimals else token_amount(amount)


NO_NAMES: Final = Naming()


def decimal(amount: int, decimals: int) -> str:
    """Base units as a decimal number, exact."""
    whole, rest = divmod(amount, 10**decimals)
    fraction = f"{rest:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{whole}{'.' + fraction if fraction else ''}"


def effect_words(effect: Effect, naming: Naming = NO_NAMES) -> str:
    """The sentence, with where it holds and under what condition."""
    where = [] if effect.kind is Kind.STATEMENT or effect.chain_id == 0 else [f"on chain {effect.chain_id}"]
    return _joined(effect, naming, where)


def sentence(effect: Effect, naming: Naming = NO_NAMES) -> str:
    """The sentence without the chain, which stands elsewhere; unless it is every one."""
    return _joined(effect, naming, [])


def _joined(effect: Effect, naming: Naming, where: list[str]) -> str:
    parts = [_what(effect, naming)]
    if effect.expires_s is not None:
        parts.append(f"until {_time(effect.expires_s)}")
    parts += where
    if effect.kind is not Kind.STATEMENT and effect.chain_id == 0:
        parts.append("on EVERY chain")
    if effect.signed:
        parts.append("by this signature alone")
    if effect.conditional:
        parts.append("unless it fails or is passed over")
    return ", ".join(parts)


def tree_words(effects: tuple[Effect, ...], naming: Naming = NO_NAMES, level: int = 0) -> list[str]:
    """A line for each effect, indented below what contains it."""
    lines: list[str] = []
    for effect in effects:
        lines += ["  " * level + effect_words(effect, naming), *tree_words(effect.effects, naming, level + 1)]
    return lines


def _what(effect: Effect, naming: Naming) -> str:
    return _SENTENCES[effect.kind](effect, naming)


def _moves(effect: Effect, naming: Naming) -> str:
    verb = "Send" if effect.kind is Kind.NATIVE else "Transfer"
    account, other = naming.address(effect.account), naming.address(effect.counterparty)
    return f"{verb} {naming.amount(effect)} from {account} to {other}"


def _approves(effect: Effect, naming: Naming) -> str:
    account, other = naming.address(effect.account), naming.address(effect.counterparty)
    if effect.kind is Kind.APPROVAL:
        return f"Let {other} take {naming.amount(effect)} from {account}"
    token = naming.address(effect.asset.contract) if effect.asset else "a token"
    return f"Let {other} take EVERY item or amount of the token {token} from {account}"


def _revokes(effect: Effect, naming: Naming) -> str:
    what = f"{effect.function or 'revocation'} at {naming.address(effect.contract)}"
    return f"Let {naming.address(effect.counterparty)} no longer take or do what it could ({what})"


def _pays(effect: Effect, naming: Naming) -> str:
    return f"Pay a fee of at most {naming.amount(effect)} from {naming.address(effect.account)}"


def _delegate_calls(effect: Effect, naming: Naming) -> str:
    target, account = naming.address(effect.contract), naming.address(effect.account)
    return f"Run the code of {target} AS {account}{_selector(effect)}"


def _creates(effect: Effect, naming: Naming) -> str:
    through = f" through {naming.address(effect.contract)}" if effect.contract else ""
    return f"Create a contract for {naming.address(effect.account)}{through}"


def _delegates(effect: Effect, naming: Naming) -> str:
    account = naming.address(effect.account)
    if effect.counterparty is None:
        return f"{account} ends its delegation"
    return f"{account} hands FULL CONTROL of itself to the code at {naming.address(effect.counterparty)}"


def _changes(effect: Effect, naming: Naming) -> str:
    new = f" in favour of {naming.address(effect.counterparty)}" if effect.counterparty else ""
    what = effect.function or "configuration update"
    return f"Change who controls {naming.address(effect.account)}, or its code ({what}){new}"


def _grants(effect: Effect, naming: Naming) -> str:
    most = f", sending at most {coins(effect.amount)}" if effect.amount is not None else ""
    site = f" for {printable(effect.site)}" if effect.site else ""
    who, account = naming.address(effect.counterparty), naming.address(effect.account)
    return f"Let {who} act for {account}{site} ({effect.function}){most}"


def _states(effect: Effect, naming: Naming) -> str:
    account = naming.address(effect.account)
    return f"Sign in at {printable(effect.site)} as {account}" if effect.site else f"Sign a text as {account}"


def _contains(effect: Effect, naming: Naming) -> str:
    account = naming.address(effect.account)
    if effect.kind is Kind.RECOVERY:
        return f"Use the recovery of {account}"
    if effect.kind is Kind.USER_OPERATION:
        entry_point = naming.address(effect.contract)
        return f"Let {account} carry out as follows, through the entry point {entry_point}"
    return f"Let {naming.address(effect.contract)} carry out as follows ({effect.function}) for {account}"


def _unknown(effect: Effect, naming: Naming) -> str:
    what = f" ({effect.function})" if effect.function else ""
    where = f" at {naming.address(effect.contract)}" if effect.contract else ""
    return f"Something that is not understood{where}{_selector(effect)}{what}: {_REASONS[effect.reason]}"


_SENTENCES: Final[Mapping[Kind, Callable[[Effect, Naming], str]]] = {
    Kind.NATIVE: _moves,
    Kind.TRANSFER: _moves,
    Kind.APPROVAL: _approves,
    Kind.OPERATOR: _approves,
    Kind.REVOCATION: _revokes,
    Kind.FEE: _pays,
    Kind.DELEGATE_CALL: _delegate_calls,
    Kind.CREATION: _creates,
    Kind.DELEGATION: _delegates,
    Kind.ACCOUNT_CHANGE: _changes,
    Kind.GRANT: _grants,
    Kind.RECOVERY: _contains,
    Kind.STATEMENT: _states,
    Kind.NESTED: _contains,
    Kind.USER_OPERATION: _contains,
    Kind.UNKNOWN: _unknown,
}
_REASONS: Final[dict[Reason | None, str]] = {
    Reason.SELECTOR: "the function is not known",
    Reason.ENCODING: "the function is known, its arguments are not encoded as they must be",
    Reason.IMPOSTOR: "the function belongs to another contract",
    Reason.STANDARD: "the token does not have this function",
    Reason.EMPTY: "the function is known, and is given nothing to do",
    Reason.TOO_DEEP: "it lies too deep inside other calls",
    Reason.TYPED_DATA: "the type of the document is not known, or says too little",
    Reason.HASH: "it may be the hash of anything",
    Reason.PREIMAGE: "to others these bytes are an operation or a document, which was not given",
    Reason.BYTES: "the bytes have no known meaning",
    Reason.CODE: "code of which nothing is known takes part without a bound",
    None: "no reason is recorded",
}


def _selector(effect: Effect) -> str:
    return f", function 0x{effect.selector.hex()}" if effect.selector else ""


def _time(seconds: int) -> str:
    if seconds > _LAST_YEAR_S:
        return "the end of time"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
