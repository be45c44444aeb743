"""The members of each KMS operation, with the ranges of the public service model.

Unknown members are refused, so a member that this simulator would ignore is never silently ignored. The ranges here are
facts about AWS, not limits of ours; they bound what is decoded, after the server has bounded the body.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from simulator.kms.errors import AwsError, validation_error

MAX_BODY_BYTES: Final = 512 * 1024  # an AttestationDocument of 262,144 bytes in base64, and the rest

KeyId = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
Context = dict[str, str]
PolicyText = Annotated[str, msgspec.Meta(min_length=1, max_length=131_072)]
KeyPairSpec = Literal[
    "RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1"
]


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """Frozen, members in Pascal case, no unknown members."""


class Recipient(_Struct, frozen=True, kw_only=True):
    """Whom the answer is sealed for."""

    key_encryption_algorithm: Literal["RSAES_OAEP_SHA_256"]
    attestation_document: Annotated[bytes, msgspec.Meta(min_length=1, max_length=262_144)]


class Decrypt(_Struct, frozen=True, kw_only=True):
    """Open a ciphertext blob."""

    ciphertext_blob: Annotated[bytes, msgspec.Meta(min_length=1, max_length=6144)]
    key_id: KeyId | None = None
    encryption_context: Context = {}
    encryption_algorithm: Literal["SYMMETRIC_DEFAULT"] | None = None
    recipient: Recipient | None = None


class GenerateDataKey(_Struct, frozen=True, kw_only=True):
    """A fresh data key, clear or sealed, and its ciphertext blob."""

    key_id: KeyId
    encryption_context: Context = {}
    key_spec: Literal["AES_256", "AES_128"] | None = None
    number_of_bytes: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None
    recipient: Recipient | None = None


class GenerateDataKeyPair(_Struct, frozen=True, kw_only=True):
    """A fresh key pair; the private half as PKCS #8 in DER."""

    key_id: KeyId
    key_pair_spec: KeyPairSpec
    encryption_context: Context = {}
    recipient: Recipient | None = None


class GenerateRandom(_Struct, frozen=True, kw_only=True):
    """Random bytes, with no key."""

    number_of_bytes: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    recipient: Recipient | None = None


class Encrypt(_Struct, frozen=True, kw_only=True):
    """Close up to 4,096 bytes; never attested."""

    key_id: KeyId
    plaintext: Annotated[bytes, msgspec.Meta(min_length=1, max_length=4096)]
    encryption_context: Context = {}
    encryption_algorithm: Literal["SYMMETRIC_DEFAULT"] | None = None


class DescribeKey(_Struct, frozen=True, kw_only=True):
    """What may be known about a key."""

    key_id: KeyId


class GetKeyPolicy(_Struct, frozen=True, kw_only=True):
    """The policy text of a key."""

    key_id: KeyId
    policy_name: Literal["default"] = "default"


class PutKeyPolicy(_Struct, frozen=True, kw_only=True):
    """Replace the policy of a key."""

    key_id: KeyId
    policy: PolicyText
    policy_name: Literal["default"] = "default"
    bypass_policy_lockout_safety_check: bool = False


class CreateKey(_Struct, frozen=True, kw_only=True):
    """A new symmetric key of the caller's account."""

    policy: PolicyText | None = None
    description: Annotated[str, msgspec.Meta(max_length=8192)] = ""
    key_usage: Literal["ENCRYPT_DECRYPT"] = "ENCRYPT_DECRYPT"
    key_spec: Literal["SYMMETRIC_DEFAULT"] = "SYMMETRIC_DEFAULT"
    bypass_policy_lockout_safety_check: bool = False


AttestedCall = Decrypt | GenerateDataKey | GenerateDataKeyPair | GenerateRandom
Call = AttestedCall | Encrypt | DescribeKey | GetKeyPolicy | PutKeyPolicy | CreateKey

# Made here, by one thread: msgspec crashes where two are the first to decode a type (calls are answered by many).
_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    kind.__name__: msgspec.json.Decoder(kind)
    for kind in (
        Decrypt, GenerateDataKey, GenerateDataKeyPair, GenerateRandom,
        Encrypt, DescribeKey, GetKeyPolicy, PutKeyPolicy, CreateKey,
    )
}  # fmt: skip


def parse_call(target: str, body: bytes) -> Call:
    """The call that an `X-Amz-Target` header and a JSON body make; `AwsError` otherwise."""
    service, _, name = target.partition(".")
    decoder = _DECODERS.get(name)
    if service != "TrentService" or decoder is None:
        raise AwsError("UnknownOperationException")
    try:
        call: Call = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise validation_error(f"1 validation error detected: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise AwsError("SerializationException", "The body is not the JSON object that the operation takes") from None
    context = getattr(call, "encryption_context", {})
    if len({name.lower() for name in context}) != len(context):
        raise validation_error("Names in EncryptionContext that differ only in case are not evaluated")
    return call
