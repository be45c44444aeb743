"""Bearer tokens of administrators, as the published admin service takes them, with the claims that it did not demand.

RS256 under the one measured key; audience, roles and a life of an hour at the most. A token passes the host in the
clear, so it only reads (waas-guard-intents.md 1.16, no. 14).
"""

from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from enclave.config.tenancy import AdminTokens
from enclave.errors import Refusal
from protocol import canonical_json, errors, limits
from protocol.errors import ProtocolError

READER: Final = "reader"
_SKEW_S: Final = 60  # the original's
_SCHEME: Final = "bearer "


class BearerTokens:
    """Verifies the tokens of one configuration."""

    def __init__(self, tokens: AdminTokens) -> None:
        self._audience = tokens.audience
        self._key = RSAKey.import_key(tokens.public_key)

    def verify_reader(self, authorization: str, now_s: int) -> None:
        """UNAUTHORIZED unless the header's token may read at `now_s`."""
        if not authorization.lower().startswith(_SCHEME):
            raise Refusal(errors.UNAUTHORIZED)
        claims = self._claims(authorization[len(_SCHEME) :])
        match claims:
            case {"aud": audience, "exp": int(expires_s), "iat": int(issued_s), "roles": [*roles]}:
                audiences = audience if isinstance(audience, list) else [audience]
                lives = issued_s - _SKEW_S <= now_s < expires_s and expires_s - issued_s <= limits.MAX_BEARER_LIFE_S
                if self._audience in audiences and lives and READER in roles:
                    return
        raise Refusal(errors.UNAUTHORIZED)

    def _claims(self, token: str) -> Any:
        if len(token) > limits.MAX_JWT_BYTES:
            raise Refusal(errors.UNAUTHORIZED)
        try:
            signed = jws.deserialize_compact(token, self._key, algorithms=["RS256"])
            return canonical_json.parse(signed.payload, max_bytes=limits.MAX_JWT_BYTES, max_depth=limits.MAX_JWT_DEPTH)
        except (JoseError, ValueError, ProtocolError):
            raise Refusal(errors.UNAUTHORIZED) from None
