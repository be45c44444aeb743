"""Which headers pass between clients and the enclave; all others end at the host (VS-05)."""

from typing import Final

FORWARDED: Final = frozenset(
    {
        b"accept-signature",
        b"content-type",
        b"origin",
        b"x-access-key",
        b"x-attestation-nonce",
        b"x-receipt-nonce",
        b"x-sequence-project",
    }
)
_AUTHORIZED_SERVICE: Final = "WaasAuthenticatorAdmin"
_AUTHORIZATION: Final = frozenset({b"authorization"})
SINGLE: Final = FORWARDED | _AUTHORIZATION
"""Headers of which two would let two readers disagree."""
RETURNED: Final = frozenset(
    {
        "allow",
        "content-digest",
        "content-type",
        "signature",
        "signature-input",
        "webrpc",
        "x-attestation-document",
        "x-receipt",
    }
)


def forwarded(service: str) -> frozenset[bytes]:
    """What the enclave gets of a request to this service; bearer tokens go to the one that takes them."""
    return FORWARDED | _AUTHORIZATION if service == _AUTHORIZED_SERVICE else FORWARDED
