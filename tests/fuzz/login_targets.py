"""Targets for what a login brings: ID tokens, what providers publish, mail addresses."""

import base64
import hashlib
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from enclave.config import OidcClient
from enclave.errors import PortError, Refusal
from enclave.login.id_token import verify_id_token
from enclave.login.issuers import parse_https_url
from enclave.login.otp import normalize_email
from enclave.login.passkey.authenticator_data import parse_authenticator_data
from enclave.login.passkey.client_data import verify_client_data
from enclave.login.passkey.public_key import parse_public_key
from enclave.login.passkey.response import parse_assertion, parse_registration
from enclave.login.provider_keys import ProviderKey, parse_discovery, parse_key_set
from enclave.login.token_endpoint import read_id_token
from enclave.net.http import HttpResponse
from tests.enclave_login.authenticator import Authenticator
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


RP_ID, ORIGIN, CHALLENGE = "wallet.example.test", "https://wallet.example.test", "c" * 43
PASSKEY = Authenticator(RP_ID, extensions={"credProtect": 2})


def _attested(device: Authenticator) -> bytes:
    registration = parse_registration(text(encoded(device.create(CHALLENGE, ORIGIN))))
    return registration.authenticator_data


def _register(data: bytes) -> object:
    made = parse_registration(text(data))
    verify_client_data(made.client_data, "create", CHALLENGE, [ORIGIN])
    return parse_authenticator_data(made.authenticator_data, RP_ID, created=True)


def _assert(data: bytes) -> object:
    given = parse_assertion(text(data))
    verify_client_data(given.client_data, "get", CHALLENGE, [ORIGIN])
    key = parse_public_key(PASSKEY.public_key())
    key.verify(given.signature, given.authenticator_data + hashlib.sha256(given.client_data).digest())
    return parse_authenticator_data(given.authenticator_data, RP_ID, created=False)


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
    "token_answer": Target(
        lambda data: read_id_token(HttpResponse(200, {"content-type": "application/json"}, data)),
        (Refusal,),
        lambda: [encoded({"id_token": "a.b.c", "access_token": "x", "expires_in": 300})],
    ),
    "passkey_registration": Target(_register, (Refusal,), lambda: [encoded(PASSKEY.create(CHALLENGE, ORIGIN))]),
    "passkey_assertion": Target(_assert, (Refusal,), lambda: [encoded(PASSKEY.get(CHALLENGE, ORIGIN))]),
    "passkey_data": Target(
        lambda data: parse_authenticator_data(data, RP_ID, created=True), (Refusal,), lambda: [_attested(PASSKEY)]
    ),
    "mail_address": Target(lambda data: normalize_email(text(data)), (Refusal,), lambda: [b" User@Example.com "]),
}
