"""Attestation: documents, trust roots, policies, and what an enclave signs with its identity key. The verifying side.

Trust side: everywhere (client, host, enclave, auditor). Holds no secret and trusts nobody it has not verified.
May import: protocol, cbor2, cryptography. Start reading at `verify.py`; `policy.py` decides what is acceptable.
"""
