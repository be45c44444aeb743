"""A guard's own methods for those who sign with it, and for the officers who change its rules.

An officer signs a *statement*: an action and one rule document, by version and SHA-256 (docs/guard.md). That needs no
network; a signed statement is an `Approval`, a small file that can be sent to whoever activates the rules.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from host_proxy.client.api import Caller
from host_proxy.client.device_key import DeviceKey
from host_proxy.client.errors import ClientError
from protocol import canonical_json

ACTIVATE: Final = "activate guard rules"
FREEZE: Final = "freeze guard"
READ: Final = "read guard decisions"

_RULES: Final = "/rpc/GuardRules/"
_APPROVAL: Final = {"action": str, "deployment": str, "version": int, "sha256": str, "key": dict, "signature": str}


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """What a guard says about itself: its address, the rule document as it was written, and whether it is frozen."""

    signer: str
    document: bytes
    frozen: bool

    @property
    def version(self) -> int:
        """The document's version."""
        return version_of(self.document)


@dataclass(frozen=True, slots=True)
class Approval:
    """An officer's signature over a statement. `key` is in the form of `authKey`."""

    action: str
    deployment: str
    version: int
    sha256: str
    key: Mapping[str, str]
    signature: str

    def as_json(self) -> dict[str, Any]:
        """What a file keeps."""
        return {name: getattr(self, name) for name in _APPROVAL}

    def wire(self) -> dict[str, Any]:
        """What the guard takes; the statement it makes itself."""
        return {"key": self.key, "signature": self.signature}

    def is_about(self, document: bytes) -> bool:
        """Whether it approves the activation of exactly these bytes."""
        return (self.action, self.sha256) == (ACTIVATE, _sha256(document))


def approve(action: str, deployment: str, document: bytes, officer: DeviceKey) -> Approval:
    """The officer's signature; `ValueError` for a document without a version."""
    version, sha256 = version_of(document), _sha256(document)
    told = {"action": action, "deployment": deployment, "version": version, "sha256": sha256}
    signature = officer.sign(canonical_json.canonicalize(told))
    return Approval(action, deployment, version, sha256, officer.wire(), signature)


def parse_approval(value: Any) -> Approval:
    """An approval that was kept as JSON; `ValueError` for anything else."""
    if not isinstance(value, dict) or value.keys() != _APPROVAL.keys():
        raise ValueError("not an approval")
    if any(type(value[name]) is not kind for name, kind in _APPROVAL.items()):
        raise ValueError("not an approval")
    return Approval(**value)


def version_of(document: bytes) -> int:
    """The version of a rule document; `ValueError` where there is none. The guard checks everything else."""
    value = json.loads(document)
    version = value.get("version") if isinstance(value, dict) else None
    if type(version) is not int:
        raise ValueError("not a rule document")
    return version


class GuardClient:
    """One guard, every answer proven. Refusals are `ServiceRefusal`, everything else that fails `ClientError`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def rules(self) -> RulesInForce:
        """The rules in force, and the address that signs under them."""
        found = self._ask(_RULES + "Get", {})
        match found:
            case {"signer": str(signer), "document": str(document), "frozen": bool(frozen)}:
                return RulesInForce(signer, document.encode(), frozen)
        raise ClientError("malformed", "the answer is no guard's")

    def judge(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The decision about a request now, with its reasons. Nothing is signed."""
        return self._ask(_RULES + "Judge", {"request": request})

    def activate(self, document: bytes, approvals: Sequence[Approval]) -> int:
        """Put rules in force; their version."""
        signed = [approval.wire() for approval in approvals]
        return int(self._ask(_RULES + "Activate", {"document": document.decode(), "approvals": signed})["version"])

    def freeze(self, approval: Approval) -> None:
        """Refuse everything until higher rules are activated."""
        self._ask(_RULES + "Freeze", {"approval": approval.wire()})

    def decisions(self, approval: Approval) -> dict[str, Any]:
        """`lines`: the newest decisions of this boot; `reviews`: the newest of reviewers."""
        return self._ask(_RULES + "Decisions", {"approval": approval.wire()})

    def register(
        self, configuration: Any, context: str, wallet: str | None = None, updates: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Show a wallet's configuration, whose signers count from then on; `wallet` for a later one than the first,
        with the `updates` (signatures, the oldest first) that lead to it.
        """
        later = {} if wallet is None else {"wallet": wallet, "updates": list(updates)}
        shown = {"configuration": configuration, "context": context}
        return self._ask("/rpc/GuardWallets/Register", shown | later)

    def sign(self, request: Mapping[str, Any], token: Mapping[str, str] | None = None) -> str:
        """The guard's signature over the request's digest, 65 bytes as `0x` hex; `token` is `{id, token}`, a second
        factor.
        """
        factor = {} if token is None else {"token": token}
        return str(self._ask("/rpc/Guard/Sign", {"request": request, **factor})["sig"])

    def _ask(self, path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return self._caller.post(path, dict(arguments)).body


def _sha256(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()
