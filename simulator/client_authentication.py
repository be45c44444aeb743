"""How applications prove themselves at the simulated token endpoint (RFC 6749 section 2.3; Apple's secrets).

A fixed secret is taken by Basic or in the form, never in both. The generated one is a JWT of the application's own key.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from simulator.authorization import RegisteredClient, RequestError

_MAX_LIFETIME_S: Final = 15_777_000  # what Apple allows: six months


def claimed_credentials(authorization: str | None, fields: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret (or nothing) as a request gives them; `RequestError` when it gives them twice or badly."""
    if authorization is None:
        return fields.get("client_id", ""), fields.get("client_secret", "")
    scheme, _, encoded = authorization.partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise RequestError("invalid_client", "malformed authorization") from None
    if scheme != "Basic" or not colon or "client_secret" in fields:
        raise RequestError("invalid_client", "one way to authenticate, please")
    if fields.get("client_id", unquote_plus(client_id)) != unquote_plus(client_id):
        raise RequestError("invalid_client", "two client ids")
    return unquote_plus(client_id), unquote_plus(secret)


def verify_client(client: RegisteredClient, secret: str, issuer: str, now_s: int) -> None:
    """Return when `secret` proves that `client` asks; `RequestError` `invalid_client` otherwise."""
    if client.team is not None:
        _verify_generated(client, secret, issuer, now_s)
    elif not hmac.compare_digest(secret.encode(), client.secret.encode()):
        raise RequestError("invalid_client", "wrong client secret")


def _verify_generated(client: RegisteredClient, secret: str, issuer: str, now_s: int) -> None:
    team = client.team
    if team is None:
        raise RequestError("invalid_client", "no key is registered")
    try:
        token = jwt.decode(secret, ECKey.import_key(team.public_pem), algorithms=["ES256"])
    except (JoseError, ValueError):
        raise RequestError("invalid_client", "the client secret is not signed by the registered key") from None
    expected = {"iss": team.team_id, "sub": client.client_id, "aud": issuer}
    issued_s, expires_s = token.claims.get("iat"), token.claims.get("exp")
    if token.header.get("kid") != team.kid or {name: token.claims.get(name) for name in expected} != expected:
        raise RequestError("invalid_client", "the client secret is about somebody else")
    if type(issued_s) is not int or type(expires_s) is not int or not issued_s <= now_s < expires_s:
        raise RequestError("invalid_client", "the client secret is out of date")
    if expires_s - issued_s > _MAX_LIFETIME_S:
        raise RequestError("invalid_client", "the client secret lives too long")
