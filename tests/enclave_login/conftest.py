"""One certificate authority for all tests of this folder."""

import ssl

import pytest

from enclave.login.provider_tls import ProviderTls
from enclave.net.tls import client_context
from simulator.identity_keys import SigningKeys
from simulator.tls import TlsAuthority


@pytest.fixture(scope="session")
def authority() -> TlsAuthority:
    return TlsAuthority.create()


@pytest.fixture(scope="session")
def tls_context(authority: TlsAuthority) -> ssl.SSLContext:
    """The client's context, trusting the authority."""
    return client_context(authority.certificate_pem)


@pytest.fixture(scope="session")
def provider_tls(authority: TlsAuthority) -> ProviderTls:
    """The same for providers, none of which has authorities of its own."""
    return ProviderTls(authority.certificate_pem, ())


@pytest.fixture(scope="session")
def server_context(authority: TlsAuthority) -> ssl.SSLContext:
    """A server's context with the right certificate for every name that these tests use."""
    return authority.issue("idp.example.test", "keys.example.test", "mail.example.test").server_context()


@pytest.fixture(scope="session")
def signing_keys() -> SigningKeys:
    """Keys of a provider; never rotated, because they are shared."""
    return SigningKeys()
