"""Stand-ins for what a laptop has not got: the security module, AWS KMS, identity providers, mail, and a hostile host.

Trust side: none of it. Nothing imports this package but tests and its own command line; it is in no image and on no
production path (SM-01). Where a library is real it is used, where it would lie the stand-in is our own; each keeps the
limits, error names and wire shapes of what it stands for, and the enclave runs the same code against both (SM-02).

Start reading at `README.md`. Only `guest.py` and what it imports run inside the simulated enclave.
"""
