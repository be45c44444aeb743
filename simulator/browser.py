"""A person at the login page of the simulated identity provider: opens it, types a name, presses the button."""

import html
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import httpx

from simulator import settings

REDIRECT: Final = settings.REDIRECT_URI
_FIELD: Final = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


def sign_in(provider_url: str, user: str) -> str:
    """The ID token that the provider hands to the demo application for `user`; `ValueError` when it hands out none."""
    request = {"client_id": settings.CLIENT_ID, "response_type": "id_token", "nonce": "demo"}
    return _answer(_authorize(provider_url, user, request), "id_token")


def authorize(provider_url: str, user: str, client_id: str, code_challenge: str = "") -> str:
    """The authorization code that the provider hands to `client_id` for `user`; without PKCE by form post."""
    request = {"client_id": client_id, "response_type": "code"}
    if code_challenge:
        request |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
    else:
        request["response_mode"] = "form_post"
    return _answer(_authorize(provider_url, user, request), "code")


def _authorize(provider_url: str, user: str, request: Mapping[str, str]) -> httpx.Response:
    fixed = {"redirect_uri": REDIRECT, "scope": "openid email", "state": "demo"}
    with httpx.Client(base_url=provider_url, trust_env=False) as browser:
        page = browser.get("/authorize", params={**fixed, **request})
        return browser.post("/authorize", data=_fields(page) | {"user": user})


def _fields(page: httpx.Response) -> dict[str, str]:
    return {html.unescape(name): html.unescape(value) for name, value in _FIELD.findall(page.text)}


def _answer(response: httpx.Response, name: str) -> str:
    location = urlsplit(response.headers.get("location", ""))
    answer: dict[str, str] = dict(parse_qsl(location.fragment or location.query)) | _fields(response)
    if name not in answer:
        raise ValueError("the identity provider handed out nothing")
    return answer[name]
