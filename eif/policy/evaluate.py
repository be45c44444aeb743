"""Who may do what under a key policy: explicit deny first, default deny, and doubt on the dangerous side.

Identity policies, grants and organisation policies are not known here. So what a policy leaves to identity policies (an
account named as principal) counts as allowed, and a condition that is not evaluated counts as met by an Allow and as
unmet by a Deny. The answer is then "may be allowed"; "no" is certain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from eif.policy.conditions import Values
from eif.policy.document import PolicyDocument, Statement
from eif.policy.vocabulary import ATTESTATION_PREFIX, CONTEXT_KEYS, CONTEXT_PREFIX, IMAGE_DIGEST


@dataclass(frozen=True, slots=True)
class Situation:
    """What the conditions of a call see: registers of the attestation document (None: none), encryption context, time.

    Registers are lower-case hex. `time` is ISO 8601 with a zone; without one, dates count as unknown.
    """

    registers: Mapping[int, str] | None
    context: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None

    def values(self, principal: str) -> Values:
        """The condition keys that are present."""
        account = principal.split(":")[4] if principal.count(":") >= 5 else ""
        found: dict[str, tuple[str, ...]] = {
            "aws:principalarn": (principal,),
            "aws:principalaccount": (account,),
            "kms:calleraccount": (account,),
        }
        found |= {CONTEXT_PREFIX + name.lower(): (value,) for name, value in self.context.items()}
        if self.context:
            found[CONTEXT_KEYS.lower()] = tuple(self.context)
        for index, value in (self.registers or {}).items():
            found[f"{ATTESTATION_PREFIX}pcr{index}"] = (value,)
            if index == 0:
                found[IMAGE_DIGEST] = (value,)
        if self.time is not None:
            found["aws:currenttime"] = (self.time,)
        return found


def is_denied(policy: PolicyDocument, principal: str, action: str, situation: Situation) -> bool:
    """Whether a Deny certainly matches."""
    values = situation.values(principal)
    matching = (s for s in policy.denies if s.names(principal) and s.covers(action))
    return any(_conditions(statement, values) is True for statement in matching)


def may_be_allowed(policy: PolicyDocument, principal: str, action: str, situation: Situation) -> bool:
    """Whether the call is allowed, or cannot be shown to be refused."""
    values = situation.values(principal)
    matching = (s for s in policy.allows if s.names(principal) and s.covers(action))
    if all(_conditions(statement, values) is False for statement in matching):
        return False
    return not is_denied(policy, principal, action, situation)


def _conditions(statement: Statement, values: Values) -> bool | None:
    verdicts = [condition.holds(values) for condition in statement.conditions]
    if False in verdicts:
        return False
    return None if None in verdicts else True
