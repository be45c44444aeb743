"""What each operation does once it has been allowed. Secrets leave through `faults.disclose` only."""

import os
from typing import Any, Final, assert_never

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from simulator.kms import requests
from simulator.kms.errors import validation_error
from simulator.kms.faults import Outcome
from simulator.kms.keys import ALGORITHM, Key

KeyedCall = (
    requests.Decrypt | requests.GenerateDataKey | requests.GenerateDataKeyPair | requests.Encrypt | requests.DescribeKey
    | requests.GetKeyPolicy
)  # fmt: skip

_CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
_KEY_SPEC_BYTES: Final = {"AES_256": 32, "AES_128": 16}


def perform(call: KeyedCall, key: Key) -> Outcome:
    """The outcome of `call` under `key`; `AwsError` when the call makes no sense or the ciphertext does not open."""
    match call:
        case requests.Decrypt():
            plaintext = key.decrypt(call.ciphertext_blob, call.encryption_context)
            return Outcome(_naming(key) | {"EncryptionAlgorithm": ALGORITHM}, "Plaintext", plaintext)
        case requests.GenerateDataKey():
            secret = os.urandom(_data_key_bytes(call))
            blob = key.encrypt(secret, call.encryption_context)
            return Outcome(_naming(key) | {"CiphertextBlob": blob}, "Plaintext", secret)
        case requests.GenerateDataKeyPair():
            return _generate_data_key_pair(call, key)
        case requests.Encrypt():
            blob = key.encrypt(call.plaintext, call.encryption_context)
            return Outcome({"CiphertextBlob": blob, "KeyId": str(key.arn), "EncryptionAlgorithm": ALGORITHM})
        case requests.DescribeKey():
            return Outcome({"KeyMetadata": key_metadata(key)})
        case requests.GetKeyPolicy():
            return Outcome({"Policy": key.policy_text, "PolicyName": "default"})
        case _:
            assert_never(call)


def generate_random(call: requests.GenerateRandom) -> Outcome:
    """Random bytes; no key takes part."""
    return Outcome({}, "Plaintext", os.urandom(call.number_of_bytes))


def key_metadata(key: Key) -> dict[str, Any]:
    """The `KeyMetadata` member of DescribeKey and CreateKey."""
    return {
        "AWSAccountId": key.arn.account,
        "KeyId": key.arn.key_id,
        "Arn": str(key.arn),
        "CreationDate": key.created_ms / 1000,
        "Enabled": True,
        "Description": "",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "KeySpec": ALGORITHM,
        "CustomerMasterKeySpec": ALGORITHM,
        "EncryptionAlgorithms": [ALGORITHM],
        "MultiRegion": False,
        "CurrentKeyMaterialId": key.material_id,
    }


def _naming(key: Key) -> dict[str, Any]:
    return {"KeyId": str(key.arn), "KeyMaterialId": key.material_id}


def _data_key_bytes(call: requests.GenerateDataKey) -> int:
    if (call.key_spec is None) == (call.number_of_bytes is None):
        raise validation_error("Please specify either number of bytes or key spec.")
    return call.number_of_bytes or _KEY_SPEC_BYTES[call.key_spec or "AES_256"]


def _generate_data_key_pair(call: requests.GenerateDataKeyPair, key: Key) -> Outcome:
    if curve := _CURVES.get(call.key_pair_spec):
        private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(curve())
    else:
        private = rsa.generate_private_key(65537, int(call.key_pair_spec.removeprefix("RSA_")))
    secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    members = {
        "PrivateKeyCiphertextBlob": key.encrypt(secret, call.encryption_context),
        "PublicKey": public,
        "KeyPairSpec": call.key_pair_spec,
    }
    return Outcome(_naming(key) | members, "PrivateKeyPlaintext", secret)
