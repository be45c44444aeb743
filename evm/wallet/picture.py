"""A wallet as a person reads it at a terminal: who can sign, what applications may do, how recovery works.

Three trees, drawn with lines. Trees of modules are hashed and compared with what the configuration holds; where they
are not its own, that comes first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from evm.address import Address, checksum
from evm.wallet.configuration import Configuration
from evm.wallet.context import CONTEXTS, EXTENSIONS
from evm.wallet.document import WalletDocument
from evm.wallet.recovery.tree import Tree as RecoveryTree
from evm.wallet.recovery.tree import leaves as recovery_leaves
from evm.wallet.recovery.words import leaf_words
from evm.wallet.recovery.words import tree_words as recovery_words
from evm.wallet.sessions.configuration import Tree as SessionTree
from evm.wallet.sessions.configuration import flat
from evm.wallet.sessions.configuration import image_hash as sessions_hash
from evm.wallet.sessions.configuration import leaves as session_leaves
from evm.wallet.sessions.permission import SessionPermissions
from evm.wallet.sessions.words import session_words
from evm.wallet.sessions.words import tree_words as session_tree_words
from evm.wallet.sessions.worst_case import worst_case
from evm.wallet.topology import SapientLeaf, leaves_of
from evm.wallet.values import to_hex
from evm.wallet.words import configuration_words, difference_words
from evm.words import coins, token_amount

_INDENT: Final = 2
_SESSIONS: Final = {modules.sessions for modules in EXTENSIONS.values()}
_RECOVERY: Final = {modules.recovery for modules in EXTENSIONS.values()}


@dataclass(frozen=True, slots=True)
class Node:
    """A sentence, and those that belong to it."""

    text: str
    children: list["Node"] = field(default_factory=list)


def picture(document: WalletDocument) -> str:
    """The whole, drawn."""
    return "\n\n".join("\n".join(draw(node)) for node in sections(document))


def sections(document: WalletDocument) -> list[Node]:
    """The parts of the picture that the document has something for."""
    found = [Node(f"CAREFUL: {warning}") for warning in mismatches(document)]
    configuration = document.configuration
    if configuration is not None:
        found.append(_about(document, configuration))
        found.append(Node("Who can sign", _nested(configuration_words(configuration))))
    if document.sessions is not None:
        found += _session_sections(document.sessions)
    if document.recovery is not None:
        found.append(Node("How recovery works", [Node(line) for line in recovery_words(document.recovery)]))
    return found


def difference(old: WalletDocument, new: WalletDocument) -> list[Node]:
    """What the second says otherwise; nothing if they say the same."""
    found = [Node(f"CAREFUL: {warning}") for warning in mismatches(new)]
    if old.configuration is not None and new.configuration is not None:
        found += _section("Who can sign", difference_words(old.configuration, new.configuration))
    elif old.configuration != new.configuration:
        found.append(Node("Only one of the two has a configuration; the signers cannot be compared"))
    before, after = _session_lines(old.sessions), _session_lines(new.sessions)
    found += _section("What applications may do", _changes(before, after, old.sessions, new.sessions))
    before, after = _recovery_lines(old.recovery), _recovery_lines(new.recovery)
    return found + _section("How recovery works", _changes(before, after, old.recovery, new.recovery))


def mismatches(document: WalletDocument) -> list[str]:
    """Trees that are not the ones whose hashes the configuration holds."""
    if document.configuration is None:
        return []
    held = [leaf for leaf in leaves_of(document.configuration.topology) if isinstance(leaf, SapientLeaf)]
    found = []
    if document.sessions is not None and not _holds(held, _SESSIONS, sessions_hash(document.sessions)):
        found.append("the sessions below are NOT those of this configuration")
    if document.recovery is not None and not _holds(held, _RECOVERY, document.recovery.hash):
        found.append("the recovery keys below are NOT those of this configuration")
    return found


def worst_cases(tree: SessionTree) -> list[dict[str, Any]]:
    """Of each explicit session, the most it can move: base units as decimal text, None where nothing bounds it."""
    return [
        {
            "signer": checksum(session.signer),
            "chainId": str(session.chain_id),
            "deadline": str(session.deadline),
            "native": str(bound.native_wei),
            "tokens": {checksum(token): None if most is None else str(most) for token, most in bound.tokens.items()},
        }
        for session in _explicit(tree)
        for bound in [worst_case(session)]
    ]


def draw(node: Node, first: str = "", rest: str = "") -> Iterator[str]:
    """The lines of a tree."""
    yield first + node.text
    for number, child in enumerate(node.children, start=1):
        last = number == len(node.children)
        yield from draw(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))


def _about(document: WalletDocument, configuration: Configuration) -> Node:
    image_hash = configuration.image_hash
    lines = [Node(f"Image hash {to_hex(image_hash)}")]
    if document.address is not None:
        lines.append(Node(f"Address {checksum(document.address)}, as the file says"))
    if configuration.checkpoint == 0:
        address = CONTEXTS["Rc5"].wallet_address(image_hash)
        lines.append(Node(f"If this is the first configuration, the address is {checksum(address)} (context Rc5)"))
    return Node("Wallet", lines)


def _session_sections(tree: SessionTree) -> list[Node]:
    sessions = list(_explicit(tree))
    shown = [Node(sentences[0], [*map(Node, sentences[1:])]) for sentences in map(session_words, sessions)]
    others = [leaf for leaf in session_leaves(tree) if not isinstance(leaf, SessionPermissions)]
    lines = session_tree_words(flat(others)) if others else []
    found = [Node("What applications may do", [*shown, *map(Node, lines)])]
    if sessions:
        found.append(Node("The most that sessions can move", [*map(_worst, sessions), *_sum(sessions)]))
    return found


def _worst(session: SessionPermissions) -> Node:
    bound = worst_case(session)
    where = "" if session.chain_id else ", on each chain anew"
    tokens = [
        Node(f"of {checksum(token)}: {'WITHOUT A LIMIT' if most is None else token_amount(most)}")
        for token, most in bound.tokens.items()
    ]
    return Node(f"The key {checksum(session.signer)}{where}", [Node(f"coins: {coins(bound.native_wei)}"), *tokens])


def _sum(sessions: Sequence[SessionPermissions]) -> list[Node]:
    """All of them together, where there are several."""
    if len(sessions) < 2:
        return []
    tokens: dict[Address, int | None] = {}
    for session in sessions:
        for token, most in worst_case(session).tokens.items():
            before = tokens.get(token, 0)
            tokens[token] = None if before is None or most is None else before + most
    native = sum(worst_case(session).native_wei for session in sessions)
    listed = [
        Node(f"of {checksum(token)}: {'WITHOUT A LIMIT' if most is None else token_amount(most)}")
        for token, most in tokens.items()
    ]
    return [Node("All of them together, on one chain", [Node(f"coins: {coins(native)}"), *listed])]


def _explicit(tree: SessionTree) -> Iterator[SessionPermissions]:
    return (leaf for leaf in session_leaves(tree) if isinstance(leaf, SessionPermissions))


def _nested(lines: Sequence[str]) -> list[Node]:
    """Indented lines as a tree."""
    root = Node("")
    open_nodes = [(-1, root)]
    for line in lines:
        level = (len(line) - len(line.lstrip(" "))) // _INDENT
        node = Node(line.strip())
        while open_nodes[-1][0] >= level:
            open_nodes.pop()
        open_nodes[-1][1].children.append(node)
        open_nodes.append((level, node))
    return root.children


def _holds(leaves: Sequence[SapientLeaf], modules: set[Address], image_hash: bytes) -> bool:
    return any(leaf.address in modules and leaf.image_hash == image_hash for leaf in leaves)


def _section(title: str, lines: Sequence[str]) -> list[Node]:
    return [Node(title, [Node(line.strip()) for line in lines])] if lines else []


def _session_lines(tree: SessionTree | None) -> dict[object, list[str]]:
    return {} if tree is None else {leaf: session_tree_words(leaf) for leaf in session_leaves(tree)}


def _recovery_lines(tree: RecoveryTree | None) -> dict[object, list[str]]:
    return {} if tree is None else {leaf: [leaf_words(leaf)] for leaf in recovery_leaves(tree)}


def _changes(before: dict[object, list[str]], after: dict[object, list[str]], old: object, new: object) -> list[str]:
    if (old is None) != (new is None):
        return ["Only one of the two files has this tree; it cannot be compared"]
    gone = [f"Removed: {line}" for leaf, lines in before.items() if leaf not in after for line in lines]
    come = [f"Added: {line}" for leaf, lines in after.items() if leaf not in before for line in lines]
    if old != new and not gone and not come:
        return ["The same leaves in another order"]
    return gone + come
