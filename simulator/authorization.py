"""Authorization requests of the simulated identity provider (RFC 6749, RFC 7636, OpenID Connect Core 1.0)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from protocol.base64url import encode_b64u

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")
_MAX_FORM_BYTES: Final = 16 * 1024
_MAX_FIELDS: Final = 32
_RESPONSE_MODES: Final = {"code": ("query", "form_post"), "id_token": ("fragment", "form_post")}


class RequestError(Exception):
    """An error code of RFC 6749 section 4.1.2.1 or 5.2."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(code)
        self.code = code
        self.description = description


@dataclass(frozen=True, slots=True)
class Team:
    """Who signs an application's client secrets, as with Apple: team id, name of the key, its public half."""

    team_id: str
    kid: str
    public_pem: bytes


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """An application. Redirect URIs match exactly (RFC 9700).

    With neither `secret` nor `team` it is public and proves itself by PKCE, which only others may do without.
    """

    client_id: str
    redirect_uris: tuple[str, ...]
    algorithm: str = "RS256"
    secret: str = ""
    team: Team | None = None
    pkce: bool = True


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A valid request of a registered client."""

    client: RegisteredClient
    redirect_uri: str
    response_type: str
    response_mode: str
    state: str
    nonce: str
    code_challenge: str


def parse_form(data: bytes) -> dict[str, str]:
    """The fields of a query or form; `RequestError` when malformed or when a field is repeated."""
    try:
        if len(data) > _MAX_FORM_BYTES:
            raise ValueError
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise RequestError("invalid_request", "malformed parameters") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RequestError("invalid_request", "a parameter is repeated")
    return fields


def find_client(clients: Mapping[str, RegisteredClient], fields: Mapping[str, str]) -> tuple[RegisteredClient, str]:
    """The client and its redirect URI. Until both are known nobody may be redirected anywhere."""
    client = clients.get(fields.get("client_id", ""))
    if client is None:
        raise RequestError("invalid_client", "unknown client")
    redirect_uri = fields.get("redirect_uri", "")
    if redirect_uri not in client.redirect_uris:
        raise RequestError("invalid_request", "the redirect URI is not registered")
    return client, redirect_uri


def validate_request(client: RegisteredClient, redirect_uri: str, fields: Mapping[str, str]) -> AuthorizationRequest:
    """The request in `fields`; `RequestError` goes back to the redirect URI."""
    response_type = fields.get("response_type", "")
    if response_type not in _RESPONSE_MODES:
        raise RequestError("unsupported_response_type", "code or id_token")
    response_mode = fields.get("response_mode", _RESPONSE_MODES[response_type][0])
    if response_mode not in _RESPONSE_MODES[response_type]:
        raise RequestError("invalid_request", "response_mode")
    if "openid" not in fields.get("scope", "").split(" "):
        raise RequestError("invalid_scope", "openid is missing")
    nonce, challenge = fields.get("nonce", ""), fields.get("code_challenge", "")
    if response_type == "id_token" and not nonce:
        raise RequestError("invalid_request", "nonce is missing")
    s256 = _CHALLENGE.match(challenge) and fields.get("code_challenge_method") == "S256"
    if response_type == "code" and (client.pkce or challenge) and not s256:
        raise RequestError("invalid_request", "PKCE with S256 is required")
    return AuthorizationRequest(
        client, redirect_uri, response_type, response_mode, fields.get("state", ""), nonce, challenge
    )


def verify_pkce(challenge: str, verifier: str) -> None:
    """Return when `verifier` hashes to `challenge` (RFC 7636 section 4.6), or when there is neither."""
    if not challenge and not verifier:
        return
    digest = hashlib.sha256(verifier.encode()).digest()
    if not _VERIFIER.match(verifier) or encode_b64u(digest) != challenge:
        raise RequestError("invalid_grant", "the code verifier does not match")
