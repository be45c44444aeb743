"""Brings signed operations of wallets onto a chain: through a node, with an account that pays gas, or a relayer's API.

Trust side: host. What is relayed is signed already and good once: a relay can drop or delay it, never change it. It
holds no key; the gas account's key is with a signer that is asked over JSON-RPC.
"""
