"""A person at the login page of the simulated identity provider: opens it, types a name, presses the button."""

import html
import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx

from simulator import settings

REDIRECT: Final = f"{settings.ORIGIN}/callback"
_FIELD: Final = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


def sign_in(provider_url: str, user: str) -> str:
    """The ID token that the provider hands to the demo application for `user`; `ValueError` when it hands out none."""
    request = {
        "client_id": settings.CLIENT_ID,
        "redirect_uri": REDIRECT,
        "response_type": "id_token",
        "scope": "openid email",
        "state": "demo",
        "nonce": "demo",
    }
    with httpx.Client(base_url=provider_url, trust_env=False) as browser:
        page = browser.get("/authorize", params=request)
        fields = {html.unescape(name): html.unescape(value) for name, value in _FIELD.findall(page.text)}
        answer = browser.post("/authorize", data=fields | {"user": user})
    location = urlsplit(answer.headers.get("location", ""))
    token: list[str] | None = parse_qs(location.fragment).get("id_token")
    if token is None:
        raise ValueError("the identity provider handed out no token")
    return token[0]
