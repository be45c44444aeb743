"""The attestation of an implicit session: an identity signer says that a session key acts for a logged-in user.

The contract's `Attestation.sol`. What is signed is the bare hash of the packed form: neither wallet, chain nor expiry
is part of it, and the contracts compare no time. How long it is good for, and for which applications, is for its issuer
and for the guard to decide, and for the target contract by `audienceHash` and `redirectUrl`.
"""

from dataclasses import dataclass
from typing import Any, Final

from evm.address import ADDRESS_BYTES, Address, checksum, parse_address
from evm.fields import UINT64_MAX, hex_bytes, hex_word, members
from evm.keccak import keccak256
from evm.signature import Signature
from evm.wallet.compact import to_compact
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import SessionImplicitAuthorize
from evm.wallet.reader import Reader
from evm.wallet.values import HASH_BYTES, parse_decimal, to_hex

MAX_APPLICATION_DATA_BYTES: Final = 32 * 1024  # own choice, as for the data of a call; the field holds 2^24 - 1
MAX_REDIRECT_URL_BYTES: Final = 2048  # own choice; browsers and servers take little more

IDENTITY_TYPE_EMAIL: Final = bytes.fromhex("00000001")
IDENTITY_TYPE_OIDC: Final = bytes.fromhex("00000002")
IDENTITY_TYPE_OTHER: Final = bytes.fromhex("ffffffff")

_CODE: Final = "wallet-attestation"
_IDENTITY_TYPE_BYTES: Final = 4
_FIELDS: Final = ("approvedSigner", "identityType", "issuerHash", "audienceHash", "applicationData", "authData")
_MAGIC_PREFIX: Final = keccak256(b"acceptImplicitRequest")


@dataclass(frozen=True, slots=True)
class AuthData:
    """Where the login was redirected to, and when (Unix time in seconds).

    The URL is ASCII only: a client library counts its length in UTF-16 units, the contract in bytes.
    """

    redirect_url: str
    issued_at: int

    def __post_init__(self) -> None:
        require(self.redirect_url.isascii(), f"{_CODE}-redirect-url")
        require(len(self.redirect_url) <= MAX_REDIRECT_URL_BYTES, f"{_CODE}-redirect-url")
        require(0 <= self.issued_at <= UINT64_MAX, f"{_CODE}-issued-at")

    @property
    def encoded(self) -> bytes:
        """Length of the URL (3 bytes), URL, time (8 bytes)."""
        url = self.redirect_url.encode("ascii")
        return len(url).to_bytes(3, "big") + url + self.issued_at.to_bytes(8, "big")


@dataclass(frozen=True, slots=True)
class Attestation:
    """Who may act (`approved_signer`), and on the strength of which login.

    `issuer_hash` and `audience_hash` are keccak-256 of the OpenID Connect issuer and audience, zero for other logins.
    """

    approved_signer: Address
    identity_type: bytes
    issuer_hash: bytes
    audience_hash: bytes
    application_data: bytes
    auth_data: AuthData

    def __post_init__(self) -> None:
        require(len(self.approved_signer) == ADDRESS_BYTES, f"{_CODE}-approved-signer")
        require(len(self.identity_type) == _IDENTITY_TYPE_BYTES, f"{_CODE}-identity-type")
        require(len(self.issuer_hash) == HASH_BYTES, f"{_CODE}-issuer-hash")
        require(len(self.audience_hash) == HASH_BYTES, f"{_CODE}-audience-hash")
        require(len(self.application_data) <= MAX_APPLICATION_DATA_BYTES, f"{_CODE}-application-data")

    @property
    def encoded(self) -> bytes:
        """The packed form: 88 bytes, application data behind its length, auth data."""
        return b"".join(
            (
                self.approved_signer,
                self.identity_type,
                self.issuer_hash,
                self.audience_hash,
                len(self.application_data).to_bytes(3, "big"),
                self.application_data,
                self.auth_data.encoded,
            )
        )

    @property
    def hash(self) -> bytes:
        """What the identity signer signs, as it is."""
        return keccak256(self.encoded)

    def magic(self, wallet: Address) -> bytes:
        """What a target contract answers when it takes implicit requests of `wallet` under this attestation."""
        return keccak256(_MAGIC_PREFIX + wallet + self.audience_hash + self.issuer_hash)

    def as_json(self) -> dict[str, Any]:
        """The library's form."""
        return {
            "approvedSigner": checksum(self.approved_signer),
            "identityType": to_hex(self.identity_type),
            "issuerHash": to_hex(self.issuer_hash),
            "audienceHash": to_hex(self.audience_hash),
            "applicationData": to_hex(self.application_data),
            "authData": {"redirectUrl": self.auth_data.redirect_url, "issuedAt": str(self.auth_data.issued_at)},
        }


