"""Sequence v3 wallets: configurations, payloads and signatures, exactly as the deployed contracts read them.

Trust side: none; pure values like the rest of `evm`. A wallet's whole state is one image hash, the root of a tree of
signers. Where a client library and the contracts differ, the contracts decide.
"""
