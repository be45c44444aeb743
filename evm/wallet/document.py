"""What a file about a wallet may hold: a configuration, the trees behind its modules, or an answer that has all three.

{"threshold", "checkpoint", "topology" | "tree", "checkpointer"?}    a configuration, of the library or the service
{"configuration", "sessions"?, "recovery"?, ...}                     as `Wallet/Configuration` answers
a session tree, one explicit session, or a recovery tree, alone
"""

from dataclasses import dataclass
from typing import Any, Final

from evm.address import Address, parse_address
from evm.fields import members
from evm.wallet.configuration import Configuration
from evm.wallet.configuration_json import parse_configuration, parse_service_configuration
from evm.wallet.errors import WalletError
from evm.wallet.recovery.service_json import tree_from_service as recovery_from_service
from evm.wallet.recovery.tree import Tree as RecoveryTree
from evm.wallet.recovery.tree_encoding import tree_from_json as recovery_from_json
from evm.wallet.sessions.configuration import Tree as SessionTree
from evm.wallet.sessions.service_json import tree_from_service as sessions_from_service
from evm.wallet.sessions.session_json import tree_from_json as sessions_from_json

ANSWER_MEMBERS: Final = (
    "address",
    "attested",
    "checkpoint",
    "context",
    "contexts",
    "created",
    "deploy",
    "deployHash",
    "imageHash",
    "pending",
    "recovery",
    "service",
    "sessions",
    "updates",
    "words",
)
"""What an answer may have beside its configuration; nothing of it is believed but the trees, which are hashed."""

_CODE: Final = "wallet-document"
_SESSION_LEAVES: Final = ("implicit-blacklist", "identity-signer")


@dataclass(frozen=True, slots=True)
class WalletDocument:
    """What was found. `address` is what the file says, if it says one; it cannot be checked against later ones."""

    configuration: Configuration | None = None
    sessions: SessionTree | None = None
    recovery: RecoveryTree | None = None
    address: Address | None = None


def parse_document(value: object) -> WalletDocument:
    """The document in a JSON value; `EvmError` when it is none of those above."""
    match kind_of(value):
        case "library":
            return WalletDocument(parse_configuration(value))
        case "service":
            return WalletDocument(parse_service_configuration(value))
        case "answer":
            return _parse_answer(members(value, required=("configuration",), optional=ANSWER_MEMBERS, code=_CODE))
        case "sessions":
            return WalletDocument(sessions=sessions_from_json(value))
        case "recovery":
            return WalletDocument(recovery=recovery_from_json(value))
    raise WalletError(_CODE)


def kind_of(value: object) -> str:
    """Which of the forms a JSON value seems to have, by its first telling member; empty for none."""
    leaf = value
    while isinstance(leaf, list) and leaf:
        leaf = next((part for part in leaf if isinstance(part, dict)), leaf[0])
    if not isinstance(leaf, dict):
        return ""
    if leaf is value:
        for name, kind in (("configuration", "answer"), ("topology", "library"), ("tree", "service")):
            if name in leaf:
                return kind
    if leaf.get("type") in _SESSION_LEAVES or "permissions" in leaf:
        return "sessions"
    return "recovery" if leaf.get("type") == "leaf" else ""


def _parse_answer(found: dict[str, Any]) -> WalletDocument:
    inner = parse_document(found["configuration"]).configuration
    if inner is None:
        raise WalletError(_CODE)
    address = found.get("address")
    return WalletDocument(
        configuration=inner,
        sessions=_tree(found.get("sessions"), sessions_from_json, sessions_from_service),
        recovery=_tree(found.get("recovery"), recovery_from_json, recovery_from_service),
        address=None if address is None else parse_address(address),
    )


def _tree(value: object, library: Any, service: Any) -> Any:
    """A tree in the library's form or, where its leaves are `{"data"}`, the service's."""
    if value is None:
        return None
    leaf = value
    while isinstance(leaf, list) and leaf:
        leaf = next((part for part in leaf if isinstance(part, dict)), leaf[0])
    return service(value) if isinstance(leaf, dict) and leaf.keys() == {"data"} else library(value)
