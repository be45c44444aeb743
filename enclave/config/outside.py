"""What the enclave talks to, beside holders and identity providers."""

from typing import Annotated

import msgspec

from enclave.config.fields import PEM_CHARS, Measured, Pem, Text


class Mail(Measured, frozen=True, kw_only=True):
    """The mail server: SMTP over implicit TLS."""

    host: Text
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    username: str = ""
    password: str = ""


class TlsRoots(Measured, frozen=True, kw_only=True):
    """PEM bundles that egress TLS accepts, by what it talks to (CH-06, OI-17). Nothing else vouches for a server."""

    kms: Pem
    identity_providers: Pem
    mail: Pem
    webhooks: Annotated[str, msgspec.Meta(max_length=PEM_CHARS)] = ""
    """Of tenants' webhooks; without it those of identity providers."""
