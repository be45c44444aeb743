"""Pure formats of the EVM: what is to be signed is parsed here, explained in words, and hashed.

Trust side: none; it runs in the enclave and in the verifier alike. No keys, no I/O, no state: values in, values out.
Every input is hostile and bounded by `protocol.limits`; what cannot be understood in full is an `EvmError`.

The object that a caller judges is the object that is hashed and encoded (SE-16): each `parse_` function returns a
frozen value that carries its own `digest`, and nothing is parsed twice.
"""
