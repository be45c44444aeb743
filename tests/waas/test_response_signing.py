"""Signed answers (a part of RFC 9421): what is asked for is covered, and nothing that could not be vouched for."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from joserfc.jwk import RSAKey

from protocol import limits
from protocol.frames import Request, Response
from tests.appliance import World
from tests.waas.embedded import ACCESS_KEY, scopes
from tests.waas.test_id_tokens import ISSUER

CHAINS = "/rpc/WaasAuthenticator/ChainList"
SCHEMES: dict[str, tuple[AsymmetricPadding, HashAlgorithm]] = {
    "rsa-v1_5-sha256": (PKCS1v15(), SHA256()),
    "rsa-v1_5-sha384": (PKCS1v15(), SHA384()),
    "rsa-v1_5-sha512": (PKCS1v15(), SHA512()),
    "rsa-pss-sha256": (PSS(MGF1(SHA256()), 32), SHA256()),
    "rsa-pss-sha384": (PSS(MGF1(SHA384()), 48), SHA384()),
    "rsa-pss-sha512": (PSS(MGF1(SHA512()), 64), SHA512()),
}


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = World(pki_folder, scopes=scopes(), issuer=ISSUER)
    await made.boot()
    yield made
    await made.stop()


async def ask(world: World, accept: str, access_key: str = ACCESS_KEY, **headers: str) -> Response:
    sent = {"content-type": "application/json", "x-access-key": access_key, "accept-signature": accept} | headers
    return await world.enclave.answer(Request(1, f"POST {CHAINS}", sent, b"{}"))


async def public_key(world: World, kid: str) -> RSAPublicKey:
    answer = await world.enclave.answer(Request(1, "GET /.well-known/jwks.json", {}, b""))
    [found] = [key for key in json.loads(answer.body)["keys"] if key["kid"] == kid]
    key: RSAPublicKey = RSAKey.import_key(found).public_key
    return key


async def verify(world: World, answer: Response, lines: list[str], alg: str = "rsa-v1_5-sha256") -> str:
    """The parameters of the answer's signature, once it holds over `lines` and the digest of the body."""
    assert answer.headers["content-digest"] == digest_of(answer.body)
    parameters = answer.headers["signature-input"].removeprefix("sig=")
    match = re.search(r';created=([0-9]+);keyid="([^"]+)";alg="([^"]+)"', parameters)
    assert match is not None
    assert abs(int(match[1]) - world.clock.wall_ms() // 1000) <= 2
    assert match[3] == alg
    base = "\n".join([*lines, f'"content-digest": {digest_of(answer.body)}', f'"@signature-params": {parameters}'])
    signature = base64.b64decode(answer.headers["signature"].removeprefix("sig=:").removesuffix(":"))
    (await public_key(world, match[2])).verify(signature, base.encode(), *SCHEMES[alg])
    return parameters


def digest_of(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


async def test_what_published_clients_ask_for(world: World) -> None:
    answer = await ask(world, 'sig=();alg="rsa-v1_5-sha256"')
    assert (await verify(world, answer, [])).startswith('("content-digest");created=')


@pytest.mark.parametrize("alg", SCHEMES)
async def test_every_algorithm(world: World, alg: str) -> None:
    await verify(world, await ask(world, f'label-1=();alg="{alg}"'), [], alg)


async def test_every_component_in_the_order_of_the_request(world: World) -> None:
    names = ("@status", "@method", "@path", "@scheme", "@authority", "@target-uri", "content-type", "content-length")
    asked = " ".join(f'"{name}"' for name in names)
    answer = await ask(world, f'a=({asked});nonce="n-1";created;keyid')
    size = len(answer.body)
    lines = [
        '"@status": 200', '"@method": POST', f'"@path": {CHAINS}', '"@scheme": https',
        '"@authority": wallets.example.test', f'"@target-uri": https://wallets.example.test{CHAINS}',
        '"content-type": application/json', f'"content-length": {size}',
    ]  # fmt: skip
    parameters = await verify(world, answer, lines)
    assert parameters.endswith(';nonce="n-1"')
    assert parameters.startswith(f'({asked} "content-digest")')


async def test_refusals_and_documents_are_covered(world: World) -> None:
    refused = await ask(world, 'sig=("@status")', access_key="unknown-key")
    assert refused.status == 401
    await verify(world, refused, ['"@status": 401'])
    attested = await ask(world, 'sig=("x-attestation-document")', **{"x-attestation-nonce": "n"})
    document = attested.headers["x-attestation-document"]
    await verify(world, attested, [f'"x-attestation-document": {document}'])


async def test_signature_of_one_answer_is_none_of_another(world: World) -> None:
    answer = await ask(world, "sig=()")
    forged = Response(1, 200, answer.headers | {"content-digest": digest_of(b"{}")}, b"{}")
    with pytest.raises(InvalidSignature):
        await verify(world, forged, [])


@pytest.mark.parametrize(
    "accept",
    [
        "", "sig", "sig=(", 'sig=("@status"', "sig=(@status)", 'sig=();alg="none"', 'sig=();alg="hmac-sha256"',
        'sig=();alg="rsa-v1_5-sha1"', 'sig=();tag="x"', "sig=(), other=()", 'sig=("@query")', 'sig=("x-receipt")',
        'sig=("x-attestation-document")', 'sig=("@status" "@status")',
        'sig=();alg="rsa-pss-sha256";alg="rsa-pss-sha256"',
        'sig=();nonce="' + "x" * 65 + '"', "x" * 17 + "=()", 'sig=();nonce="a\\nb"', 'sig=("@status""@path")',
        "sig=(" + '"@status" ' * (limits.MAX_ACCEPT_SIGNATURE_CHARS // 10) + ")",
    ],
)  # fmt: skip
async def test_what_cannot_be_satisfied_is_refused_before_the_work(world: World, accept: str) -> None:
    answer = await ask(world, accept)
    assert answer.status == 400
    assert json.loads(answer.body)["cause"] == "Accept-Signature cannot be satisfied"


async def test_without_the_header_or_an_issuer_nothing_is_signed(world: World, pki_folder: Path) -> None:
    sent = {"content-type": "application/json", "x-access-key": ACCESS_KEY}
    plain = await world.enclave.answer(Request(1, f"POST {CHAINS}", sent, b"{}"))
    assert "signature" not in plain.headers
    made = World(pki_folder, scopes=scopes())
    await made.boot()
    try:
        answer = await ask(made, "sig=()")
        assert (answer.status, "signature" in answer.headers) == (200, False)
    finally:
        await made.stop()


async def test_header_at_the_cap_passes_and_one_character_more_is_refused(world: World) -> None:
    longest = "sig=(" + " " * (limits.MAX_ACCEPT_SIGNATURE_CHARS - len("sig=()")) + ")"
    assert (await ask(world, longest)).status == 200
    assert (await ask(world, longest.replace("( ", "(  "))).status == 400
