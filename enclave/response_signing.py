"""Signed answers for clients that ask for them: a part of RFC 9421, as published clients check it.

`Accept-Signature: sig=("@status");alg="rsa-v1_5-sha256";nonce="..."` asks; what is covered is what was asked for, and
the digest of the body in any case. Scheme and authority are those of the configured issuer: the host's word for them
would be worth nothing (waas-guard-intents.md 1.12).
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from enclave.clock import TrustedClock
from enclave.config.issuer import Issuer
from enclave.errors import Refusal
from enclave.issuer_keys import IssuerKeys
from enclave.rpc.envelope import Call
from protocol import errors, limits

_DIGEST: Final = "content-digest"
_ASKED: Final = re.compile(
    r"[A-Za-z0-9_-]{1,16}=\((?P<components>[ ]*(?:\"[@a-z0-9-]{1,64}\"(?:[ ]+|(?=\))))*)\)"
    r"(?P<parameters>(?:;[ ]*(?:(?:alg|nonce)=\"[A-Za-z0-9_-]{1,64}\"|created|keyid))*)\Z"
)
_ALWAYS: Final = frozenset(
    {"@method", "@path", "@scheme", "@authority", "@target-uri", "@status", "content-length", "content-type", _DIGEST}
)
_COMPONENT: Final = re.compile(r'"([^"]*)"')
_PARAMETER: Final = re.compile(r';[ ]*(alg|nonce)="([^"]*)"')
_DEFAULT: Final = "rsa-v1_5-sha256"
_HASHES: Final[tuple[HashAlgorithm, ...]] = (SHA256(), SHA384(), SHA512())
_SCHEMES: Final[Mapping[str, tuple[AsymmetricPadding, HashAlgorithm]]] = {
    **{f"rsa-v1_5-{chosen.name}": (PKCS1v15(), chosen) for chosen in _HASHES},
    **{f"rsa-pss-{chosen.name}": (PSS(MGF1(chosen), chosen.digest_size), chosen) for chosen in _HASHES},
}
"""Salts are as long as the hash (RFC 9421 section 3.3.1)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asked for: components in its order, algorithm, its nonce or None."""

    components: tuple[str, ...]
    algorithm: str
    nonce: str | None


def parse_accept_signature(text: str, present: Iterable[str]) -> Wanted:
    """The one signature that a header asks for, over what every answer has and the headers `present`. BAD_REQUEST for
    what is none, or asks for what there is not: before the work, whose result nobody should lose for that.
    """
    match = _ASKED.match(text) if len(text) <= limits.MAX_ACCEPT_SIGNATURE_CHARS else None
    if match is None:
        _refuse()
    components = tuple(_COMPONENT.findall(match["components"]))
    pairs = _PARAMETER.findall(match["parameters"])
    parameters = dict(pairs)
    algorithm = parameters.get("alg", _DEFAULT)
    if len(parameters) != len(pairs) or len(set(components)) != len(components) or algorithm not in _SCHEMES:
        _refuse()
    if not _ALWAYS.union(present) >= set(components):
        _refuse()
    return Wanted((*(name for name in components if name != _DIGEST), _DIGEST), algorithm, parameters.get("nonce"))


class ResponseSigner:
    """Signs answers with the issuer's key."""

    def __init__(self, issuer: Issuer, keys: IssuerKeys, clock: TrustedClock) -> None:
        url = urlsplit(issuer.url)
        self._scheme, self._authority = url.scheme, url.netloc
        self._keys = keys
        self._clock = clock

    def wanted(self, text: str, present: Iterable[str]) -> Wanted:
        """What an `Accept-Signature` header asks for; see `parse_accept_signature`."""
        return parse_accept_signature(text, present)

    async def sign(
        self, wanted: Wanted, call: Call, status: int, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        """The headers that sign this answer."""
        key = await self._keys.current()
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        values = {
            **headers,
            "content-length": str(len(body)),
            _DIGEST: digest,
            "@method": call.http_method,
            "@path": call.path,
            "@scheme": self._scheme,
            "@authority": self._authority,
            "@target-uri": f"{self._scheme}://{self._authority}{call.path}",
            "@status": str(status),
        }
        names = " ".join(f'"{name}"' for name in wanted.components)
        parameters = f'({names});created={self._clock.now_s()};keyid="{key.kid}";alg="{wanted.algorithm}"'
        if wanted.nonce is not None:
            parameters += f';nonce="{wanted.nonce}"'
        lines = [f'"{name}": {values[name]}' for name in wanted.components]
        base = "\n".join([*lines, f'"@signature-params": {parameters}']).encode()
        signature = base64.b64encode(key.private.sign(base, *_SCHEMES[wanted.algorithm])).decode()
        return {_DIGEST: digest, "signature-input": f"sig={parameters}", "signature": f"sig=:{signature}:"}


def _refuse() -> NoReturn:
    raise Refusal(errors.BAD_REQUEST, "Accept-Signature cannot be satisfied")
