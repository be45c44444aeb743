"""Smart sessions of Sequence v3 wallets: keys that act within rules, or for an attested application.

The contracts' `extensions/sessions`, at the addresses of Rc4 and Rc5. The session tree is one more leaf of the wallet's
configuration; its image hash is what `SessionManager` answers for a valid session signature.
"""
