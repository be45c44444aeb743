"""Recovery of Sequence v3 wallets: keys that may act alone, but only a set time after they have said in public what.

The contract's `extensions/recovery/Recovery.sol` of Rc5. The recovery tree is one more leaf of the wallet's
configuration, of a weight that suffices alone.
"""
