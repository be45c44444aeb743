"""Runs inside the measured image: the only place where secrets exist.

Trust side: enclave. May import: protocol, attestation, evm. The host, its clock, its store and its answers are hostile.
Start reading at `app.py` (what is built from the ports), then `boot.py` and `dispatch.py`.
"""
