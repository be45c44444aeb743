"""Signatures of wallets: one configuration's, chains of them, and what a wallet's contract recovers from the bytes.

`model` names the parts, `encoding` writes them, `parsing` reads them, `recovering` computes what the contract computes,
`verifying` decides, `merging` joins what several signers gave. Contracts that a signature calls are in `contracts`.
"""
