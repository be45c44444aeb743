"""Legacy: wallets of Sequence's first and second generation, only to serve those that exist.

New wallets are of the third generation, everywhere else in `evm.wallet`. Digests of the older ones have no EIP-712
types: what a digest means cannot be told from the digest, so a signer has to compute it from what was asked for.
"""
