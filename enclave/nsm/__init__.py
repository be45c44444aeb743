"""The Nitro Security Module: `device` reaches it, `messages` speaks its language, `client` is what the enclave uses.

Trust side: enclave. The module and the kernel are trusted; their answers are still parsed strictly.
"""
