"""Unmodified boto3 against the listener: every operation, real host names through a CONNECT proxy, TLS refusals."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, SSLError
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from protocol.services import Credentials
from simulator.kms.faults import Fault
from simulator.kms.server import KmsServer, serve
from simulator.tls import ServerCertificate, TlsAuthority, issue_self_signed
from tests.simulator_kms.kms_world import CONTEXT, HOLDERS, World, opened

REGION, OTHER_REGION, _ = HOLDERS
AUTHORITY = TlsAuthority.create()


@dataclass
class Endpoint:
    """A listening server, and boto3 clients that dial the real host names through a proxy in front of it."""

    world: World
    server: KmsServer
    proxy_port: int
    authority_file: str

    def client(self, region: str, credentials: Credentials) -> Any:
        proxies = {"https": f"http://127.0.0.1:{self.proxy_port}"}
        return self._client(region, credentials, None, Config(proxies=proxies, retries={"total_max_attempts": 1}))

    def loopback_client(self, region: str, credentials: Credentials, read_timeout_s: float = 10) -> Any:
        config = Config(read_timeout=read_timeout_s, retries={"total_max_attempts": 1})
        return self._client(region, credentials, f"https://localhost:{self.server.port}", config)

    def _client(self, region: str, credentials: Credentials, url: str | None, config: Config) -> Any:
        return boto3.client(
            "kms",
            region_name=region,
            endpoint_url=url,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            verify=self.authority_file,
            config=config,
        )

    async def call(self, client: Any, operation: str, **members: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await asyncio.to_thread(getattr(client, operation), **members)
        return answer

    async def refused(self, client: Any, operation: str, **members: Any) -> str:
        with pytest.raises(ClientError) as refused:
            await self.call(client, operation, **members)
        return str(refused.value.response["Error"]["Code"])


@asynccontextmanager
async def connect_proxy(port: int) -> AsyncIterator[int]:
    """An HTTP CONNECT proxy that leads every destination to `port`, as the simulator's egress does."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        onward = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, onward[1]), pump(onward[0], writer))

    proxy = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield proxy.sockets[0].getsockname()[1]
    finally:
        proxy.close()


@asynccontextmanager
async def listening(world: World, certificate: ServerCertificate | None = None) -> AsyncIterator[Endpoint]:
    authority_file = world.folder / "roots.pem"
    authority_file.write_text(AUTHORITY.certificate_pem)
    certificate = certificate or AUTHORITY.issue(*world.service.hosts(), "localhost", "127.0.0.1")
    async with (
        await serve(world.service, "127.0.0.1", 0, certificate.server_context()) as server,
        connect_proxy(server.port) as proxy_port,
    ):
        yield Endpoint(world, server, proxy_port, str(authority_file))


@pytest.fixture
async def endpoint(world: World) -> AsyncIterator[Endpoint]:
    async with listening(world) as running:
        yield running


