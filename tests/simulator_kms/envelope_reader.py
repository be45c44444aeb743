"""An independent reader of `CiphertextForRecipient`: asn1crypto for the structure, cryptography for the rest."""

from typing import Any

from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.padding import PKCS7


def read(envelope: bytes) -> dict[str, Any]:
    """The parts as asn1crypto sees them."""
    info = cms.ContentInfo.load(envelope, strict=True)
    assert info["content_type"].native == "enveloped_data"
    data = info["content"]
    (recipient,) = data["recipient_infos"]
    transport, content = recipient.chosen, data["encrypted_content_info"]
    assert data["version"].native == transport["version"].native == "v2"
    oaep = transport["key_encryption_algorithm"]
    assert oaep["algorithm"].native == "rsaes_oaep"
    assert oaep["parameters"]["hash_algorithm"]["algorithm"].native == "sha256"
    assert oaep["parameters"]["mask_gen_algorithm"]["parameters"]["algorithm"].native == "sha256"
    assert content["content_encryption_algorithm"]["algorithm"].native == "aes256_cbc"
    return {
        "key_identifier": transport["rid"].native,
        "encrypted_key": transport["encrypted_key"].native,
        "iv": content["content_encryption_algorithm"]["parameters"].native,
        "ciphertext": content["encrypted_content"].native,
    }


def open_envelope(envelope: bytes, key: rsa.RSAPrivateKey) -> bytes:
    parts = read(envelope)
    content_key = key.decrypt(parts["encrypted_key"], OAEP(MGF1(SHA256()), SHA256(), None))
    decryptor = Cipher(algorithms.AES256(content_key), modes.CBC(parts["iv"])).decryptor()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(parts["ciphertext"]) + decryptor.finalize()) + unpadder.finalize()
