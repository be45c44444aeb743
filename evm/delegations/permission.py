"""Requests for permissions (ERC-7715), and the delegation that answers each: what was asked, or less, or a refusal.

    {"chainId", "from"?, "to", "permission": {"type", "isAdjustmentAllowed", "data"}, "rules"?: [{"type", "data"}]}

Permissions of the allowance, periodic and stream kind, for coins and ERC-20 tokens, and the taking back of approvals.
Rules: `expiry`, `payee`, `redeemer`. One thing is adjusted, where the request allows it: a permission that names nobody
to whom it pays is granted for payments to the one who asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from evm.address import Address, checksum, parse_address
from evm.authorization import MAX_CHAIN_ID
from evm.delegations.context import SignedDelegation, encode_context
from evm.delegations.deployment import Deployment
from evm.delegations.errors import DelegationError, require
from evm.delegations.model import ROOT_AUTHORITY, Delegation, Manager
from evm.delegations.permission_kinds import PERMISSIONS, REVOCATION, enforcers_of, parse_time
from evm.delegations.terms import (
    CalldataSlice,
    ExactCalldata,
    PerPeriod,
    Redeemers,
    Revocable,
    Revocations,
    Stream,
    Targets,
    Terms,
    Times,
    ValueAtMost,
)
from evm.fields import items, members, quantity
from evm.wallet.abi import word

MAX_ADDRESSES: Final = 16  # own choice, of one rule
MAX_RULES: Final = 3
RULES: Final = ("expiry", "payee", "redeemer")
_SELECTOR: Final = 4


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """What an application asks for. `source` is the request as it came, for the answer."""

    chain_id: int
    account: Address | None
    delegate: Address
    adjustable: bool
    limit: PerPeriod | Stream | Revocations
    expires_at_s: int
    payees: tuple[Address, ...]
    redeemers: tuple[Address, ...]
    justification: str | None
    source: Mapping[str, Any]

    def attenuated(self) -> "PermissionRequest":
        """The request as it is granted: with a payee, if it may have one and names none."""
        if self.payees or not self.adjustable or isinstance(self.limit, Revocations):
            return self
        rule = {"type": "payee", "data": {"addresses": [checksum(self.delegate)]}}
        source = {**self.source, "rules": [*(self.source.get("rules") or []), rule]}
        return replace(self, payees=(self.delegate,), source=source)

    def terms(self, nonce: int) -> list[Terms]:
        """The conditions that say exactly this; `nonce` is the delegator's, by which it can take everything back."""
        found: list[Terms] = [self.limit]
        if not isinstance(self.limit, Revocations):
            found.append(ExactCalldata(b"") if self.limit.token is None else ValueAtMost(0))
            found += self._payee_terms(self.limit.token)
        found.append(Times(0, self.expires_at_s))
        if self.redeemers:
            found.append(Redeemers(self.redeemers))
        return [*found, Revocable(nonce)]

    def _payee_terms(self, token: Address | None) -> list[Terms]:
        if not self.payees:
            return []
        if token is None:
            return [Targets(self.payees)]
        require(len(self.payees) == 1, "permission-payees")
        return [CalldataSlice(_SELECTOR, word(self.payees[0]))]

    def delegation(self, wallet: Address, deployment: Deployment, *, nonce: int, salt: bytes) -> Delegation:
        """The delegation that answers the request; `salt` is 32 fresh random bytes."""
        require(self.account in (None, wallet), "permission-from")
        require(len(salt) == 32, "delegation-salt")
        caveats = tuple(map(deployment.caveat, self.terms(nonce)))
        return Delegation(self.delegate, wallet, ROOT_AUTHORITY, caveats, int.from_bytes(salt, "big"))


def permission_response(source: Mapping[str, Any], signed: SignedDelegation, manager: Manager) -> dict[str, Any]:
    """The answer to a request, once its delegation is signed. `source` is the request as it was granted."""
    return {
        **source,
        "from": checksum(signed.delegation.delegator),
        "context": "0x" + encode_context([signed]).hex(),
        "dependencies": [],
        "delegationManager": checksum(manager.address),
    }


