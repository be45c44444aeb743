"""Sequence v3 wallets whose login signer is the key that the enclave keeps for an identity.

Trust side: enclave. Pure values and rules, but for `wallet_records`; the formats are `evm.wallet`'s. Nothing here
signs: what is to be signed, and why it may be, is worked out here, and `enclave.wallets` signs it.
"""
