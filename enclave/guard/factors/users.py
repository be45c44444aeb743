"""Who a user is, by the guard's own word: an ID token of a provider that its measured configuration names.

Published clients send a bearer token of a service that is not published; here it is an ID token (ADR 0062). It says
who, for ten minutes, and may be shown more than once: what is done with it needs a signature that counts once, or a
code.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from enclave.config import OidcClient
from enclave.errors import Refusal
from enclave.guard.factors.record import User
from enclave.login.id_token import parse_unverified_claims, verify_id_token
from enclave.login.issuers import find_client
from enclave.login.jwks import KeySets
from protocol import errors, guard_errors
from protocol.base64url import encode_b64u

_SCHEME: Final = "bearer "


def bearer_token(header: str | None) -> str | None:
    """The token of an `Authorization` header, whose scheme clients write in capitals; UNAUTHORIZED for another one."""
    if not header:
        return None
    if header[: len(_SCHEME)].lower() != _SCHEME:
        raise Refusal(guard_errors.UNAUTHORIZED, "guard:token")
    return header[len(_SCHEME) :].strip(" ")


def guard_nonce(deployment: str) -> str:
    """The `nonce` that tokens of clients with `require_nonce` are asked for with: theirs alone, and no login's."""
    return encode_b64u(hashlib.sha256(f"chancery/guard-nonce/1\n{deployment}".encode()).digest())


class Users:
    """Verifies tokens."""

    def __init__(
        self, clients: Sequence[OidcClient], key_sets: KeySets, deployment: str, now_s: Callable[[], int]
    ) -> None:
        self._clients = clients
        self._key_sets = key_sets
        self._nonce = guard_nonce(deployment)
        self._now_s = now_s
        self._boot_s = now_s()

    async def verify(self, token: str, *, nonce: str | None = None) -> User:
        """Whose token it is; with `nonce`, if it was asked for with that.

        `Refusal` UNAUTHORIZED `guard:token`, QUERY_FAILED where keys cannot be had.
        """
        try:
            claims = parse_unverified_claims(token)
            client = find_client(self._clients, *self._named(claims))
            if client is None:
                raise Refusal(guard_errors.UNAUTHORIZED, "guard:token")
            found = await verify_id_token(
                token,
                client,
                self._key_sets,
                now_s=self._now_s(),
                issued_from_s=self._boot_s,
                expected_nonce=nonce or (self._nonce if client.require_nonce else None),
            )
        except Refusal as refusal:
            if refusal.error is errors.IDENTITY_PROVIDER_ERROR:
                raise Refusal(guard_errors.QUERY_FAILED, "guard:provider") from None
            raise Refusal(guard_errors.UNAUTHORIZED, "guard:token") from None
        return User(found.issuer, found.subject)

    def _named(self, unverified: dict[str, object]) -> tuple[str, str]:
        """Issuer and audience that a token says it has: they choose a client, and are verified against it."""
        issuer, audience = unverified.get("iss"), unverified.get("aud")
        if isinstance(audience, list) and len(audience) == 1:
            audience = audience[0]
        if not isinstance(issuer, str) or not isinstance(audience, str):
            raise Refusal(guard_errors.UNAUTHORIZED, "guard:token")
        return issuer, audience
