"""What accounts have delegated, and what may still be: proposals, offers, grants, and what they can cost together.

Trust side: enclave. The formats and their rules are `evm.delegations`'s; `enclave.wallets` signs.
"""
