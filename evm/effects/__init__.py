"""What a signature does: from transactions, payloads, messages and typed data to a bounded tree of effects.

`model` says what effects there are, `reading` makes them. The tables of functions and documents fill when this loads.
"""

from evm.effects import (
    account_changes,
    acting_documents,
    creations,
    delegations,
    deposits,
    documents,
    exchanges,
    executors,
    nesting,
    orders,
    permits,
    sequence,
    tokens,
    universal_router,
    user_operations,
)
from evm.effects.model import MAX_DEPTH, MAX_EFFECTS, Asset, Effect, Kind, Reason, Token, Tokens, all_effects
from evm.effects.reading import (
    NO_TOKENS,
    effects_of_attestation,
    effects_of_authorization,
    effects_of_bundle,
    effects_of_message,
    effects_of_payload,
    effects_of_session,
    effects_of_transaction,
    effects_of_typed_data,
    effects_of_user_operation,
)

TABLES = (
    account_changes,
    acting_documents,
    creations,
    delegations,
    deposits,
    documents,
    exchanges,
    executors,
    nesting,
    orders,
    permits,
    sequence,
    tokens,
    universal_router,
    user_operations,
)

__all__ = [
    "MAX_DEPTH",
    "MAX_EFFECTS",
    "NO_TOKENS",
    "TABLES",
    "Asset",
    "Effect",
    "Kind",
    "Reason",
    "Token",
    "Tokens",
    "all_effects",
    "effects_of_attestation",
    "effects_of_authorization",
    "effects_of_bundle",
    "effects_of_message",
    "effects_of_payload",
    "effects_of_session",
    "effects_of_transaction",
    "effects_of_typed_data",
    "effects_of_user_operation",
]
