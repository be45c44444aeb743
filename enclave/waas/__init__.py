"""Embedded wallets: users log in with a session key of their device, and intents that it signed move their wallet.

The wire is that of the published embedded-wallet clients; `evm.intents` has its format, here is what needs state.
"""
