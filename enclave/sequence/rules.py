"""What a plan must keep to, however it came about: signable, recoverable, nobody in two roles.

The contracts would take all of it. Most of these rules keep a wallet from becoming nobody's or anybody's (ADR 41).
"""

from typing import Final

from enclave.sequence.plan import WalletPlan
from evm.address import ZERO_ADDRESS
from evm.wallet.configuration import MAX_CHECKPOINT, reachable_weight, validate_safety
from evm.wallet.errors import WalletError, require
from evm.wallet.recovery.tree import Node as HiddenRecovery
from evm.wallet.sessions.configuration import (
    IdentitySigner,
    Node,
    identity_signers,
    leaves,
    validate_configuration,
)
from evm.wallet.sessions.tree_encoding import encode_tree
from evm.wallet.topology import Branch
from protocol import limits

_CODE: Final = "wallet-plan"


def validate_plan(plan: WalletPlan) -> None:
    """`WalletError` unless the plan keeps every rule; `reason` is the contract's where it would refuse, too."""
    people = [plan.identity, *plan.devices]
    guard = [] if plan.guard is None else [plan.guard.wallet, plan.guard.sessions, plan.guard.fallback]
    require(len(plan.devices) <= limits.MAX_WALLET_DEVICES, f"{_CODE}-devices")
    require(len(plan.passkeys) <= limits.MAX_WALLET_PASSKEYS, f"{_CODE}-passkeys")
    # One key in two places would count for two people; a signature that fits no key recovers to the zero address.
    require(len(set(people)) == len(people) and not set(people) & set(guard), f"{_CODE}-signer-twice")
    require(ZERO_ADDRESS not in (*people, *guard), f"{_CODE}-signer-zero")
    require(len({passkey.root for passkey in plan.passkeys}) == len(plan.passkeys), f"{_CODE}-signer-twice")
    _validate_signable(plan)
    _validate_recoverable(plan)
    _validate_sessions(plan)


def validate_update(old: WalletPlan, new: WalletPlan) -> None:
    """`WalletError` unless `new` may follow `old`: it is another one, newer, and of the same login and contracts."""
    require(new.checkpoint > old.checkpoint, f"{_CODE}-checkpoint", "WrongChainedCheckpointOrder")
    require(new.identity == old.identity and new.context == old.context, f"{_CODE}-identity")
    same = new.configuration.topology.hash == old.configuration.topology.hash
    require(not same, f"{_CODE}-unchanged")
    validate_plan(new)


def _validate_signable(plan: WalletPlan) -> None:
    """People and guard reach the threshold by themselves; modules do not count, though their weight would do."""
    require(plan.checkpoint <= MAX_CHECKPOINT, f"{_CODE}-checkpoint")
    configuration = plan.configuration
    validate_safety(configuration)
    if not isinstance(configuration.topology, Branch):
        raise WalletError(f"{_CODE}-threshold")
    reachable = reachable_weight(configuration.topology.left)
    require(reachable >= configuration.threshold, f"{_CODE}-threshold", "InvalidSignatureWeight")


def _validate_recoverable(plan: WalletPlan) -> None:
    keys = list(plan.recovery_keys)
    require(0 < len(keys) <= limits.MAX_WALLET_RECOVERY_KEYS, f"{_CODE}-unrecoverable")
    require(not isinstance(plan.recovery, HiddenRecovery), f"{_CODE}-unrecoverable")
    require(len({key.signer for key in keys}) == len(keys), f"{_CODE}-recovery-twice")
    require(all(key.required_delta_s >= limits.MIN_RECOVERY_DELAY_S for key in keys), f"{_CODE}-recovery-delay")


def _validate_sessions(plan: WalletPlan) -> None:
    validate_configuration(plan.sessions)
    require(not any(isinstance(leaf, Node) for leaf in leaves(plan.sessions)), f"{_CODE}-sessions-hidden")
    require(plan.identity in identity_signers(plan.sessions), f"{_CODE}-identity", "InvalidIdentitySigner")
    allowed = {plan.identity, *plan.devices}
    attesting = [leaf.address for leaf in leaves(plan.sessions) if isinstance(leaf, IdentitySigner)]
    require(set(attesting) <= allowed, f"{_CODE}-identity", "InvalidIdentitySigner")
    require(len(encode_tree(plan.sessions)) <= limits.MAX_WALLET_SESSIONS_BYTES, f"{_CODE}-sessions-bytes")
