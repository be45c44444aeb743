"""Which authorities vouch for which identity provider (OI-17): those of the measured configuration for all of them, or
the provider's own."""

import ssl
from collections.abc import Iterable

from enclave.config import OidcClient
from enclave.net.tls import client_context


class ProviderTls:
    """The contexts, made once. `BootError` for a bundle that holds no authority."""

    def __init__(self, roots_pem: str, clients: Iterable[OidcClient]) -> None:
        own = {client.tls_roots for client in clients}
        self._contexts = {pem: client_context(pem or roots_pem) for pem in {"", *own}}

    def context(self, client: OidcClient) -> ssl.SSLContext:
        """For whatever is asked of the provider of `client`."""
        return self._contexts[client.tls_roots]
