"""Targets for what tenants bring: documents, headers that ask for signed answers, administrators' tokens."""

from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import RSAKey

from enclave.config import Config
from enclave.config.tenancy import AdminTokens
from enclave.errors import Refusal
from enclave.response_signing import parse_accept_signature
from enclave.rpc.bearer import READER, BearerTokens
from enclave.tenants.document import TenantError, parse_document, validate_document
from protocol import canonical_json
from tests.appliance import AUDIENCE, ISSUER, config
from tests.fuzz.target import Target
from tests.waas.embedded import TEMPLATE, embedded, scopes
from tests.waas.tenancy import TENANT_ORIGIN, hashed, tenancy

NOW_S = 1_800_000_000


@cache
def _config() -> Config:
    return config(scopes=scopes(), tenancy=tenancy())


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def _tokens() -> BearerTokens:
    pem = _key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return BearerTokens(AdminTokens(public_key=pem, audience="a"))


def _document(data: bytes) -> object:
    """A document that is taken says the same again."""
    document = parse_document(data)
    validate_document(document, _config())
    if canonical_json.canonicalize(canonical_json.parse(data)) != data:
        raise AssertionError("two spellings of one document")
    return document


def _accepted(data: bytes) -> object:
    wanted = parse_accept_signature(data.decode("latin-1"), ())
    if wanted.components[-1] != "content-digest":
        raise AssertionError("a signature that does not cover the body")
    return wanted


def _bearer(data: bytes) -> object:
    return _tokens().verify_reader(data.decode("latin-1"), NOW_S)


def _documents() -> list[bytes]:
    inside = embedded(project_id=500, access_keys=[], access_key_hashes=[hashed("tenant-access-key")])
    tenant: dict[str, Any] = {"scope": "@500", "origins": [TENANT_ORIGIN], "rights": ["sign_payload"]}
    tenant |= {"wallet": TEMPLATE, "embedded": inside, "oidc": [{"issuer": ISSUER, "audience": AUDIENCE}]}
    facts = {"version": 1, "deployment": "test-deployment", "activate_before_s": NOW_S, "tenant": tenant}
    return [canonical_json.canonicalize(facts)]


def _bearers() -> list[bytes]:
    claims = {"aud": "a", "iat": NOW_S, "exp": NOW_S + 60, "roles": [READER]}
    token = jwt.encode({"alg": "RS256"}, claims, RSAKey.import_key(_key()), algorithms=["RS256"])
    return [f"Bearer {token}".encode()]


TARGETS = {
    "tenant_document": Target(_document, (TenantError,), _documents),
    "accept_signature": Target(
        _accepted, (Refusal,), lambda: [b'sig=("@status" "@path");alg="rsa-pss-sha256";nonce="n"', b"sig=()"]
    ),
    "bearer_token": Target(_bearer, (Refusal,), _bearers),
}
