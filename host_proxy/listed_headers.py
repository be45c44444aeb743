"""Which headers pass between clients and the enclave; all others end at the host (VS-05)."""

from typing import Final

from host_proxy.cors import RawHeaders
from host_proxy.errors import Refused
from protocol import errors

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
_AUTHORIZED_SERVICES: Final = frozenset({"Guard", "GuardFactors", "WaasAuthenticatorAdmin"})
_WITH_AUTHORIZATION: Final = FORWARDED | {b"authorization"}
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
    """What the enclave gets of a request to this service; bearer tokens go to those that take them."""
    return _WITH_AUTHORIZATION if service in _AUTHORIZED_SERVICES else FORWARDED


def check_single(headers: RawHeaders) -> None:
    """Two values where one is meant would let two readers disagree (VS-05)."""
    seen = set()
    for name, _ in headers:
        if name in _WITH_AUTHORIZATION:
            if name in seen:
                raise Refused(errors.BAD_REQUEST, "duplicate header")
            seen.add(name)
