"""Attested calls to AWS KMS: port `Kms` over the enclave's own TLS, or over the AWS C library in child processes.

Trust side: enclave. `client` is the default, `recipient` and `cms` open what comes back, `sdk_c` is the other way.
"""
