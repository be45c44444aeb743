"""The RSA keys of the service as an issuer: made in the enclave, sealed, several so that one can follow another.

The youngest signs. One that has signed for its time is followed by a new one at the next use, and stays published until
whatever it has signed is over. A JWT and the text of a signed answer begin differently, so one key can do for both.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from joserfc.jwk import RSAKey

from enclave.config.issuer import Issuer
from enclave.errors import Refusal
from enclave.records import Conflict, Record, Records
from protocol import errors

RSA_BITS: Final = 2048
KEPT_S: Final = 86_400  # after a key was followed: longer than any token lives, and than any set is kept
_EXPONENT: Final = 65537
_TRIES: Final = 4


@dataclass(frozen=True, slots=True, repr=False)
class IssuerKey:
    """A private key, and since when it signs. `kid` is its RFC 7638 thumbprint."""

    made_s: int
    der: bytes
    private: rsa.RSAPrivateKey
    jwk: RSAKey

    @property
    def kid(self) -> str:
        """Under what name it is published."""
        return self.jwk.thumbprint()

    def published(self) -> dict[str, Any]:
        """Its public half as a member of a JWK Set (RFC 7517)."""
        return {**self.jwk.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": "RS256"}


class IssuerKeys:
    """Finds the keys, or makes them."""

    def __init__(self, records: Records, issuer: Issuer) -> None:
        self._records = records
        self._rotate_s = issuer.rotate_s
        self._place = records.key("issuer-keys")
        self._opened: tuple[int, tuple[IssuerKey, ...]] = (0, ())
        self._making = asyncio.Lock()

    async def current(self) -> IssuerKey:
        """The key that signs now."""
        return (await self._load())[-1]

    async def key_set(self) -> Mapping[str, Any]:
        """The JWK Set, the key that signs now first."""
        return {"keys": [key.published() for key in reversed(await self._load())]}

    async def _load(self) -> tuple[IssuerKey, ...]:
        for _ in range(_TRIES):
            [record] = await self._records.load(self._place)
            keys = self._open(record)
            if keys and self._records.now_s() - keys[-1].made_s < self._rotate_s:
                return keys
            async with self._making:
                try:
                    await self._follow(record)
                except Conflict:  # somebody else made the next one
                    continue
        raise Refusal(errors.BUSY)

    async def _follow(self, record: Record | None) -> None:
        """Write a new key behind those that are still needed; `Conflict`."""
        now_s = self._records.now_s()
        version = 0 if record is None else record.version
        if not self._records.is_latest(self._place, version):
            raise Conflict
        made = await asyncio.to_thread(rsa.generate_private_key, _EXPONENT, RSA_BITS)
        der = made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        keys = self._open(record)
        followed_s = [later.made_s for later in keys[1:]] + [now_s]
        kept = [key for key, since_s in zip(keys, followed_s, strict=False) if now_s - since_s < KEPT_S]
        body = [[key.made_s, key.der] for key in kept] + [[now_s, der]]
        await self._records.save(self._records.change(self._place, version, body))

    def _open(self, record: Record | None) -> tuple[IssuerKey, ...]:
        """The keys of a record, oldest first."""
        version, keys = self._opened
        if record is None or record.version == version:
            return () if record is None else keys
        if not isinstance(record.body, list):
            raise Refusal(errors.DATA_INTEGRITY_ERROR)
        keys = tuple(map(_read, record.body))
        self._opened = record.version, keys
        return keys


def _read(body: Any) -> IssuerKey:
    match body:
        case [int(made_s), bytes(der)]:
            private = load_der_private_key(der, password=None)
            if isinstance(private, rsa.RSAPrivateKey):
                return IssuerKey(made_s, der, private, RSAKey.import_key(private))
    raise Refusal(errors.DATA_INTEGRITY_ERROR)
