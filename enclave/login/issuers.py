"""Names of identity providers, and the URLs that hang on them (OI-03; identity-instrument.md 2.2).

An issuer is accepted because the measured configuration lists it; a client only picks among the listed ones.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from enclave.config import OidcClient
from protocol import limits

_URL: Final = re.compile(
    r"https://([A-Za-z0-9.-]{1,253})(?::([0-9]{1,5}))?(/[!$%&-;=@A-Z_a-z~]*(?:\?[!$%&-;=?@A-Z_a-z~]*)?)?\Z"  # RFC 3986
)
_HTTPS_PORT: Final = 443
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class HttpsUrl:
    """An https URL cut for one request: lower-case host, port, and target (path with query, never empty)."""

    host: str
    port: int
    target: str


def parse_https_url(url: str) -> HttpsUrl | None:
    """The parts of an https URL without user and fragment; None for anything else."""
    match = _URL.match(url) if len(url) <= limits.MAX_URL_CHARS else None
    if match is None:
        return None
    port = int(match[2] or _HTTPS_PORT)
    return HttpsUrl(match[1].lower(), port, match[3] or "/") if 1 <= port <= 65535 else None


def normalize_issuer(issuer: str) -> str:
    """The form in which issuers are compared and named: `https://` in front when there is no scheme, and one trailing
    slash less. Google signs tokens of both forms for the same issuer."""
    if "://" not in issuer:
        issuer = f"https://{issuer}"
    return issuer.removesuffix("/")


def find_client(clients: Iterable[OidcClient], issuer: str, audience: str) -> OidcClient | None:
    """The configured client for an issuer and audience that a request names, or None."""
    wanted = (normalize_issuer(issuer), audience)
    return next((client for client in clients if (normalize_issuer(client.issuer), client.audience) == wanted), None)


def discovery_url(client: OidcClient) -> HttpsUrl | None:
    """Where the issuer's metadata lies (OpenID Connect Discovery 1.0 section 4)."""
    return parse_https_url(normalize_issuer(client.issuer) + DISCOVERY_PATH)
