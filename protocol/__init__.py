"""What crosses a boundary: frames, messages, error codes, canonical JSON and CBOR, limits.

Trust side: both. Holds no secrets and performs no I/O; everything here is a pure function of bytes.
May import: standard library, cbor2, and the JSON canonicaliser.
"""
