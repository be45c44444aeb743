"""Transactions from JSON or serialized bytes to a judged, hashed and signed value.

`parsing` reads the two input forms, `model` holds what a transaction is: its rules, its encoding and its words.
"""

from evm.transaction.model import AccessEntry, Transaction, TransactionType, contract_address, transaction_hash
from evm.transaction.parsing import parse_transaction

__all__ = ["AccessEntry", "Transaction", "TransactionType", "contract_address", "parse_transaction", "transaction_hash"]
