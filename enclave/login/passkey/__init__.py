"""Passkeys: what an authenticator signs, judged in the enclave (Web Authentication Level 3, sections 6 and 7)."""
