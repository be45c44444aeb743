"""Client TLS that ends inside the enclave, against roots of the measured configuration and nothing else (CH-06, KM-01).

Trust side: enclave. A bare `SSLContext` starts with no roots; the usual ways to load the system's would obey
`SSL_CERT_FILE` and `SSL_CERT_DIR`, so no code here calls them.
"""

import asyncio
import ssl

from enclave.errors import BootError, EgressError
from enclave.ports import Egress


def client_context(roots_pem: str) -> ssl.SSLContext:
    """TLS 1.2 or newer, certificate and host name checked, trusting exactly `roots_pem`; `BootError` when it is empty.

    Strict X.509 (RFC 5280) as in Python 3.13's own default, so a certificate passes or fails alike on every version.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(cadata=roots_pem)
    except (ssl.SSLError, ValueError, TypeError):  # not certificates, empty, not ASCII
        raise BootError("config-tls-roots") from None
    if context.cert_store_stats()["x509_ca"] == 0:
        raise BootError("config-tls-roots")
    return context


async def open_stream(
    egress: Egress, context: ssl.SSLContext, host: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TLS stream to `host:port`; the caller owns the deadline and closes the writer.

    `EgressError`: `tls-certificate` (chain, dates or name), `tls-handshake` (anything else before the stream stands),
    and those of `Egress.connect`.
    """
    connection = await egress.connect(host, port)
    try:
        return await asyncio.open_connection(sock=connection, ssl=context, server_hostname=host)
    except ssl.SSLCertVerificationError:
        raise EgressError("tls-certificate") from None
    except OSError:  # ssl.SSLError is one
        raise EgressError("tls-handshake") from None
