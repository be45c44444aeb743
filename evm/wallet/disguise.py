"""What is signed as something else and counts for a wallet: messages, documents and transactions in disguise.

A key that is a signer of a wallet speaks for it by bare signatures. Three of them look like others:

- the personal message of 32 bytes: wallets take it for their operation hash (`eth_sign`);
- a typed document of the wallets' own domain, whose digest *is* an operation hash, or a recovery's;
- any bytes that are a packed attestation: it is signed without any domain, and a transaction can be made to be one.
"""

from typing import Final

from evm.errors import EvmError
from evm.message import PersonalMessage
from evm.transaction import Transaction
from evm.typed_data import TypedData
from evm.wallet.attestation import parse_attestation
from evm.wallet.erc1271 import personal_preimage
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import RECOVERY_DOMAIN, WALLET_DOMAIN
from evm.wallet.values import HASH_BYTES

_CODE: Final = "wallet-disguise"
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


def _require_no_attestation(preimage: bytes) -> None:
    try:
        parse_attestation(preimage)
    except EvmError:
        return
    raise WalletError(f"{_CODE}-attestation")
