"""Identity providers' keys and tokens, each limit at its cap and one beyond (OI-02, OI-04, OI-10, OI-11)."""

import base64
import contextlib
import json
import ssl
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from enclave.config import OidcClient
from enclave.errors import Refusal
from enclave.login.id_token import verify_id_token
from enclave.login.jwks import KeySets
from enclave.login.provider_keys import ProviderAnswerError, ProviderKey, parse_discovery, parse_key_set
from protocol import limits
from tests.appliance import ClosedEgress

ISSUER, AUDIENCE, NOW_S = "https://idp.example.test", "app", 1_800_000_000
CLIENT = OidcClient(issuer=ISSUER, audience=AUDIENCE)
CLAIMS: dict[str, Any] = {"iss": ISSUER, "sub": "subject", "aud": AUDIENCE, "iat": NOW_S, "exp": NOW_S + 300}
KEY = ec.generate_private_key(ec.SECP256R1())


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_jwk(kid: str) -> dict[str, str]:
    numbers = KEY.public_key().public_numbers()
    x, y = (b64u(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid}


def token(kid: str = "k", payload: bytes = b"", **claims: Any) -> str:
    """A token of the one key, whatever its name and claims."""
    head = b64u(json.dumps({"alg": "ES256", "kid": kid}).encode())
    signed = f"{head}.{b64u(payload or json.dumps(CLAIMS | claims).encode())}"
    r, s = decode_dss_signature(KEY.sign(signed.encode(), ec.ECDSA(SHA256())))
    return f"{signed}.{b64u(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class AnyName:
    """Stands where `KeySets` stands: one key under every name."""

    async def key(self, client: OidcClient, kid: str) -> ProviderKey:
        return parse_key_set(json.dumps({"keys": [public_jwk("k")]}).encode())["k"]


async def cause_of(text: str) -> str:
    """Empty when the token is taken."""
    try:
        await verify_id_token(text, CLIENT, AnyName(), now_s=NOW_S)  # type: ignore[arg-type]
    except Refusal as refusal:
        return refusal.cause
    return ""


async def test_key_id_of_a_token() -> None:
    assert await cause_of(token("k" * limits.MAX_KEY_ID_CHARS)) == ""
    assert await cause_of(token("k" * (limits.MAX_KEY_ID_CHARS + 1))) == "token header is not accepted"


def test_key_id_of_a_key() -> None:
    def names(length: int) -> list[str]:
        return list(parse_key_set(json.dumps({"keys": [public_jwk("k" * length)]}).encode()))

    assert names(limits.MAX_KEY_ID_CHARS) == ["k" * limits.MAX_KEY_ID_CHARS]
    assert names(limits.MAX_KEY_ID_CHARS + 1) == []


async def test_audiences() -> None:
    others = [f"app-{number}" for number in range(limits.MAX_AUDIENCES)]
    assert await cause_of(token(aud=[AUDIENCE, *others[1:]], azp=AUDIENCE)) == ""
    assert await cause_of(token(aud=[AUDIENCE, *others], azp=AUDIENCE)) == "token audience does not match"


def nested(depth: int) -> bytes:
    inner = json.dumps(CLAIMS).encode()[:-1]
    return inner + b',"x":' + b"[" * (depth - 1) + b"1" + b"]" * (depth - 1) + b"}"


async def test_depth_of_claims() -> None:
    assert await cause_of(token(payload=nested(limits.MAX_JWT_DEPTH))) == ""
    assert await cause_of(token(payload=nested(limits.MAX_JWT_DEPTH + 1))) == "token is malformed"


def test_depth_of_what_a_provider_publishes() -> None:
    def metadata(depth: int) -> bytes:
        text = json.dumps({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"}).encode()
        return text[:-1] + b',"x":' + b"[" * (depth - 1) + b"1" + b"]" * (depth - 1) + b"}"

    assert parse_discovery(metadata(limits.MAX_JWT_DEPTH), CLIENT).target == "/jwks"
    with pytest.raises(ProviderAnswerError, match="provider-json"):
        parse_discovery(metadata(limits.MAX_JWT_DEPTH + 1), CLIENT)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_size_of_an_rsa_key() -> None:
    def is_taken(bits: int) -> bool:
        modulus = (1 << (bits - 1)) | (1 << 17) | 1
        n = b64u(modulus.to_bytes((bits + 7) // 8, "big"))
        key = {"kty": "RSA", "kid": "k", "n": n, "e": b64u(b"\x01\x00\x01")}
        return "k" in parse_key_set(json.dumps({"keys": [key]}).encode())

    smallest, largest = limits.MIN_RSA_BITS, limits.MAX_RSA_BITS
    assert [is_taken(bits) for bits in (smallest - 1, smallest, largest, largest + 1)] == [False, True, True, False]


class CountedKeySets(KeySets):
    """Counts fetches, which fail while `down`."""

    def __init__(self) -> None:
        self.now_ms, self.fetches, self.down = 1_000_000, 0, False
        super().__init__(ClosedEgress(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), lambda: self.now_ms)

    async def _fetch(self, client: OidcClient) -> dict[str, ProviderKey]:
        self.fetches += 1
        if self.down:
            raise ProviderAnswerError("provider-status")
        return parse_key_set(json.dumps({"keys": [public_jwk("k")]}).encode())

    async def fetches_after_s(self, seconds: float, kid: str) -> int:
        self.now_ms += round(seconds * 1000)
        with contextlib.suppress(Refusal):
            await self.key(CLIENT, kid)
        return self.fetches


async def test_unknown_key_is_looked_for_at_the_interval_and_not_before() -> None:
    key_sets = CountedKeySets()
    assert await key_sets.fetches_after_s(0, "k") == 1
    assert await key_sets.fetches_after_s(limits.KEY_SET_REFRESH_INTERVAL_S - 0.001, "unknown") == 1
    assert await key_sets.fetches_after_s(0.001, "unknown") == 2


async def test_failing_provider_is_asked_at_the_interval_and_not_before() -> None:
    key_sets = CountedKeySets()
    key_sets.down = True
    assert await key_sets.fetches_after_s(0, "k") == 1
    assert await key_sets.fetches_after_s(limits.KEY_SET_RETRY_INTERVAL_S - 0.001, "k") == 1
    assert await key_sets.fetches_after_s(0.001, "k") == 2
