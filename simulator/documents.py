"""Signs attestation documents in the shape of the real module's, under a PKI of the simulator (nitro-platform.md 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from simulator.pki import NitroPki

_PROTECTED: Final = bytes.fromhex("a1013822")  # {1: -35}, ES384
_COORDINATE_BYTES: Final = 48


@dataclass(frozen=True, slots=True)
class Claims:
    """What a document says. `fields`: `public_key`, `user_data` and `nonce`, each bytes or None."""

    module_id: str
    timestamp_ms: int
    pcrs: Mapping[int, bytes]
    fields: Mapping[str, bytes | None]


def sign_document(claims: Claims, pki: NitroPki, *, definite: bool = False) -> bytes:
    """The document; its payload is a map of indefinite length, or a definite one as firmware wrote before late 2025."""
    chain = pki.chain(claims.module_id, claims.timestamp_ms)
    before = {"module_id": claims.module_id, "digest": "SHA384"}
    after = {
        "pcrs": dict(claims.pcrs),
        "certificate": chain.leaf.der,
        "cabundle": list(chain.bundle),
        **{name: claims.fields[name] for name in ("public_key", "user_data", "nonce")},
    }
    body = _pairs(before) + _timestamp(claims.timestamp_ms) + _pairs(after)
    return _sign(b"\xa9" + body if definite else b"\xbf" + body + b"\xff", chain.leaf.key)


def _pairs(members: Mapping[str, Any]) -> bytes:
    """The members of a map, without its head: the module's order is not the canonical one."""
    return b"".join(cbor2.dumps(name) + cbor2.dumps(value) for name, value in members.items())


def _timestamp(now_ms: int) -> bytes:
    """The module always writes the time in eight bytes, however small it is."""
    return cbor2.dumps("timestamp") + b"\x1b" + now_ms.to_bytes(8, "big")


def _sign(payload: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """An untagged COSE_Sign1 (RFC 9052 section 4.2) with the signature as r || s."""
    to_be_signed = cbor2.dumps(["Signature1", _PROTECTED, b"", payload])
    r, s = decode_dss_signature(key.sign(to_be_signed, ec.ECDSA(hashes.SHA384())))
    signature = r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
    return cbor2.dumps([_PROTECTED, {}, payload, signature])
