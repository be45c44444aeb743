"""This service as an issuer of ID tokens and signer of its answers (waas-guard-intents.md 1.12)."""

import re
from typing import Annotated, Final

import msgspec

from enclave.config.fields import Measured, host_and_port
from enclave.errors import BootError

_DAY_S: Final = 86_400
_LOOPBACK: Final = re.compile(r"http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?\Z")


class Issuer(Measured, frozen=True, kw_only=True):
    """Who this service is to those who verify its tokens: the https URL at which clients reach it.

    A loopback address over http is for laptops; nobody elsewhere finds keys there.
    """

    url: Annotated[str, msgspec.Meta(min_length=9, max_length=200)]
    audience_prefix: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """What stands before the project's number in `aud`."""
    token_s: Annotated[int, msgspec.Meta(ge=60, le=3600)] = 600
    rotate_s: Annotated[int, msgspec.Meta(ge=60, le=365 * _DAY_S)] = 30 * _DAY_S
    """How long a key signs before another is made."""


def validate_issuer(issuer: Issuer) -> None:
    """`BootError("config-issuer")` for a URL that clients could not find the keys at."""
    if not _LOOPBACK.match(issuer.url):
        host_and_port(issuer.url)
    if issuer.url.endswith("/") or not issuer.audience_prefix.isascii() or not issuer.audience_prefix.isprintable():
        raise BootError("config-issuer")
