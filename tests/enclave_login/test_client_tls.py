"""TLS that ends in the enclave: only the measured roots, only the right name, whatever the environment says (CH-06)."""

import asyncio
import ssl
import warnings
from pathlib import Path

import pytest

from enclave.errors import BootError, EgressError
from enclave.net.tls import client_context, open_stream
from simulator.tls import TlsAuthority
from tests.enclave_login.login_support import HOST, WRONG_CERTIFICATES, LoopbackEgress, ScriptedServer


async def handshake(server_context: ssl.SSLContext | None, client: ssl.SSLContext) -> ssl.SSLObject:
    """Open and close one stream to a server with `server_context`."""
    async with ScriptedServer().listening(server_context) as server:
        _, writer = await open_stream(LoopbackEgress({(HOST, 443): server.port}), client, HOST, 443)
        try:
            return writer.get_extra_info("ssl_object")
        finally:
            writer.transport.abort()


async def test_right_certificate_passes(server_context: ssl.SSLContext, tls_context: ssl.SSLContext) -> None:
    assert (await handshake(server_context, tls_context)).version() == "TLSv1.3"


@pytest.mark.parametrize("kind", WRONG_CERTIFICATES)
async def test_wrong_certificate_is_refused(kind: str, authority: TlsAuthority, tls_context: ssl.SSLContext) -> None:
    context = WRONG_CERTIFICATES[kind](authority, HOST).server_context()
    with pytest.raises(EgressError) as caught:
        await handshake(context, tls_context)
    assert caught.value.code == "tls-certificate"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_environment_adds_no_root(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls_context: ssl.SSLContext
) -> None:
    attacker = TlsAuthority.create("attacker")
    file = tmp_path / "roots.pem"
    file.write_text(attacker.certificate_pem)
    monkeypatch.setenv(variable, str(file if variable == "SSL_CERT_FILE" else tmp_path))
    if variable == "SSL_CERT_FILE":  # the variable works here: the usual context falls for it
        await handshake(attacker.issue(HOST).server_context(), ssl.create_default_context())
    own = TlsAuthority.create()
    fresh = client_context(own.certificate_pem)
    for context in (fresh, tls_context):
        with pytest.raises(EgressError, match="tls-certificate"):
            await handshake(attacker.issue(HOST).server_context(), context)
    await handshake(own.issue(HOST).server_context(), fresh)


async def test_tls_below_1_2_is_refused(authority: TlsAuthority, tls_context: ssl.SSLContext) -> None:
    old = authority.issue(HOST).server_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(EgressError, match="tls-handshake"):
        await handshake(old, tls_context)


async def test_server_without_tls_is_refused(tls_context: ssl.SSLContext) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 plain text here\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        egress = LoopbackEgress({(HOST, 443): server.sockets[0].getsockname()[1]})
        with pytest.raises(EgressError, match="tls-handshake"):
            await open_stream(egress, tls_context, HOST, 443)


@pytest.mark.parametrize(
    "roots", ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "é"]
)
def test_unusable_roots_refuse_the_boot(roots: str) -> None:
    with pytest.raises(BootError, match="config-tls-roots"):
        client_context(roots)


def test_leaf_certificate_alone_is_no_root(authority: TlsAuthority) -> None:
    with pytest.raises(BootError, match="config-tls-roots"):
        client_context(authority.issue(HOST).certificate_pem)
