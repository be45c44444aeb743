"""How the enclave talks to the outside: a listed destination behind the parent, TLS that ends here, one exchange.

Trust side: enclave. The parent resolves names and moves bytes; it can block, and nothing else (OI-09, CH-06, VS-06).
"""
