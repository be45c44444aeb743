"""A wallet in JSON and in words: what it is, what a change makes of it, and what a session could move at worst."""

from collections.abc import Iterator
from typing import Any, Final

from enclave.sequence.plan import WalletPlan
from enclave.sequence.wallet_records import SmartWallet
from evm.address import Address, checksum
from evm.wallet.configuration_json import configuration_to_json, service_configuration_to_json
from evm.wallet.context import CONTEXTS
from evm.wallet.deploy import deploy_call
from evm.wallet.recovery.service_json import tree_to_service as recovery_to_service
from evm.wallet.recovery.tree_encoding import tree_to_json as recovery_to_json
from evm.wallet.recovery.words import leaf_words
from evm.wallet.recovery.words import tree_words as recovery_words
from evm.wallet.sessions.configuration import Leaf, leaves
from evm.wallet.sessions.permission import SessionPermissions
from evm.wallet.sessions.service_json import tree_to_service as sessions_to_service
from evm.wallet.sessions.session_json import tree_to_json as sessions_to_json
from evm.wallet.sessions.words import tree_words as session_tree_words
from evm.wallet.sessions.worst_case import worst_case
from evm.wallet.times import moment
from evm.wallet.values import to_hex
from evm.wallet.words import KNOWN_NAMES, Names, configuration_words, difference_words
from evm.words import printable

_ATTESTED: Final = "The key {key} was attested on {when} for {origin}"


def addresses(wallet: SmartWallet) -> dict[str, Any]:
    """Where the wallet is in every context, and the call that deploys it in its own."""
    deploy = deploy_call(wallet.plan.context, wallet.first)
    return {
        "address": checksum(wallet.address),
        "context": wallet.plan.context.name,
        "imageHash": to_hex(wallet.first),
        "contexts": {name: checksum(context.wallet_address(wallet.first)) for name, context in CONTEXTS.items()},
        "deploy": {"to": checksum(deploy.to), "data": to_hex(deploy.data)},
    }


def described(plan: WalletPlan) -> dict[str, Any]:
    """A configuration in the JSON of library and state service, its parts, and words."""
    configuration = plan.configuration
    return {
        "imageHash": to_hex(configuration.image_hash),
        "checkpoint": str(plan.checkpoint),
        "configuration": configuration_to_json(configuration),
        "sessions": sessions_to_json(plan.sessions),
        "recovery": recovery_to_json(plan.recovery),
        "service": {
            "configuration": service_configuration_to_json(configuration),
            "sessions": sessions_to_service(plan.sessions),
            "recovery": recovery_to_service(plan.recovery),
            "passkeys": [passkey.to_tree() for passkey in plan.passkeys],
        },
        "words": [
            *configuration_words(configuration, names(plan)),
            *session_tree_words(plan.sessions),
            *recovery_words(plan.recovery),
        ],
    }


def attested_words(wallet: SmartWallet) -> list[str]:
    """The implicit sessions that were attested of late."""
    return [
        _ATTESTED.format(key=checksum(one.signer), when=moment(one.issued_at), origin=printable(one.origin))
        for one in wallet.attested
    ]


def change_words(old: WalletPlan, new: WalletPlan) -> list[str]:
    """What `new` changes: signers and weights, sessions, recovery keys. The trees' own hashes change with them."""
    known = {**names(old), **names(new)}
    return [
        *_listed(difference_words(old.configuration, new.configuration, known), "Signers"),
        *_sentences("No longer", _gone(old, new)),
        *_sentences("From now on", _gone(new, old)),
        *_listed([f"No longer: {leaf_words(leaf)}" for leaf in _recovery_gone(old, new)], "Recovery"),
        *_listed([f"From now on: {leaf_words(leaf)}" for leaf in _recovery_gone(new, old)], "Recovery"),
    ]


def worst_case_json(session: SessionPermissions) -> dict[str, Any]:
    """What a session can move in all, by asset, in base units as decimal text; null where nothing bounds it."""
    bound = worst_case(session)
    return {
        "native": str(bound.native_wei),
        "tokens": [
            {"token": checksum(token), "most": None if most is None else str(most)}
            for token, most in bound.tokens.items()
        ],
        "onEachChain": session.chain_id == 0,
    }


def names(plan: WalletPlan) -> Names:
    """What the addresses of a wallet are called."""
    found: dict[Address, str] = {**KNOWN_NAMES, plan.identity: "your login", **dict.fromkeys(plan.devices, "a device")}
    if plan.guard is not None:
        found |= {
            plan.guard.fallback: "guard, second key",
            plan.guard.sessions: "guard of sessions",
            plan.guard.wallet: "guard",
        }
    return found


def _gone(before: WalletPlan, after: WalletPlan) -> Iterator[Leaf]:
    kept = set(leaves(after.sessions))
    return (leaf for leaf in leaves(before.sessions) if leaf not in kept)


def _recovery_gone(before: WalletPlan, after: WalletPlan) -> list[Any]:
    kept = set(after.recovery_keys)
    return [leaf for leaf in before.recovery_keys if leaf not in kept]


def _sentences(when: str, found: Iterator[Leaf]) -> list[str]:
    return [f"{when}: {sentence}" for leaf in found for sentence in session_tree_words(leaf)]


def _listed(lines: list[str], head: str) -> list[str]:
    return [f"{head}: {line}" for line in lines]
