"""Intents of embedded wallets: what a session key signed, and the one bundle, message or document that it means.

Trust side: none; pure values like the rest of `evm`. The wire is that of the published embedded-wallet clients; the
rules are stricter where the original leaves the meaning open.
"""
