"""What the names of a rule document stand for: lists of addresses, tokens."""

from enclave.guard.conditions import Addresses
from enclave.guard.document import ANY, OPEN, OWN, RuleDocument
from enclave.guard.errors import RulesError
from enclave.guard.limits import MAX_LIST_ADDRESSES, MAX_LISTS
from evm.address import Address, parse_address
from evm.effects import Asset, Token
from evm.effects.model import COIN
from evm.errors import EvmError


class Resolver:
    """Names of lists and tokens."""

    def __init__(self, document: RuleDocument) -> None:
        if len(document.lists) > MAX_LISTS or sum(map(len, document.lists.values())) > MAX_LIST_ADDRESSES:
            raise RulesError("rules-lists", "There are too many lists, or addresses in them.")
        reserved = {ANY, OWN, OPEN, COIN.standard} & (document.lists.keys() | document.tokens.keys())
        if reserved:
            raise RulesError("rules-reserved-name", f"{reserved.pop()} has a meaning of its own and cannot be a name.")
        self.lists = {
            name: frozenset(_address(text, f"list {name}") for text in texts) for name, texts in document.lists.items()
        }
        self.tokens = {
            name: (token.chain, _address(token.address, f"token {name}"), token)
            for name, token in document.tokens.items()
        }
        self.known_tokens: dict[tuple[int, Address], Token] = {}
        for name, (chain, address, token) in self.tokens.items():
            if (chain, address) in self.known_tokens:
                raise RulesError("rules-token-twice", f"Token {name} is the same contract as another token.")
            self.known_tokens[(chain, address)] = Token(token.standard, name, token.decimals)
        self.names = {address: name for name, members in self.lists.items() for address in members}

    def addresses(self, names: tuple[str, ...] | None, where: str) -> Addresses | None:
        """The set that these names of lists, and addresses, stand for."""
        if names is None:
            return None
        members: set[Address] = set()
        for name in names:
            if name in self.lists:
                members |= self.lists[name]
            elif name not in (ANY, OWN, OPEN):
                members.add(_address(name, where))
        return Addresses(names, frozenset(members), ANY in names, OWN in names, OPEN in names)

    def asset(self, name: str, where: str) -> tuple[int, Asset]:
        """Chain id and asset of a token's name; chain 0 for the coin, which every chain has."""
        if name == COIN.standard:
            return 0, COIN
        if name not in self.tokens:
            raise RulesError("rules-unknown-token", f"{where}: there is no token {name}.")
        chain, address, token = self.tokens[name]
        return chain, Asset(token.standard, address)


def _address(text: str, where: str) -> Address:
    try:
        return parse_address(text)
    except EvmError:
        raise RulesError("rules-address", f"{where}: {text} is neither an address nor the name of a list.") from None
