"""Delegations: signed permissions to spend while the user is away (ERC-7710, asked for by ERC-7715), and EIP-7702.

Trust side: none; pure values like the rest of `evm`. What is signed is built here from what was asked; a digest from
outside is never signed.
"""
