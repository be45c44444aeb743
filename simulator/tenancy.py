"""The keys behind tenants of the simulator, and what the measured configuration says of them.

The same everywhere, as they guard nothing; `write_keys` puts them where commands find them.
"""

import hashlib
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from host_proxy.client.device_key import DeviceKey
from simulator.webhook import PATH

OFFICERS: Final = ("officer-1", "officer-2", "officer-3")
INVITER: Final = "inviter"
FOLDER: Final = "tenancy"
WEBHOOK_HOST: Final = "hooks.app.example"


def tenancy() -> dict[str, Any]:
    """Who puts tenants in force, two of three, and whom they may have the enclave talk to."""
    return {"officers": [admin_key(name) for name in OFFICERS], "quorum": 2, "hosts": [f"https://{WEBHOOK_HOST}"]}


def invitations(origin: str) -> dict[str, Any]:
    """Invitations of a tenant of the simulator."""
    webhook = f"https://{WEBHOOK_HOST}{PATH}"
    return {"inviters": [admin_key(INVITER)], "page": f"{origin}/join", "webhook": webhook}


def admin_key(name: str) -> dict[str, str]:
    """A key as the measured configuration lists it."""
    wire = DeviceKey(_key(name)).wire()
    return {"name": name, "key_type": wire["keyType"], "address": wire["address"]}


def key_file(state: Path, name: str) -> Path:
    """Where a private key lies (PEM)."""
    return state / FOLDER / f"{name}.pem"


def write_keys(state: Path) -> None:
    """Put the private keys into the state folder."""
    (state / FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in (*OFFICERS, INVITER):
        pem = _key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key_file(state, name).write_bytes(pem)


def _key(name: str) -> ec.EllipticCurvePrivateKey:
    scalar = int.from_bytes(hashlib.sha256(f"chancery simulator: key of {name}".encode()).digest(), "big")
    return ec.derive_private_key(scalar, ec.SECP256R1())
