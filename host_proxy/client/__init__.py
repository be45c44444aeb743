"""The user's side: a device key, signed requests, and answers that count only with their attestation.

Trust side: client. It trusts the enclave after verifying its documents, and the host for nothing.
"""
