"""The token endpoint lies, errs, redirects and hangs; codes and secrets go there and nowhere else (OI-12, OI-16)."""

import base64
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import RSAKey

from enclave.config import ClientSecret, OidcClient
from enclave.config.oidc import GeneratedSecret, SecretClaims, SigningKey, validate_client
from enclave.errors import BootError, Refusal
from enclave.login.client_secrets import ClientProof, client_proof, secret_text
from enclave.login.provider_tls import ProviderTls
from enclave.login.token_endpoint import TokenEndpoint
from protocol import limits
from simulator import settings
from simulator.authorization import RequestError
from simulator.client_authentication import verify_client
from tests.enclave_login.login_support import HOST, LoopbackEgress, ScriptedServer, response

REDIRECT = "https://app.example.test/callback"
CLIENT = OidcClient(
    issuer=f"https://{HOST}", audience="app", redirect_uris=(REDIRECT,), token_endpoint=f"https://{HOST}/token"
)
SECRET_CANARY = "canary-of-the-secret"
CODE_CANARY = "canary-of-the-code"
PROOF = ClientProof(form={"client_id": "app", "client_secret": SECRET_CANARY})


@dataclass
class Provider:
    server: ScriptedServer
    egress: LoopbackEgress
    endpoint: TokenEndpoint

    async def redeem(self, answer: bytes | None, client: OidcClient = CLIENT) -> str:
        self.server.answers["/token"] = answer
        return await self.endpoint.redeem(client, PROOF, CODE_CANARY, REDIRECT, "0x00")

    async def refusal(self, answer: bytes | None) -> tuple[str, str]:
        with pytest.raises(Refusal) as caught:
            await self.redeem(answer)
        assert SECRET_CANARY not in f"{caught.value!r} {caught.value.cause}"
        assert CODE_CANARY not in f"{caught.value!r} {caught.value.cause}"
        return caught.value.error.name, caught.value.cause


@pytest.fixture
async def provider(server_context: ssl.SSLContext, provider_tls: ProviderTls) -> AsyncIterator[Provider]:
    async with ScriptedServer().listening(server_context) as server:
        egress = LoopbackEgress({(HOST, 443): server.port, ("keys.example.test", 443): server.port})
        yield Provider(server, egress, TokenEndpoint(egress, provider_tls))


def answer(status: int = 200, content_type: str = "application/json", extra: str = "", **members: Any) -> bytes:
    return response(json.dumps(members).encode(), status=status, content_type=content_type, extra=extra)


async def test_token_of_a_good_answer_is_returned(provider: Provider) -> None:
    assert await provider.redeem(answer(id_token="a.b.c", access_token="x", token_type="Bearer")) == "a.b.c"
    assert await provider.redeem(answer(content_type="application/json; charset=utf-8", id_token="a.b.c")) == "a.b.c"


FAILED = "IdentityProviderError"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (answer(400, error="invalid_grant", error_description="x"), ("OAuthError", "invalid_grant")),
        (answer(200, error="invalid_grant", id_token="a.b.c"), ("OAuthError", "invalid_grant")),
        (answer(401, error="invalid_client"), ("OAuthError", "invalid_client")),
        (answer(400, error=f"{CODE_CANARY} {SECRET_CANARY}"), (FAILED, "provider-status")),
        (answer(400, error=7), (FAILED, "provider-status")),
        (answer(500, error="server_error"), (FAILED, "provider-status")),
        (answer(500, id_token="a.b.c"), (FAILED, "provider-status")),
        (
            answer(302, id_token="a.b.c", extra="Location: https://keys.example.test/token\r\n"),
            (FAILED, "provider-status"),
        ),
        (answer(307, "text/html", "Location: https://keys.example.test/token\r\n"), (FAILED, "provider-status")),
        (answer(200, "text/html", id_token="a.b.c"), (FAILED, "provider-content-type")),
        (answer(access_token="x"), (FAILED, "provider-id-token")),
        (answer(id_token=None), (FAILED, "provider-id-token")),
        (answer(id_token=["a.b.c"]), (FAILED, "provider-id-token")),
        (response(b"[]"), (FAILED, "provider-json")),
        (response(b'{"id_token":"a.b.c","id_token":"d.e.f"}'), (FAILED, "provider-json")),
        (response(b'{"a":' + b"[" * 20 + b"]" * 20 + b"}"), (FAILED, "provider-json")),
        (response(b"\xff"), (FAILED, "provider-json")),
        (b"HTTP/1.1 200 X\r\n\r\n", (FAILED, "http-malformed")),
        (b"", (FAILED, "http-malformed")),
    ],
)
async def test_bad_answer_is_one_refusal(provider: Provider, raw: bytes, expected: tuple[str, str]) -> None:
    """Defect 15 of the original: an answer without a token took the connection down; 24: redirects were followed."""
    assert await provider.refusal(raw) == expected
    assert provider.server.targets == ["/token"]


async def test_answer_at_the_cap_passes_and_one_byte_more_is_refused(provider: Provider) -> None:
    body = json.dumps({"id_token": "a.b.c", "access_token": ""})
    padding = limits.MAX_TOKEN_REPLY_BYTES - len(body)
    assert await provider.redeem(answer(id_token="a.b.c", access_token="x" * padding)) == "a.b.c"
    longer = answer(id_token="a.b.c", access_token="x" * (padding + 1))
    assert await provider.refusal(longer) == (FAILED, "http-too-large")


