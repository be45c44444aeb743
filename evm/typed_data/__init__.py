"""EIP-712 typed data from JSON to a judged and hashed value.

`types` reads the declared types, `values` the atomic values, `document` the whole and what it means.
"""

from evm.typed_data.document import TypedData, parse_typed_data

__all__ = ["TypedData", "parse_typed_data"]
