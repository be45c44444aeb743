"""The on-chain attestation of an implicit session: the verified login, in the form that the session contract reads.

It names neither wallet nor chain nor an end, so what limits it is fixed here: the origin of the verified session, the
issuer and audience of the verified login, and the present time.
"""

import re
from typing import Any, Final

from enclave.identity import Identity
from enclave.sequence.changes import barred_signers
from enclave.sequence.wallet_records import SmartWallet
from evm.address import ZERO_ADDRESS, parse_address
from evm.fields import hex_bytes
from evm.keccak import keccak256
from evm.wallet.attestation import (
    IDENTITY_TYPE_EMAIL,
    IDENTITY_TYPE_OIDC,
    IDENTITY_TYPE_OTHER,
    MAX_APPLICATION_DATA_BYTES,
    Attestation,
    AuthData,
)
from evm.wallet.disguise import validate_plain_attestation
from evm.wallet.errors import WalletError, require
from evm.wallet.values import HASH_BYTES
from protocol import limits

_CODE: Final = "wallet-attestation"
_IDENTITY_TYPES: Final = {"Email": IDENTITY_TYPE_EMAIL, "OIDC": IDENTITY_TYPE_OIDC, "Passkey": IDENTITY_TYPE_OTHER}
_NONE: Final = bytes(HASH_BYTES)
_URL: Final = re.compile(r"[!-~]+\Z")


def parse_attestation_request(
    params: dict[str, Any], wallet: SmartWallet, *, identity: Identity, audience: str, origin: str, now_s: int
) -> Attestation:
    """From `approvedSigner` and, both optional, `redirectUrl` (of the session's origin) and `applicationData`."""
    signer = parse_address(params.get("approvedSigner"), f"{_CODE}-approved-signer")
    plan = wallet.plan
    require(signer not in (ZERO_ADDRESS, plan.identity, *plan.devices), f"{_CODE}-approved-signer")
    require(signer not in barred_signers(plan), "wallet-session-signer-blacklisted", "BlacklistedAddress")
    data = params.get("applicationData")
    issuer_hash, audience_hash = _who_vouches(identity, audience)
    attestation = Attestation(
        approved_signer=signer,
        identity_type=_IDENTITY_TYPES[identity.kind],
        issuer_hash=issuer_hash,
        audience_hash=audience_hash,
        application_data=b"" if data is None else hex_bytes(data, _CODE, most=MAX_APPLICATION_DATA_BYTES),
        auth_data=AuthData(_redirect_url(params.get("redirectUrl"), origin), now_s),
    )
    validate_plain_attestation(attestation)
    return attestation


def _redirect_url(value: object, origin: str) -> str:
    """A URL of the origin that the verified session is for; the origin itself by default."""
    if value is None:
        return origin
    if not isinstance(value, str) or len(value) > limits.MAX_REDIRECT_URL_CHARS or not _URL.match(value):
        raise WalletError(f"{_CODE}-redirect-url")
    require(value == origin or value.startswith(f"{origin}/"), f"{_CODE}-redirect-url")
    return value


def _who_vouches(identity: Identity, audience: str) -> tuple[bytes, bytes]:
    """Hashes of issuer and audience of the verified login, zero for a login by mail."""
    if identity.kind != "OIDC":
        return _NONE, _NONE
    require(bool(audience), f"{_CODE}-audience")
    return keccak256(identity.issuer.encode()), keccak256(audience.encode())