def parse_permission_request(value: object, now_s: int) -> PermissionRequest:
    """One element of `wallet_requestExecutionPermissions`. What has a default is filled in, also in `source`."""
    found = members(
        value, required=("chainId", "to", "permission"), optional=("from", "rules"), code="permission-members"
    )
    permission = members(
        found["permission"], required=("type", "isAdjustmentAllowed", "data"), code="permission-members"
    )
    adjustable = permission["isAdjustmentAllowed"]
    if not isinstance(adjustable, bool):
        raise DelegationError("permission-adjustment")
    kind = permission["type"]
    if not isinstance(kind, str) or kind not in PERMISSIONS:
        raise DelegationError("permission-type")
    limit, data = PERMISSIONS[kind](permission["data"], now_s)
    rules = _parse_rules(found.get("rules"))
    if isinstance(limit, Revocations):  # it pays nobody, and its published form has no other rule
        require(not rules.payees and not rules.redeemers, "permission-rule")
    chain_id = quantity(found["chainId"], "permission-chain-id", most=MAX_CHAIN_ID)
    require(chain_id > 0 and isinstance(found["chainId"], str), "permission-chain-id")
    account = found.get("from")
    return PermissionRequest(
        chain_id=chain_id,
        account=None if account is None else parse_address(account, "permission-from"),
        delegate=parse_address(found["to"], "permission-to"),
        adjustable=adjustable,
        limit=limit,
        expires_at_s=rules.expires_at_s,
        payees=rules.payees,
        redeemers=rules.redeemers,
        justification=data.get("justification"),
        source={**found, "permission": {**permission, "data": data}},
    )


@dataclass(slots=True)
class _Rules:
    expires_at_s: int = 0
    payees: tuple[Address, ...] = ()
    redeemers: tuple[Address, ...] = ()


def _parse_rules(value: object) -> _Rules:
    """Each rule once. A permission without an end is refused when it is read: no answer to it could be signed."""
    rules, seen = _Rules(), set()
    for rule in items([] if value is None else value, most=MAX_RULES, code="permission-rules"):
        found = members(rule, required=("type", "data"), code="permission-rules")
        require(found["type"] in RULES and found["type"] not in seen, "permission-rule")
        seen.add(found["type"])
        match found["type"]:
            case "expiry":
                data = members(found["data"], required=("timestamp",), code="permission-rules")
                rules.expires_at_s = parse_time(data["timestamp"], "permission-expiry")
            case "payee":
                rules.payees = _addresses(found["data"], "permission-payees")
            case _:
                rules.redeemers = _addresses(found["data"], "permission-redeemers")
    require(rules.expires_at_s > 0, "permission-expiry")
    return rules


def _addresses(value: object, code: str) -> tuple[Address, ...]:
    listed = items(
        members(value, required=("addresses",), code="permission-rules")["addresses"], most=MAX_ADDRESSES, code=code
    )
    found = tuple(parse_address(item, code) for item in listed)
    require(0 < len(found) == len(set(found)), code)
    return found


def supported_permissions(chains: Mapping[int, Deployment]) -> dict[str, Any]:
    """The answer to `wallet_getSupportedExecutionPermissions`: each kind with the chains that can check it."""
    found = {}
    for kind in PERMISSIONS:
        able = [chain for chain in sorted(chains) if enforcers_of(kind) <= chains[chain].enforcers.keys()]
        if able:
            found[kind] = {"chainIds": [hex(chain) for chain in able], "ruleTypes": list(_rules_of(kind))}
    return found


def _rules_of(kind: str) -> tuple[str, ...]:
    """A permission that pays nobody has an end, and nothing else to say."""
    return ("expiry",) if kind == REVOCATION else RULES
