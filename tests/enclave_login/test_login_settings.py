"""What a scope may say of logins: a configuration that would weaken them refuses the boot."""

from typing import Any

import pytest

from enclave.config import Scope
from enclave.config.scope import validate_scope
from enclave.errors import BootError

ORIGINS = (
    "https://example.com",
    "https://a.example.com:8443",
    "http://example.com",
    "https://evilexample.com",
    "https://example.com.evil.test",
    "http://localhost:3000",
    "http://a.localhost",
    "http://evillocalhost",
)


def scope(**changes: Any) -> Scope:
    members: dict[str, Any] = {"scope": "@1", "origins": ORIGINS, "rights": ()}
    return Scope(**(members | changes))


@pytest.mark.parametrize(
    ("rp_id", "origins"),
    [
        ("example.com", ORIGINS[:2]),
        ("a.example.com", ORIGINS[1:2]),
        ("localhost", ("http://localhost:3000", "http://a.localhost")),
        ("", ()),
    ],
)
def test_passkeys_are_used_within_their_site_only(rp_id: str, origins: tuple[str, ...]) -> None:
    said = scope(passkey_rp_id=rp_id)
    validate_scope(said)
    assert said.passkey_origins == origins


@pytest.mark.parametrize(
    "changes",
    [
        {"passkey_rp_id": "elsewhere.test"},
        {"passkey_rp_id": "com."},
        {"passkey_rp_id": "https://example.com"},
        {"passkey_rp_id": "example.com:8443"},
        {"passkey_rp_id": "EXAMPLE.com"},
        {"passkey_rp_id": "127.0.0.1", "origins": ("https://127.0.0.1",)},
        {"email_logo_url": "http://cdn.example.com/logo.png"},
        {"email_logo_url": 'https://cdn.example.com/logo.png"onerror=x'},
        {"email_logo_url": "javascript:alert(1)"},
        {"email_intro": "line\nbreak"},
        {"email_subject": "a\r\nBcc: x@example.com"},
    ],
)
def test_scope_that_would_weaken_logins_refuses_the_boot(changes: dict[str, Any]) -> None:
    with pytest.raises(BootError):
        validate_scope(scope(**changes))
