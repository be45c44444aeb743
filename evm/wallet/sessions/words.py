"""Sessions in words: what an application may spend, where, and until when."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from evm.address import checksum
from evm.fields import UINT256_MAX
from evm.wallet.attestation import Attestation
from evm.wallet.sessions.configuration import Blacklist, IdentitySigner, Node, Tree, leaves
from evm.wallet.sessions.permission import ParameterOperation, ParameterRule, Permission, SessionPermissions
from evm.wallet.sessions.worst_case import SELECTOR_MASK, Movement, WorstCase, selector_of, worst_case
from evm.wallet.times import moment
from evm.words import coins, printable, token_amount

_OPERATIONS: Final = {
    ParameterOperation.EQUAL: "exactly",
    ParameterOperation.NOT_EQUAL: "anything but",
    ParameterOperation.GREATER_THAN_OR_EQUAL: "at least",
    ParameterOperation.LESS_THAN_OR_EQUAL: "at most",
}
_NOTHING: Final[Mapping[bytes, int]] = MappingProxyType({})


def session_words(session: SessionPermissions, usage: Mapping[bytes, int] = _NOTHING) -> list[str]:
    """An explicit session, sentence by sentence; amounts are what is left after `usage` (see `worst_case`)."""
    bound = worst_case(session, usage)
    key = checksum(session.signer)
    where = f"on chain {session.chain_id}" if session.chain_id else "on every chain, with every limit anew on each"
    until = f"until {moment(session.deadline)}" if session.deadline else "without an end"
    sentences = [f"The key {key} may act for this wallet {where}, {until}"]
    if not session.permissions:
        return [*sentences, "It may call no contract"]
    most = f"at most {coins(bound.native_wei)} in all" if bound.native_wei else "no coins"
    sentences.append(f"It may send {most}")
    distinct = dict.fromkeys(session.permissions)
    sentences += [_permission_words(*each) for each in zip(distinct, bound.movements, strict=True)]
    return sentences + _totals_words(bound)


def attestation_words(attestation: Attestation) -> list[str]:
    """An implicit session: no limits of its own, the called contracts decide."""
    key, data = checksum(attestation.approved_signer), attestation.auth_data
    where = f"wherever a contract takes requests of the application at {printable(data.redirect_url)}"
    return [
        f"The key {key} may act for this wallet {where}, on every chain and without an end, but send no coins",
        f"It was attested after a login on {moment(data.issued_at)}",
    ]


def tree_words(tree: Tree) -> list[str]:
    """Every session that a tree shows, and what it hides."""
    sentences, hidden = [], 0
    for leaf in leaves(tree):
        match leaf:
            case SessionPermissions():
                sentences += session_words(leaf)
            case IdentitySigner():
                sentences.append(f"The key {checksum(leaf.address)} may attest keys of implicit sessions")
            case Blacklist():
                listed = ", ".join(map(checksum, leaf.addresses))
                sentences.append(f"Implicit sessions may neither be nor call: {listed or 'nobody is listed'}")
            case Node():
                hidden += 1
    return sentences + [f"Parts that are not shown: {hidden}"] * bool(hidden)


def rule_words(rule: ParameterRule) -> str:
    """One rule: `at most 1000 over all calls in bytes 36 to 67`, `the function 0xa9059cbb`."""
    fixed = selector_of(rule)
    if fixed is not None and rule.mask == SELECTOR_MASK:
        return f"the function 0x{fixed.hex()}"
    value = f"0x{rule.value:064x}" if rule.value >> 64 else str(rule.value)
    mask = "" if rule.mask == UINT256_MAX else f" under the mask 0x{rule.mask:064x}"
    over_all = " over all calls" if rule.cumulative else ""
    return f"{_OPERATIONS[rule.operation]} {value}{over_all} in bytes {rule.offset} to {rule.offset + 31}{mask}"


def _permission_words(permission: Permission, movement: Movement) -> str:
    target, function = checksum(permission.target), movement.function
    if function is None:
        free = "move or release all that the contract keeps for this wallet or may take from it"
        if not permission.rules:
            return f"It may call {target} in any way, and so {free}"
        rules = "; ".join(map(rule_words, permission.rules))
        return f"It may call {target} with call data that has {rules}; nothing tells that this cannot {free}"
    receiver = "anybody" if movement.receiver is None else checksum(movement.receiver)
    limits = [
        f"at most {token_amount(most)} {span}"
        for most, span in ((movement.per_call, "in a call"), (movement.total, "in all"))
        if most is not None and (span == "in all" or most != movement.total)
    ]
    ids = " (an ERC-721 token takes the number for the id of an item)" if function.number_may_be_id else ""
    amount = ", ".join(limits) if movement.total is not None else ", ".join([*limits, "without a limit in all"])
    return f"By {function.name} it may give {receiver} of token {target}: {amount}{ids}"


def _totals_words(bound: WorstCase) -> list[str]:
    """The sums for tokens of which several permissions speak."""
    shared = Counter(movement.target for movement in bound.movements)
    return [
        f"Of token {checksum(token)} that makes at most {token_amount(total)} in all"
        for token, total in bound.tokens.items()
        if total is not None and shared[token] > 1
    ]
