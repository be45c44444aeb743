"""What is signed as something else and counts for a wallet: messages, documents and transactions in disguise.

A key that is a signer of a wallet speaks for it by bare signatures. Three of them look like others:

- the personal message of 32 bytes: wallets take it for their operation hash (`eth_sign`);
- a typed document of the wallets' own domain, whose digest *is* an operation hash, or a recovery's;
- any bytes that are a packed attestation: it is signed without any domain, and a transaction can be made to be one.

And the other way round: an attestation, whose key and data others choose, can be made to be a transaction.
"""

from typing import Final

from evm import rlp
from evm.errors import EvmError
from evm.message import PersonalMessage
from evm.transaction import Transaction
from evm.typed_data import TypedData
from evm.wallet.attestation import Attestation, parse_attestation
from evm.wallet.erc1271 import personal_preimage
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import RECOVERY_DOMAIN, WALLET_DOMAIN
from evm.wallet.values import HASH_BYTES

_CODE: Final = "wallet-disguise"
_LAST_TYPE: Final = 0x7F  # of a typed transaction (EIP-2718)
_RLP_DEPTH: Final = 16  # deeper than any transaction
_DOMAINS: Final = (WALLET_DOMAIN.name, RECOVERY_DOMAIN.name)


def validate_undisguised(what: PersonalMessage | TypedData | Transaction) -> None:
    """`WalletError` if a key's signature of `what` could count as its word for a wallet."""
    match what:
        case PersonalMessage(data=data):
            require(len(data) != HASH_BYTES, f"{_CODE}-message")
            _require_no_attestation(personal_preimage(data))
        case TypedData(domain=domain):
            require(domain.get("name") not in _DOMAINS, f"{_CODE}-document")
        case Transaction():
            _require_no_attestation(what.unsigned)


def validate_plain_attestation(attestation: Attestation) -> None:
    """`WalletError` if the bytes that are signed are a list of RLP, alone or behind the type of a transaction."""
    encoded = attestation.encoded
    typed = encoded[0] <= _LAST_TYPE
    try:
        found = rlp.decode(encoded[typed:], max_depth=_RLP_DEPTH)
    except EvmError:
        return
    require(not isinstance(found, list), f"{_CODE}-transaction")


def _require_no_attestation(preimage: bytes) -> None:
    try:
        parse_attestation(preimage)
    except EvmError:
        return
    raise WalletError(f"{_CODE}-attestation")