async def test_endpoint_that_hangs_meets_the_deadline(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IDENTITY_PROVIDER_DEADLINE_S", 0.1)
    assert await provider.refusal(None) == (FAILED, "http-deadline")


async def test_secret_goes_nowhere_without_the_right_certificate(provider: Provider) -> None:
    elsewhere = OidcClient(
        issuer=CLIENT.issuer,
        audience="app",
        redirect_uris=(REDIRECT,),
        token_endpoint="https://elsewhere.example/token",
    )
    provider.egress.ports["elsewhere.example", 443] = provider.server.port
    with pytest.raises(Refusal) as caught:
        await provider.redeem(answer(id_token="a.b.c"), elsewhere)
    assert caught.value.cause == "tls-certificate"
    assert provider.server.requests == []


async def test_client_without_code_flow_sends_nothing(provider: Provider) -> None:
    with pytest.raises(Refusal) as caught:
        await provider.redeem(answer(id_token="a.b.c"), OidcClient(issuer=CLIENT.issuer, audience="app"))
    assert caught.value.cause == "provider-token-endpoint"
    assert provider.server.requests == []


# --- client secrets ---


def team_client() -> OidcClient:
    return msgspec.convert(settings.oidc_clients()[2], OidcClient)


def test_generated_secret_passes_a_provider_that_checks_every_claim() -> None:
    registered = settings.registered_clients()[2]
    client = team_client()
    assert isinstance(client.client_secret, ClientSecret)
    text = secret_text(client.client_secret, 1_700_000_000)
    verify_client(registered, text, settings.ISSUER, 1_700_000_000)
    verify_client(registered, text, settings.ISSUER, 1_700_000_299)
    for issuer, now_s in (
        (settings.ISSUER, 1_700_000_300),
        (settings.ISSUER, 1_699_999_999),
        ("https://x", 1_700_000_000),
    ):
        with pytest.raises(RequestError):
            verify_client(registered, text, issuer, now_s)
    head, payload, _ = text.split(".")
    members = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "ES256", "kid": settings.TEAM_KEY_ID}
    assert members == {
        "iss": settings.TEAM_ID,
        "aud": settings.ISSUER,
        "sub": settings.TEAM_CLIENT_ID,
        "iat": 1_700_000_000,
        "exp": 1_700_000_300,
    }


def test_generated_secret_with_rsa() -> None:
    key = rsa.generate_private_key(65537, 2048)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    signing_key = SigningKey(kid="k", alg="RS256", private_key=base64.b64encode(der).decode())
    claims = SecretClaims(iss="i", aud="a", sub="s")
    secret = ClientSecret(generate_jwt=GeneratedSecret(claims=claims, signing_key=signing_key))
    public = RSAKey.import_key(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert jwt.decode(secret_text(secret, 1), public, algorithms=["RS256"]).claims["iss"] == "i"


def test_basic_credentials_are_form_encoded_first() -> None:
    client = OidcClient(
        issuer=CLIENT.issuer,
        audience="a:b",
        client_authentication="client_secret_basic",
        client_secret=ClientSecret(value="p%: +"),
    )
    assert isinstance(client.client_secret, ClientSecret)
    header = client_proof(client, client.client_secret, 0).headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(header) == b"a%3Ab:p%25%3A+%2B"


def test_no_text_shows_a_secret() -> None:
    proof = ClientProof(headers={"a": SECRET_CANARY}, form={"b": SECRET_CANARY})
    secret = ClientSecret(value=SECRET_CANARY)
    holder = OidcClient(issuer=CLIENT.issuer, audience="app", client_secret=secret)
    key = SigningKey(kid="k", alg="ES256", private_key=SECRET_CANARY)
    assert SECRET_CANARY not in f"{proof!r} {proof} {secret!r} {secret} {holder!r} {key!r}"


# --- what a configuration may say ---

GOOD_URIS = [
    "https://app.example.test",
    "https://app.example.test/",
    "https://app.example.test:8443/a/b?c=d",
    "http://localhost:3000/callback",
    "http://127.0.0.1/cb",
    "http://[::1]:1/cb",
    "com.example.app:/cb",
]


@pytest.mark.parametrize("uri", GOOD_URIS)
def test_redirect_uri_is_accepted(uri: str) -> None:
    validate_client(
        OidcClient(issuer=CLIENT.issuer, audience="a", redirect_uris=(uri,), token_endpoint=CLIENT.token_endpoint)
    )


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {"redirect_uris": (uri,)}
            for uri in (
                "javascript:alert(1)",
                "data:text/html,x",
                "http://app.example.test/cb",
                "https://app.example.test/cb#fragment",
                "https://user@app.example.test/cb",
                "https://app.example.test/c b",
                "app:/cb",
                "/callback",
                "https://app.example.test/" + "x" * 226,
            )
        ),
        {"redirect_uris": ()},
        {"token_endpoint": ""},
        {"token_endpoint": "http://idp.example.test/token"},
        {"token_endpoint": "https://user@idp.example.test/token"},
        {"client_authentication": "client_secret_post"},
        {"client_secret": ClientSecret(value="x")},
        {"client_authentication": "client_secret_post", "client_secret": ClientSecret()},
        {"client_authentication": "client_secret_post", "client_secret": ClientSecret(value="line\nbreak")},
        {
            "client_authentication": "client_secret_post",
            "client_secret": ClientSecret(
                generate_jwt=GeneratedSecret(
                    claims=SecretClaims(iss="i", aud="a", sub="s"),
                    signing_key=SigningKey(kid="k", alg="ES256", private_key="AAAA"),
                )
            ),
        },
    ],
)
def test_configuration_that_would_weaken_the_code_flow_refuses_the_boot(changes: dict[str, Any]) -> None:
    members: dict[str, Any] = {"issuer": CLIENT.issuer, "audience": "a", "redirect_uris": (REDIRECT,)}
    members |= {"token_endpoint": CLIENT.token_endpoint}
    validate_client(OidcClient(**members))
    with pytest.raises(BootError):
        validate_client(OidcClient(**(members | changes)))
