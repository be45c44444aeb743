"""ID tokens of this service about its users, and where their verifiers find the keys (waas-guard-intents.md 1.12).

A token says which wallet somebody has whose session asked for it, to the project's own servers. What an identity
provider told about mail addresses is not passed on: only an address to which a code was sent is named.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jws

from enclave.clock import TrustedClock
from enclave.config.issuer import Issuer
from enclave.errors import Refusal
from enclave.issuer_keys import IssuerKeys
from enclave.rpc.envelope import Call
from enclave.waas.users import User
from protocol import errors

KEY_SET_PATH: Final = "/.well-known/jwks.json"
_ALGORITHM: Final = "RS256"


class IdTokens:
    """Issues tokens, and says how they are verified."""

    def __init__(self, issuer: Issuer, keys: IssuerKeys, clock: TrustedClock) -> None:
        self._issuer = issuer
        self._keys = keys
        self._clock = clock

    async def issue(self, user: User, project_id: int, nonce: str | None) -> tuple[str, int]:
        """A token about `user` for one project, and for how many seconds it is good."""
        key = await self._keys.current()
        now_s = self._clock.now_s()
        identity = user.identity.wire()
        proven_email = identity.get("email") if user.identity.kind == "Email" else None
        if proven_email is None:
            identity.pop("email", None)
        claims = {
            "iss": self._issuer.url,
            "sub": user.address,
            "aud": [f"{self._issuer.audience_prefix}{project_id}"],
            "iat": now_s,
            "exp": now_s + self._issuer.token_s,
            "auth_time": user.login.auth_time_s,
            f"{self._issuer.url}/identity": identity,
        }
        if proven_email is not None:
            claims |= {"email": proven_email, "email_verified": True}
        if nonce is not None:
            claims["nonce"] = nonce
        header = {"alg": _ALGORITHM, "kid": key.kid, "typ": "JWT"}
        token = jws.serialize_compact(header, json.dumps(claims), key.jwk, algorithms=[_ALGORITHM])
        return token, self._issuer.token_s

    async def metadata(self, call: Call) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0 section 3, as far as it applies: nobody logs in here by redirects."""
        _require_get(call)
        return {
            "issuer": self._issuer.url,
            "jwks_uri": self._issuer.url + KEY_SET_PATH,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
        }

    async def key_set(self, call: Call) -> Mapping[str, Any]:
        """The JWK Set."""
        _require_get(call)
        return await self._keys.key_set()


def _require_get(call: Call) -> None:
    if call.http_method != "GET":
        raise Refusal(errors.BAD_METHOD)
