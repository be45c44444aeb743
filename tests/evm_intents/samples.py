"""Session keys, wallets and intents for the tests of this package."""

import hashlib
import json
from typing import Any

import coincurve
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from evm.address import Address, address_from_public_key, checksum
from evm.errors import EvmError
from evm.intents.canonical import intent_hashes
from evm.intents.envelope import Intent, VerifiedIntent, parse_intent, verify_intent
from evm.message import PersonalMessage
from protocol import canonical_json

NOW_S = 1_800_000_000
WALLET = Address(bytes.fromhex("7b7d7ba79542584f9aef539f6696c070a4e1ced6"))
TOKEN = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
FRIEND = "0x1111111111111111111111111111111111111111"


def p256(digest: bytes, r: int, s: int, x: bytes, y: bytes) -> bool:
    """The verifier that callers hand in, of the library that they have."""
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
        point.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except (ValueError, InvalidSignature):
        return False
    return True


class K1Key:
    """A browser's key without WebCrypto."""

    def __init__(self, secret: bytes = b"\x11" * 32, *, typed: bool = False) -> None:
        self._key = coincurve.PrivateKey(secret)
        self.address = address_from_public_key(self._key.public_key.format(compressed=False))
        self.id = "0x00" + self.address.hex() if typed else checksum(self.address)

    def sign(self, intent_hash: bytes) -> str:
        signed = self._key.sign_recoverable(PersonalMessage(intent_hash, None).digest, hasher=None)
        return "0x" + (signed[:64] + bytes([27 + signed[64]])).hex()


class R1Key:
    """A browser's WebCrypto key."""

    def __init__(self, secret: int = 7) -> None:
        self._key = ec.derive_private_key(secret, ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        self.id = "0x0104" + numbers.x.to_bytes(32, "big").hex() + numbers.y.to_bytes(32, "big").hex()

    def sign(self, intent_hash: bytes) -> str:
        digest = hashlib.sha256(intent_hash).digest()
        r, s = decode_dss_signature(self._key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        return "0x" + r.to_bytes(32, "big").hex() + s.to_bytes(32, "big").hex()


Key = K1Key | R1Key


def unsigned(name: str, data: Any, **others: Any) -> dict[str, Any]:
    return {"version": "1", "name": name, "issuedAt": NOW_S, "expiresAt": NOW_S + 300, "data": data, **others}


def signed(value: dict[str, Any], key: Key | None = None, *, form: int = 0) -> dict[str, Any]:
    """The envelope with the key's signature over its canonical form (1: that of Go)."""
    key = key or K1Key()
    return {**value, "signatures": [{"sessionId": key.id, "signature": key.sign(intent_hashes(value)[form])}]}


def received(value: Any) -> Any:
    """As the service reads it from the wire."""
    return canonical_json.parse(json.dumps(value).encode())


def parsed(value: Any) -> Intent:
    return parse_intent(received(value))


def verified(value: Any, now_s: int = NOW_S) -> VerifiedIntent:
    return verify_intent(parsed(value), now_s, p256)


def refusal(value: Any, now_s: int = NOW_S) -> str:
    """The code with which an intent is refused."""
    try:
        verified(value, now_s)
    except EvmError as error:
        return error.code
    return "accepted"


TYPED_DATA: dict[str, Any] = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
        "Mail": [{"name": "to", "type": "address"}, {"name": "text", "type": "string"}],
    },
    "primaryType": "Mail",
    "domain": {"name": "Post", "chainId": 137},
    "message": {"to": FRIEND, "text": "hello"},
}

TRANSACTIONS: dict[str, dict[str, Any]] = {
    "transaction": {"type": "transaction", "to": FRIEND, "value": "0x05", "data": "0x"},
    "transaction with data": {"type": "transaction", "to": TOKEN, "data": "0x3251ba32"},
    "erc20send": {"type": "erc20send", "tokenAddress": TOKEN, "to": FRIEND, "value": "100"},
    "erc721send": {"type": "erc721send", "tokenAddress": TOKEN, "to": FRIEND, "id": "7"},
    "erc721send safe": {
        "type": "erc721send", "tokenAddress": TOKEN, "to": FRIEND, "id": "7", "safe": True, "data": "0x1234",
    },
    "erc1155send": {
        "type": "erc1155send", "tokenAddress": TOKEN, "to": FRIEND,
        "vals": [{"id": "1", "amount": "10"}, {"id": "2", "amount": "20"}], "data": "0x",
    },
    "contractCall": {
        "type": "contractCall", "to": TOKEN, "value": "3",
        "data": {"abi": "transfer(address to, uint256 amount)", "args": [FRIEND, "100"]},
    },
    "delayedEncode": {
        "type": "delayedEncode", "to": TOKEN, "value": "0",
        "data": {"abi": "transfer(address to, uint256 amount)", "func": "transfer",
                 "args": {"amount": "100", "to": FRIEND}},
    },
}  # fmt: skip


def sending(*transactions: dict[str, Any], network: str = "137", identifier: str = "test") -> dict[str, Any]:
    return {
        "network": network,
        "wallet": checksum(WALLET),
        "identifier": identifier,
        "transactions": list(transactions),
    }


SESSION = K1Key().id
DATA: dict[str, dict[str, Any]] = {
    "initiateAuth": {"sessionId": SESSION, "identityType": "Email", "verifier": f"a@example.com;{SESSION}"},
    "openSession": {
        "sessionId": SESSION, "identityType": "Guest", "verifier": SESSION, "answer": "0x12",
        "forceCreateAccount": False,
    },
    "closeSession": {"sessionId": SESSION},
    "listSessions": {"wallet": checksum(WALLET)},
    "getSession": {"sessionId": SESSION, "wallet": checksum(WALLET)},
    "validateSession": {"sessionId": SESSION, "wallet": checksum(WALLET), "deviceMetadata": "a browser"},
    "finishValidateSession": {"sessionId": SESSION, "wallet": checksum(WALLET), "salt": "0x12", "challenge": "123456"},
    "sessionAuthProof": {"network": "137", "wallet": checksum(WALLET), "nonce": "n"},
    "signMessage": {"network": "137", "wallet": checksum(WALLET), "message": "0x68656c6c6f"},
    "signTypedData": {"network": "137", "wallet": checksum(WALLET), "typedData": TYPED_DATA},
    "feeOptions": sending(TRANSACTIONS["erc20send"]),
    "sendTransaction": sending(*TRANSACTIONS.values()),
    "getTransactionReceipt": {"network": "137", "wallet": checksum(WALLET), "metaTxHash": "ab" * 32},
    "federateAccount": {
        "sessionId": SESSION, "wallet": checksum(WALLET), "identityType": "OIDC", "verifier": "0x12;1", "answer": "jwt",
    },
    "listAccounts": {"wallet": checksum(WALLET)},
    "removeAccount": {"wallet": checksum(WALLET), "accountId": "Email:a@example.com"},
    "getIdToken": {"sessionId": SESSION, "wallet": checksum(WALLET), "nonce": "n"},
    "adoptChildWallet": {
        "network": "137", "wallet": checksum(WALLET), "adopter": FRIEND,
        "adopterProof": {"message": "0x12", "signature": "0x34"},
    },
    "getAdopter": {"wallet": checksum(WALLET)},
    "confirmIntent": {"wallet": checksum(WALLET), "confirmationID": "1", "challengeAnswer": "0x12"},
    "getConfirmationStatus": {"wallet": checksum(WALLET), "confirmationID": "1"},
}  # fmt: skip
"""One valid object for each intent that there is."""
