"""The default client: what it asks, and what it refuses as an answer (KM-01, KM-06, KM-09, the downgrade trap)."""

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from enclave.config import Holder
from enclave.errors import EgressError, KmsError, NsmError, PortError, StoreError
from enclave.kms import client
from enclave.kms.client import HttpsKms, parse_reply
from enclave.kms.recipient import RecipientKey
from enclave.net.http import HttpResponse
from protocol import limits
from protocol.services import Credentials
from tests.enclave_kms.envelopes import seal_to

ARN = "arn:aws:kms:eu-west-1:111111111111:key/11111111-2222-3333-4444-555555555555"
HOLDER = Holder(name="alpha", key_arn=ARN)
CONTEXT = {"deployment": "test", "purpose": "holder-key"}
RECIPIENT = RecipientKey()
PLAIN = bytes(range(32))
JSON = {"content-type": "application/x-amz-json-1.1"}


class FrozenClock:
    def wall_ms(self) -> int:
        return 1_700_000_000_000

    def monotonic_ms(self) -> int:
        return 0

    def source(self) -> str:
        return "kvm-clock"


class NoEgress:
    async def connect(self, host: str, port: int) -> Any:
        raise AssertionError("not reached")


class Service:
    """Stands where `enclave.net.http.request` stands: keeps the request and gives the prepared answer."""

    def __init__(self) -> None:
        self.members: dict[str, Any] = {
            "KeyId": ARN,
            "CiphertextBlob": base64.b64encode(b"blob").decode(),
            "CiphertextForRecipient": base64.b64encode(seal_to(RECIPIENT.public_key, PLAIN).encode()).decode(),
            "KeyMaterialId": "0" * 64,
        }
        self.status = 200
        self.headers: Mapping[str, str] = JSON
        self.body: bytes | None = None
        self.failure: Exception | None = None
        self.asked: dict[str, Any] = {}
        self.attested: list[bytes] = []
        self.hint = Credentials("AKID", "secret", "token")
        self.port_failure: PortError | None = None

    async def request(self, egress: Any, context: Any, **call: Any) -> HttpResponse:
        self.asked = call
        if self.failure:
            raise self.failure
        body = json.dumps(self.members).encode() if self.body is None else self.body
        return HttpResponse(self.status, self.headers, body)

    async def attest(self, public_key: bytes) -> bytes:
        if isinstance(self.port_failure, NsmError):
            raise self.port_failure
        self.attested.append(public_key)
        return b"document %d" % len(self.attested)

    async def credentials(self, name: str) -> Credentials:
        if isinstance(self.port_failure, StoreError):
            raise self.port_failure
        assert name == "alpha"
        return self.hint


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service()
    monkeypatch.setattr(client.http, "request", service.request)
    return service


def kms(service: Service) -> HttpsKms:
    return HttpsKms(
        egress=NoEgress(),
        tls_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        clock=FrozenClock(),
        recipient=RECIPIENT,
        attest=service.attest,
        credentials=service.credentials,
    )


async def fails_with(code: str, service: Service) -> None:
    for call in (kms(service).decrypt(HOLDER, b"blob", CONTEXT), kms(service).generate_data_key(HOLDER, CONTEXT)):
        with pytest.raises(KmsError) as caught:
            await call
        assert caught.value.code == code


async def test_decrypt_names_key_context_and_recipient(service: Service) -> None:
    with await kms(service).decrypt(HOLDER, b"blob", CONTEXT) as secret:
        assert bytes(secret.view) == PLAIN
    sent = json.loads(service.asked["body"])
    assert sent == {
        "KeyId": ARN,
        "CiphertextBlob": base64.b64encode(b"blob").decode(),
        "EncryptionContext": CONTEXT,
        "Recipient": {
            "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
            "AttestationDocument": base64.b64encode(b"document 1").decode(),
        },
    }
    assert service.attested == [RECIPIENT.public_key]
    assert (service.asked["host"], service.asked["port"]) == ("kms.eu-west-1.amazonaws.com", 443)
    assert service.asked["headers"]["X-Amz-Target"] == "TrentService.Decrypt"
    assert service.asked["max_body_bytes"] == limits.MAX_KMS_REPLY_BYTES


