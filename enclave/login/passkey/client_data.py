"""What the browser says it did for whom: type, challenge and origin (Web Authentication sections 5.8.1, 7.1 and 7.2).

The authenticator signs its hash, so an answer for another site or another login is worth nothing here.
"""

import hmac
from collections.abc import Collection
from typing import Literal

from enclave.errors import Refusal
from protocol import canonical_json, limits
from protocol.errors import PROOF_VERIFICATION_FAILED, ProtocolError

Ceremony = Literal["create", "get"]


def verify_client_data(raw: bytes, ceremony: Ceremony, challenge: str, origins: Collection[str]) -> None:
    """Return when `raw`, the JSON text, is about this ceremony, this challenge (base64url) and one of `origins`.

    Members that the standard does not name are none of our business; browsers add some on purpose.
    `Refusal` PROOF_VERIFICATION_FAILED.
    """
    try:
        members = canonical_json.parse(raw, max_bytes=limits.MAX_CLIENT_DATA_BYTES, max_depth=limits.MAX_JWT_DEPTH)
    except ProtocolError:
        raise Refusal(PROOF_VERIFICATION_FAILED, "passkey client data is malformed") from None
    match members:
        case {"type": str(kind), "challenge": str(answered), "origin": str(origin)}:
            pass
        case _:
            raise Refusal(PROOF_VERIFICATION_FAILED, "passkey client data is malformed")
    if kind != f"webauthn.{ceremony}":
        raise Refusal(PROOF_VERIFICATION_FAILED, "passkey ceremony is another one")
    if not hmac.compare_digest(answered.encode("utf-8", "surrogatepass"), challenge.encode()):
        raise Refusal(PROOF_VERIFICATION_FAILED, "passkey challenge does not match")
    if origin not in origins:
        raise Refusal(PROOF_VERIFICATION_FAILED, "passkey origin is not accepted")
    if members.get("crossOrigin", False) is not False or "topOrigin" in members:  # the page was inside another's
        raise Refusal(PROOF_VERIFICATION_FAILED, "passkey origin is not accepted")