def recipient(world: World) -> dict[str, Any]:
    return {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": world.document()}


def open_policy(region: str, *actions: str) -> dict[str, Any]:
    """Everything for everybody in the account's own identity policies: a key without a guard."""
    principal = {"AWS": f"arn:aws:iam::{HOLDERS[region]}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": list(actions) or "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.mark.parametrize("region", HOLDERS)
async def test_attested_data_key_by_real_host_name(endpoint: Endpoint, region: str) -> None:
    client = endpoint.client(region, endpoint.world.enclave[region])
    assert client.meta.endpoint_url == f"https://kms.{region}.amazonaws.com"
    attested = {"EncryptionContext": CONTEXT, "Recipient": recipient(endpoint.world)}
    made = await endpoint.call(
        client, "generate_data_key", KeyId=endpoint.world.keys[region], KeySpec="AES_256", **attested
    )
    back = await endpoint.call(client, "decrypt", CiphertextBlob=made["CiphertextBlob"], **attested)
    assert "Plaintext" not in made
    assert "Plaintext" not in back
    assert made["KeyId"] == back["KeyId"] == endpoint.world.keys[region]
    assert opened(made) == opened(back)
    assert await endpoint.refused(client, "decrypt", CiphertextBlob=made["CiphertextBlob"]) == "AccessDeniedException"


async def test_every_operation_with_and_without_recipient(endpoint: Endpoint) -> None:
    world = endpoint.world
    root = world.service.issue_credentials(f"arn:aws:iam::{HOLDERS[REGION]}:root")
    key = world.service.create_key(REGION, HOLDERS[REGION], open_policy(REGION))
    client = endpoint.client(REGION, root)
    keyed = {"KeyId": key, "EncryptionContext": CONTEXT}
    sealed = recipient(world)

    clear = await endpoint.call(client, "generate_random", NumberOfBytes=1024)
    assert len(clear["Plaintext"]) == 1024
    hidden = await endpoint.call(client, "generate_random", NumberOfBytes=1024, Recipient=sealed)
    assert len(opened(hidden)) == 1024
    assert not hidden.get("Plaintext")

    clear = await endpoint.call(client, "generate_data_key", NumberOfBytes=48, **keyed)
    hidden = await endpoint.call(client, "decrypt", CiphertextBlob=clear["CiphertextBlob"], Recipient=sealed, **keyed)
    assert opened(hidden) == clear["Plaintext"]
    assert len(clear["Plaintext"]) == 48
    assert hidden["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"

    wrapped = await endpoint.call(client, "encrypt", Plaintext=b"s" * 4096, **keyed)
    clear = await endpoint.call(client, "decrypt", CiphertextBlob=wrapped["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert clear["Plaintext"] == b"s" * 4096


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1"])
async def test_data_key_pairs_match_and_reopen(endpoint: Endpoint, spec: str) -> None:
    world = endpoint.world
    root = world.service.issue_credentials(f"arn:aws:iam::{HOLDERS[REGION]}:root")
    key = world.service.create_key(REGION, HOLDERS[REGION], open_policy(REGION))
    client = endpoint.client(REGION, root)
    for more in ({}, {"Recipient": recipient(world)}):
        pair = await endpoint.call(client, "generate_data_key_pair", KeyId=key, KeyPairSpec=spec, **more)
        private = opened(pair) if more else pair["PrivateKeyPlaintext"]
        assert ("PrivateKeyPlaintext" in pair) is not bool(more)
        assert load_der_private_key(private, None).public_key() == load_der_public_key(pair["PublicKey"])
        back = await endpoint.call(client, "decrypt", CiphertextBlob=pair["PrivateKeyCiphertextBlob"])
        assert back["Plaintext"] == private


async def test_key_administration(endpoint: Endpoint) -> None:
    world = endpoint.world
    client = endpoint.client(REGION, world.holder[REGION])
    described = (await endpoint.call(client, "describe_key", KeyId=world.keys[REGION]))["KeyMetadata"]
    assert (described["Arn"], described["AWSAccountId"]) == (world.keys[REGION], HOLDERS[REGION])
    assert described["CreationDate"].timestamp() * 1000 == pytest.approx(world.clock_ms, abs=1)
    policy = json.loads((await endpoint.call(client, "get_key_policy", KeyId=world.keys[REGION]))["Policy"])
    assert policy["Statement"][0]["Sid"] == "OpenForTheMeasuredImage"

    async def put(document: object, **more: Any) -> dict[str, Any]:
        text = document if isinstance(document, str) else json.dumps(document)
        return await endpoint.call(client, "put_key_policy", KeyId=world.keys[REGION], Policy=text, **more)

    for wrong in ("{", open_policy(REGION, "kms:Decrypt")):
        with pytest.raises(ClientError) as refused:
            await put(wrong)
        assert refused.value.response["Error"]["Code"] == "MalformedPolicyDocumentException"
    policy["Statement"] = policy["Statement"][1:]
    await put(policy)
    call = {"KeyId": world.keys[REGION], "KeySpec": "AES_256", "Recipient": recipient(world)}
    enclave = endpoint.client(REGION, world.enclave[REGION])
    assert await endpoint.refused(enclave, "generate_data_key", **call) == "AccessDeniedException"
    assert await endpoint.refused(client, "generate_data_key", **call) == "AccessDeniedException"
    await put(open_policy(REGION, "kms:Decrypt"), BypassPolicyLockoutSafetyCheck=True)
    assert await endpoint.refused(client, "get_key_policy", KeyId=world.keys[REGION]) == "AccessDeniedException"


async def test_created_key_belongs_to_its_account_and_its_identity_policies(endpoint: Endpoint) -> None:
    world = endpoint.world
    create = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
    maker = world.service.issue_credentials(f"arn:aws:iam::{HOLDERS[REGION]}:user/maker", identity_policy=create)
    client = endpoint.client(REGION, maker)
    locked_out = json.dumps(open_policy(REGION, "kms:Decrypt"))
    assert await endpoint.refused(client, "create_key", Policy=locked_out) == "MalformedPolicyDocumentException"
    made = (await endpoint.call(client, "create_key"))["KeyMetadata"]
    assert made["Arn"].startswith(f"arn:aws:kms:{REGION}:{HOLDERS[REGION]}:key/")
    await endpoint.call(client, "generate_data_key", KeyId=made["KeyId"], KeySpec="AES_256")
    other = endpoint.client(REGION, world.holder[REGION])
    assert await endpoint.refused(other, "describe_key", KeyId=made["KeyId"]) == "AccessDeniedException"
    assert await endpoint.refused(other, "create_key") == "AccessDeniedException"


async def test_loopback_endpoint_url_works_too(endpoint: Endpoint) -> None:
    client = endpoint.loopback_client(REGION, endpoint.world.holder[REGION])
    answer = await endpoint.call(client, "describe_key", KeyId=endpoint.world.keys[REGION])
    assert answer["KeyMetadata"]["Arn"] == endpoint.world.keys[REGION]


async def test_wrong_secret_and_unknown_key_are_refused(endpoint: Endpoint) -> None:
    given = endpoint.world.enclave[REGION]
    wrong = Credentials(given.access_key_id, "x" * 40, given.session_token)
    unknown = Credentials("AKIA" + "A" * 16, "x" * 40, None)
    for credentials, kind in ((wrong, "InvalidSignatureException"), (unknown, "UnrecognizedClientException")):
        client = endpoint.client(REGION, credentials)
        assert await endpoint.refused(client, "describe_key", KeyId=endpoint.world.keys[REGION]) == kind


# --- failures on the wire ---


async def test_down_hung_and_busy_holders_look_like_it(endpoint: Endpoint) -> None:
    world = endpoint.world
    client = endpoint.loopback_client(REGION, world.holder[REGION], read_timeout_s=0.5)
    describe = {"KeyId": world.keys[REGION]}
    world.service.set_fault(REGION, Fault.DOWN)
    with pytest.raises(ConnectionClosedError):
        await endpoint.call(client, "describe_key", **describe)
    world.service.set_fault(REGION, Fault.HUNG)
    with pytest.raises(ReadTimeoutError):
        await endpoint.call(client, "describe_key", **describe)
    world.service.set_fault(REGION, Fault.THROTTLED)
    assert await endpoint.refused(client, "describe_key", **describe) == "ThrottlingException"
    world.service.set_fault(REGION, None)
    await endpoint.call(client, "describe_key", **describe)


WRONG: dict[str, Callable[[str], ServerCertificate]] = {
    "expired": AUTHORITY.issue_expired,
    "another authority": lambda name: TlsAuthority.create().issue(name),
    "another name": lambda _: AUTHORITY.issue(f"kms.{OTHER_REGION}.amazonaws.com"),
    "self-signed": issue_self_signed,
}


@pytest.mark.parametrize("kind", WRONG)
async def test_client_refuses_a_wrong_certificate(world: World, kind: str) -> None:
    host = f"kms.{REGION}.amazonaws.com"
    async with listening(world, WRONG[kind](host)) as running:
        client = running.client(REGION, world.holder[REGION])
        with pytest.raises(SSLError):
            await running.call(client, "describe_key", KeyId=world.keys[REGION])
