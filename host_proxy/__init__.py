"""Runs outside, on the parent instance: HTTP in, egress, the store, credentials, launch and health.

Trust side: host, which the enclave and its users do not trust. Holds no secret and cannot import the enclave (VS-07).
Start reading at `app`, then `http`, `enclave_link`, `services`, `egress`.
"""