async def test_generate_data_key_asks_for_aes_256(service: Service) -> None:
    data_key = await kms(service).generate_data_key(HOLDER, CONTEXT)
    assert data_key.ciphertext_blob == b"blob"
    assert bytes(data_key.key.view) == PLAIN
    sent = json.loads(service.asked["body"])
    assert (sent["KeyId"], sent["KeySpec"], sent["EncryptionContext"]) == (ARN, "AES_256", CONTEXT)
    assert "NumberOfBytes" not in sent
    assert service.asked["headers"]["X-Amz-Target"] == "TrentService.GenerateDataKey"


async def test_each_call_has_a_document_of_its_own(service: Service) -> None:
    for _ in range(2):
        (await kms(service).decrypt(HOLDER, b"blob", CONTEXT)).wipe()
    assert len(service.attested) == 2
    assert base64.b64encode(b"document 2") in service.asked["body"]


@pytest.mark.parametrize("with_envelope", [True, False])
async def test_plaintext_answer_is_refused(service: Service, with_envelope: bool) -> None:
    service.members["Plaintext"] = base64.b64encode(PLAIN).decode()
    if not with_envelope:
        del service.members["CiphertextForRecipient"]
    await fails_with("kms-plaintext-reply", service)


async def test_empty_plaintext_member_is_let_be(service: Service) -> None:
    service.members["Plaintext"] = ""
    (await kms(service).decrypt(HOLDER, b"blob", CONTEXT)).wipe()


@pytest.mark.parametrize(
    "key_id",
    [None, "", 7, ARN.upper(), ARN + " ", ARN.replace("1111:", "1112:"), ARN.rpartition("/")[2], [ARN]],
)
async def test_answer_for_another_key_is_refused(service: Service, key_id: Any) -> None:
    service.members["KeyId"] = key_id
    await fails_with("kms-key-id", service)


@pytest.mark.parametrize(
    "value", [None, "", 5, ["x"], "not base64!", "QUJD\n", "QUJ", base64.b64encode(bytes(1025)).decode()]
)
async def test_envelope_of_another_shape_is_refused(service: Service, value: Any) -> None:
    service.members["CiphertextForRecipient"] = value
    await fails_with("kms-reply", service)


async def test_missing_envelope_is_refused(service: Service) -> None:
    del service.members["CiphertextForRecipient"]
    await fails_with("kms-reply", service)


async def test_ciphertext_blob_at_cap_passes_and_one_more_is_refused(service: Service) -> None:
    service.members["CiphertextBlob"] = base64.b64encode(bytes(limits.MAX_KMS_CIPHERTEXT_BYTES)).decode()
    data_key = await kms(service).generate_data_key(HOLDER, CONTEXT)
    assert len(data_key.ciphertext_blob) == limits.MAX_KMS_CIPHERTEXT_BYTES
    service.members["CiphertextBlob"] = base64.b64encode(bytes(limits.MAX_KMS_CIPHERTEXT_BYTES + 1)).decode()
    with pytest.raises(KmsError, match="kms-reply"):
        await kms(service).generate_data_key(HOLDER, CONTEXT)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b'{"KeyId": "%b", "KeyId": "%b"}' % (ARN.encode(), ARN.encode()),
        b'{"KeyId": {"a": {"b": 1}}}',
        b" " * (limits.MAX_KMS_REPLY_BYTES + 1),
    ],
)
async def test_body_of_another_shape_is_refused(service: Service, body: bytes) -> None:
    service.body = body
    await fails_with("kms-reply", service)


async def test_reply_at_the_cap_passes_and_one_byte_more_is_refused(service: Service) -> None:
    reply = json.dumps(service.members).encode()
    service.body = reply.ljust(limits.MAX_KMS_REPLY_BYTES)
    (await kms(service).decrypt(HOLDER, b"blob", CONTEXT)).wipe()
    service.body = reply.ljust(limits.MAX_KMS_REPLY_BYTES + 1)
    await fails_with("kms-reply", service)


