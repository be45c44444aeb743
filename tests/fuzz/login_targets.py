"""Targets for what a login brings: ID tokens, what providers publish, mail addresses."""

import base64
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from enclave.config import OidcClient
from enclave.errors import PortError, Refusal
from enclave.login.id_token import verify_id_token
from enclave.login.issuers import parse_https_url
from enclave.login.otp import normalize_email
from enclave.login.provider_keys import ProviderKey, parse_discovery, parse_key_set
from tests.fuzz.loop import run
from tests.fuzz.target import Target
from tests.fuzz.wire_targets import encoded, text

ISSUER, NOW_S = "https://idp.example.test", 1_800_000_000
CLIENT = OidcClient(issuer=ISSUER, audience="app", key_hosts=("keys.example.test",))
CLAIMS = {"iss": ISSUER, "sub": "subject", "aud": "app", "iat": NOW_S, "exp": NOW_S + 300, "email": "a@b.example"}
SIGNING_KEY = ec.generate_private_key(ec.SECP256R1())
TOKEN = (Refusal, PortError)


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def _jwk() -> dict[str, str]:
    numbers = SIGNING_KEY.public_key().public_numbers()
    x, y = (b64u(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "k", "use": "sig", "alg": "ES256"}


def _rsa_jwk() -> dict[str, str]:
    modulus = (1 << 2047) | (1 << 1000) | 1
    return {"kty": "RSA", "n": b64u(modulus.to_bytes(256, "big")), "e": "AQAB", "kid": "r", "key_ops": ["verify"]}  # type: ignore[dict-item]


class _OneKey:
    async def key(self, client: OidcClient, kid: str) -> ProviderKey:
        return parse_key_set(encoded({"keys": [_jwk()]}))["k"]


def _verify(token: str) -> object:
    return run(verify_id_token(token, CLIENT, _OneKey(), now_s=NOW_S))  # type: ignore[arg-type]


def _sign(header: bytes, claims: bytes) -> str:
    signed = f"{b64u(header)}.{b64u(claims)}"
    r, s = decode_dss_signature(SIGNING_KEY.sign(signed.encode(), ec.ECDSA(SHA256())))
    return f"{signed}.{b64u(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


HEADER = encoded({"alg": "ES256", "kid": "k", "typ": "JWT"})


TARGETS = {
    "id_token": Target(lambda data: _verify(text(data)), TOKEN, lambda: [_sign(HEADER, encoded(CLAIMS)).encode()]),
    "id_token_header": Target(lambda data: _verify(_sign(data, encoded(CLAIMS))), TOKEN, lambda: [HEADER]),
    "id_token_claims": Target(lambda data: _verify(_sign(HEADER, data)), TOKEN, lambda: [encoded(CLAIMS)]),
    "discovery": Target(
        lambda data: parse_discovery(data, CLIENT),
        (PortError,),
        lambda: [encoded({"issuer": ISSUER, "jwks_uri": "https://keys.example.test/jwks?x=1", "more": [{}]})],
    ),
    "key_set": Target(parse_key_set, (PortError,), lambda: [encoded({"keys": [_jwk(), _rsa_jwk()]})]),
    "issuer_url": Target(lambda data: parse_https_url(text(data)), (), lambda: [b"https://a.test:8443/path?query"]),
    "mail_address": Target(lambda data: normalize_email(text(data)), (Refusal,), lambda: [b" User@Example.com "]),
}
