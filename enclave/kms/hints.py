"""Credentials from the host: text that becomes header values, and nothing that is trusted (KM-09)."""

import re
from collections.abc import Awaitable, Callable
from typing import Final

from enclave.errors import KmsError, PortError
from protocol.services import Credentials

CredentialsOf = Callable[[str], Awaitable[Credentials]]
"""Asks for the credentials of a holder by its name; may raise any `PortError`."""

_HEADER_TEXT: Final = re.compile(r"[!-~]+\Z")


async def fetch_hint(credentials_of: CredentialsOf, holder_name: str) -> Credentials:
    """Credentials made of visible ASCII only; `KmsError("kms-credentials")`."""
    try:
        credentials = await credentials_of(holder_name)
    except PortError:
        raise KmsError("kms-credentials") from None
    texts = (credentials.access_key_id, credentials.secret_access_key, credentials.session_token or "-")
    if not all(map(_HEADER_TEXT.match, texts)):
        raise KmsError("kms-credentials")
    return credentials
