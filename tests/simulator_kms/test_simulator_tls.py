"""The TLS authority: right certificates pass a strict check, each wrong one fails for its own reason (KM-01, CH-06)."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from simulator.tls import STATE_FILE, ServerCertificate, TlsAuthority, issue_self_signed

HOST = "kms.eu-central-1.amazonaws.com"
AUTHORITY = TlsAuthority.create()


def handshake(certificate: ServerCertificate, authority: TlsAuthority = AUTHORITY, host: str = HOST) -> str | None:
    """A TLS handshake in memory; the protocol version, `ssl.SSLError` when the client refuses."""
    context = ssl.create_default_context(cadata=authority.certificate_pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(down, up, server_hostname=host)
    server = certificate.server_context().wrap_bio(up, down, server_side=True)
    for side in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client.version()


@pytest.mark.parametrize("host", [HOST, "localhost", "127.0.0.1", "::1"])
def test_right_certificate_passes_a_strict_check(host: str) -> None:
    assert handshake(AUTHORITY.issue(HOST, "localhost", "127.0.0.1", "::1"), host=host) == "TLSv1.3"


WRONG: dict[str, Callable[[], ServerCertificate]] = {
    "certificate has expired": lambda: AUTHORITY.issue_expired(HOST),
    "unable to get local issuer certificate|signature failure": lambda: TlsAuthority.create("another").issue(HOST),
    "Hostname mismatch": lambda: AUTHORITY.issue("kms.us-west-2.amazonaws.com"),
    "self-signed certificate|self signed certificate|local issuer": lambda: issue_self_signed(HOST),
}


@pytest.mark.parametrize("reason", WRONG)
def test_wrong_certificate_fails_for_its_reason(reason: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        handshake(WRONG[reason]())


def test_look_alike_authority_of_the_same_name_is_refused() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(TlsAuthority.create().issue(HOST))


def test_authority_survives_a_restart_in_a_private_file(tmp_path: Path) -> None:
    first, second = TlsAuthority.load_or_create(tmp_path / "tls"), TlsAuthority.load_or_create(tmp_path / "tls")
    assert first.certificate_pem == second.certificate_pem
    assert handshake(first.issue(HOST), second)
    assert [(path.name, path.stat().st_mode & 0o777) for path in (tmp_path / "tls").iterdir()] == [(STATE_FILE, 0o600)]


def test_private_keys_stay_out_of_what_is_shown() -> None:
    assert "PRIVATE" not in AUTHORITY.certificate_pem + repr(AUTHORITY.issue(HOST))
