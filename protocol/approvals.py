"""What several people sign to put a document in force, the same on the side that signs and the side that judges."""

import hashlib
from typing import Final

from protocol import canonical_json

SET_TENANT: Final = "set tenant"


def statement(action: str, deployment: str, version: int, document: bytes) -> bytes:
    """What officers sign: the RFC 8785 form of action, deployment, version of the document and its SHA-256."""
    digest = hashlib.sha256(document).hexdigest()
    return canonical_json.canonicalize(
        {"action": action, "deployment": deployment, "version": version, "sha256": digest}
    )
