"""What a scope may grant. A right that is not named in the measured configuration is not granted (SE-06)."""

from typing import Literal

Right = Literal[
    "sign_message",
    "sign_typed_data",
    "sign_transaction",
    "sign_digest",
    "sign_payload",
    "update_wallet",
    "attest_session",
    "recover_wallet",
    "sign_legacy_wallet",
    "grant_delegation",
    "take_on_code",
]
"""`sign_digest`: 32 bytes, or a preimage, of which nobody can tell what they mean. The next five are about wallets:
calls and messages; the next configuration; implicit sessions; queued recoveries; wallets of the second generation. The
last two are about the account of the login's key: who may spend for it (ERC-7710), and whose code it runs (EIP-7702).
"""
