"""The signing keys of the simulated identity provider: RS256 and ES256, with rotation.

Whatever header and claims a test asks for are signed with the real key, so a refusal is never due to a bad signature
unless the test wants it so.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from joserfc.jwk import ECKey, KeyParameters, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64encode

Algorithm = Literal["RS256", "ES256"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("RS256", "ES256")

_KeyPair = dict[Algorithm, RSAKey | ECKey]


class SigningKeys:
    """One RSA and one P-256 key in use, and those published besides."""

    def __init__(self) -> None:
        self._generation = 0
        self._current = self._generate()
        self._previous: _KeyPair = {}

    def rotate(self, *, keep_previous: bool = True) -> None:
        """Sign with new keys from now on; the ones before stay published, or go at once."""
        self._previous = self._current if keep_previous else {}
        self._current = self._generate()

    def jwks(self, *, with_algorithms: bool = True) -> dict[str, Any]:
        """The public JWK Set (RFC 7517 section 5), whose keys need not say their algorithm."""
        keys = [key.as_dict(private=False) for key in (*self._current.values(), *self._previous.values())]
        return {"keys": [{name: key[name] for name in key if with_algorithms or name != "alg"} for key in keys]}

    def public_pem(self, algorithm: Algorithm) -> bytes:
        """The public key in use, for attempts to misuse it as a secret."""
        return self._current[algorithm].as_pem(private=False)

    def sign(self, algorithm: Algorithm, claims: Mapping[str, Any], header: Mapping[str, Any]) -> str:
        """A compact JWS. `header` members replace the usual ones; a value of None leaves a member out."""
        key = self._current[algorithm]
        members = {"alg": algorithm, "kid": key.kid, "typ": "JWT"} | dict(header)
        parts = [_encode({name: value for name, value in members.items() if value is not None}), _encode(claims)]
        signature = JWSRegistry.algorithms[algorithm].sign(b".".join(parts), key)
        return b".".join([*parts, urlsafe_b64encode(signature)]).decode("ascii")

    def _generate(self) -> _KeyPair:
        self._generation += 1

        def parameters(algorithm: Algorithm) -> KeyParameters:
            return {"kid": f"{algorithm.lower()}-{self._generation}", "use": "sig", "alg": algorithm}

        return {
            "RS256": RSAKey.generate_key(2048, parameters=parameters("RS256")),
            "ES256": ECKey.generate_key("P-256", parameters=parameters("ES256")),
        }


def _encode(members: Mapping[str, Any]) -> bytes:
    return urlsafe_b64encode(json.dumps(members, separators=(",", ":")).encode())