@dataclass(frozen=True, slots=True)
class SignedAttestation:
    """An attestation with the identity signer that signed it. Only `verify_attestation` makes one."""

    attestation: Attestation
    signature: Signature
    identity_signer: Address

    @property
    def encoded(self) -> bytes:
        """As a session signature carries it: the packed attestation, the signature in 64 bytes."""
        return self.attestation.encoded + to_compact(self.signature)


def verify_attestation(attestation: Attestation, signature: Signature, identity_signer: Address) -> SignedAttestation:
    """The attestation as `identity_signer` signed it; `WalletError` unless it did."""
    found = signature.recover(attestation.hash)
    require(found == identity_signer, f"{_CODE}-identity-signer", "InvalidIdentitySigner")
    return SignedAttestation(attestation, signature, identity_signer)


def validate_age(attestation: Attestation, *, now_s: int, max_age_s: int) -> None:
    """`WalletError` unless the attestation was issued in the last `max_age_s` seconds. The contracts do not ask."""
    issued_at = attestation.auth_data.issued_at
    require(issued_at <= now_s, f"{_CODE}-from-the-future")
    require(now_s - issued_at <= max_age_s, f"{_CODE}-too-old")


def parse_attestation(data: bytes) -> Attestation:
    """The attestation whose packed form is `data`, all of it."""
    reader = Reader(data, f"{_CODE}-length")
    found = read_attestation(reader)
    require(reader.ended, f"{_CODE}-length")
    return found


def read_attestation(reader: Reader) -> Attestation:
    """The packed attestation that `reader` reads next."""
    return Attestation(
        approved_signer=reader.address(),
        identity_type=reader.take(_IDENTITY_TYPE_BYTES),
        issuer_hash=reader.take(HASH_BYTES),
        audience_hash=reader.take(HASH_BYTES),
        application_data=reader.take(reader.uint(3)),
        auth_data=_read_auth_data(reader),
    )


def attestation_from_json(value: object) -> Attestation:
    """The attestation in the library's JSON form; `EvmError` for unknown, missing or malformed members."""
    found = members(value, required=_FIELDS, code=_CODE)
    auth_data = members(found["authData"], required=("redirectUrl", "issuedAt"), code=_CODE)
    url = auth_data["redirectUrl"]
    require(isinstance(url, str), f"{_CODE}-redirect-url")
    return Attestation(
        approved_signer=parse_address(found["approvedSigner"], f"{_CODE}-approved-signer"),
        identity_type=hex_bytes(found["identityType"], f"{_CODE}-identity-type", most=_IDENTITY_TYPE_BYTES),
        issuer_hash=hex_word(found["issuerHash"], f"{_CODE}-issuer-hash"),
        audience_hash=hex_word(found["audienceHash"], f"{_CODE}-audience-hash"),
        application_data=hex_bytes(
            found["applicationData"], f"{_CODE}-application-data", most=MAX_APPLICATION_DATA_BYTES
        ),
        auth_data=AuthData(url, parse_decimal(auth_data["issuedAt"], f"{_CODE}-issued-at", most=UINT64_MAX)),
    )


def implicit_authorize_from_json(value: object) -> SessionImplicitAuthorize:
    """What an identity signer is asked to approve: `{"type", "sessionAddress", "attestation"}`, both naming one key."""
    found = members(value, required=("type", "sessionAddress", "attestation"), code=_CODE)
    require(found["type"] == "session-implicit-authorize", f"{_CODE}-type")
    session = parse_address(found["sessionAddress"], f"{_CODE}-session")
    attestation = attestation_from_json(found["attestation"])
    require(session == attestation.approved_signer, f"{_CODE}-session")
    return SessionImplicitAuthorize(session, attestation)


def _read_auth_data(reader: Reader) -> AuthData:
    try:
        url = reader.take(reader.uint(3)).decode("ascii")
    except UnicodeDecodeError:
        raise WalletError(f"{_CODE}-redirect-url") from None
    return AuthData(url, reader.uint(8))
