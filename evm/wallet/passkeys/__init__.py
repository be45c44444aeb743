"""Passkeys as signers of a wallet: the contract's `Passkeys.sol` and `WebAuthn.sol`.

`public_key` is what the wallet's sapient leaf commits to, `signature` the assertion in its packed form, `verifying`
what the contract checks of it.
"""