async def test_reply_depth_at_the_cap_passes_and_one_more_is_refused(service: Service) -> None:
    value: Any = 1
    for _ in range(limits.MAX_KMS_REPLY_DEPTH - 1):
        value = [value]
    service.members["New"] = value
    (await kms(service).decrypt(HOLDER, b"blob", CONTEXT)).wipe()
    service.members["New"] = [value]
    await fails_with("kms-reply", service)


@pytest.mark.parametrize("media_type", ["", "application/json", "text/html", "application/x-amz-json-1.0"])
async def test_other_content_type_is_refused(service: Service, media_type: str) -> None:
    service.headers = {"content-type": media_type}
    await fails_with("kms-content-type", service)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("AccessDeniedException", "kms-denied"),
        ("com.amazonaws.kms#ThrottlingException", "kms-throttled"),
        ("UnrecognizedClientException", "kms-credentials"),
        ("kms-made-up\r\ntext", "kms-status"),
        (7, "kms-status"),
        (None, "kms-status"),
    ],
)
async def test_refusal_becomes_a_code_from_a_closed_set(service: Service, kind: Any, code: str) -> None:
    service.status = 400
    service.members = {"__type": kind, "message": "User arn:aws:iam::1 is not authorized"}
    await fails_with(code, service)


@pytest.mark.parametrize("status", [201, 204, 302, 400, 500, 503])
async def test_other_status_is_refused_whatever_the_body(service: Service, status: int) -> None:
    service.status = status
    await fails_with("kms-status", service)
    service.body = b"<html>"
    await fails_with("kms-status", service)


async def test_error_text_of_the_service_goes_nowhere(service: Service) -> None:
    service.status, service.body = 400, b'{"__type":"AccessDeniedException","message":"arn:aws:iam::999999999999"}'
    with pytest.raises(KmsError) as caught:
        await kms(service).decrypt(HOLDER, b"blob", CONTEXT)
    assert "999999999999" not in repr(caught.value)


@pytest.mark.parametrize("code", ["tls-certificate", "egress-refused", "http-too-large", "http-deadline"])
async def test_failed_connection_keeps_its_code(service: Service, code: str) -> None:
    service.failure = EgressError(code)
    await fails_with(f"kms-{code}", service)


async def test_failed_attestation_and_missing_credentials_have_codes(service: Service) -> None:
    service.port_failure = NsmError("nsm-device")
    await fails_with("kms-attestation", service)
    service.port_failure = StoreError("store-unreachable")
    await fails_with("kms-credentials", service)
    assert service.asked == {}, "nothing was sent"


@pytest.mark.parametrize(
    "hint",
    [
        Credentials("AKID\r\nX-Evil: 1", "secret", None),
        Credentials("AKID", "secret", "tok\nen"),
        Credentials("", "secret", None),
        Credentials("AKID", "", None),
        Credentials("ÀKID", "secret", None),
        Credentials("AKID", "secret", "tok en"),
    ],
)
async def test_credentials_that_are_no_header_text_are_refused(service: Service, hint: Credentials) -> None:
    service.hint = hint
    await fails_with("kms-credentials", service)
    assert service.asked == {}, "nothing was sent"


async def test_credentials_of_another_account_do_not_change_key_or_host(service: Service) -> None:
    service.hint = Credentials("AKIDOFANOTHERACCOUNT", "other", None)
    (await kms(service).decrypt(HOLDER, b"blob", CONTEXT)).wipe()
    assert service.asked["host"] == "kms.eu-west-1.amazonaws.com"
    assert json.loads(service.asked["body"])["KeyId"] == ARN


async def test_hung_step_ends_at_the_deadline(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(limits, "KMS_DEADLINE_S", 0.01)
    monkeypatch.setattr(service, "attest", hang)
    await fails_with("kms-deadline", service)


@hypothesis_settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from([200, 400]))
def test_random_bodies_give_one_error_family(body: bytes, status: int) -> None:
    with pytest.raises(KmsError):
        parse_reply(HttpResponse(status, JSON, body), ARN)
