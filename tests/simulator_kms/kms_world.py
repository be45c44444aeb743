"""The world of these tests: three holders, one enclave, and callers who sign as AWS SDKs do."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cbor2
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation import pcr
from attestation.roots import TrustRoot
from protocol.services import Credentials
from simulator.kms.service import KmsService, wall_clock_ms
from simulator.kms.sigv4 import HttpRequest
from simulator.nsm import SimulatedNsm
from simulator.pki import NitroPki
from tests.simulator_kms.envelope_reader import open_envelope
from tests.simulator_kms.key_policy import pinned_key_policy

HOLDERS = {"eu-central-1": "111111111111", "us-west-2": "222222222222", "ap-southeast-2": "333333333333"}
MODULE = "i-0123456789abcdef0-enc0123456789abcdef"
IMAGE = {0: b"\x10" * 48, 1: b"\x11" * 48, 2: b"\x12" * 48}
PCRS = IMAGE | {4: pcr.of_instance("i-0123456789abcdef0")}
CONTEXT = {"deployment": "test", "purpose": "holder-key"}
KEY_PAIR = rsa.generate_private_key(65537, 2048)


def enclave_role(region: str) -> str:
    return f"arn:aws:iam::{HOLDERS[region]}:role/enclave"


def administrator(region: str) -> str:
    return f"arn:aws:iam::{HOLDERS[region]}:user/holder"


def spki(key: Any = KEY_PAIR) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def opened(answer: Mapping[str, Any]) -> bytes:
    """What an answer (JSON, or of boto3) seals for `KEY_PAIR`, read by asn1crypto and not by our own code."""
    sealed = answer["CiphertextForRecipient"]
    return open_envelope(base64.b64decode(sealed) if isinstance(sealed, str) else sealed, KEY_PAIR)


def decrypt(data_key: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The members of a Decrypt call for what `World.data_key` made under `CONTEXT`."""
    return {"CiphertextBlob": data_key["CiphertextBlob"], "EncryptionContext": CONTEXT} | more


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass
class World:
    """The service, its holders, an attested enclave, and a clock that tests turn."""

    folder: Path
    clock_ms: int = field(default_factory=wall_clock_ms)
    keys: dict[str, str] = field(default_factory=dict)
    enclave: dict[str, Credentials] = field(default_factory=dict)
    holder: dict[str, Credentials] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pki = NitroPki(self.folder / "nitro")
        self.root = TrustRoot("simulator", self.pki.root_der)
        self.service = self.start()
        for region, account in HOLDERS.items():
            policy = pinned_key_policy(account, enclave_role(region), administrator(region), IMAGE)
            self.keys[region] = self.service.create_key(region, account, policy)
            self.enclave[region] = self.service.issue_credentials(enclave_role(region), lifetime_s=3600)
            self.holder[region] = self.service.issue_credentials(administrator(region))

    def start(self, **options: Any) -> KmsService:
        """A service over the same state folder, as after a restart."""
        return KmsService(self.folder / "kms", [self.root], now_ms=lambda: self.clock_ms, **options)

    def nsm(
        self, pcrs: Mapping[int, bytes] = PCRS, *, pki: NitroPki | None = None, debug: bool = False
    ) -> SimulatedNsm:
        return SimulatedNsm(pki or self.pki, pcrs, MODULE, clock=lambda: self.clock_ms, debug=debug)

    def document(self, nsm: SimulatedNsm | None = None, public_key: bytes | None = spki()) -> bytes:
        arguments = {"public_key": public_key, "user_data": None, "nonce": None}
        reply = cbor2.loads((nsm or self.nsm()).call(cbor2.dumps({"Attestation": arguments})))
        return bytes(reply["Attestation"]["document"])

    def recipient(self, document: bytes | None = None) -> dict[str, str]:
        document = self.document() if document is None else document
        return {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b64(document)}

    def signed(
        self,
        region: str,
        operation: str,
        members: Mapping[str, Any] | bytes,
        credentials: Credentials | None = None,
        *,
        signed_region: str | None = None,
        signed_at_ms: int | None = None,
        scope_day: str | None = None,
        more_headers: Mapping[str, str] | None = None,
    ) -> HttpRequest:
        """A request signed by botocore."""
        given = credentials or self.enclave[region]
        body = members if isinstance(members, bytes) else json.dumps(members).encode()
        host = f"kms.{region}.amazonaws.com"
        stamp = datetime.fromtimestamp((signed_at_ms or self.clock_ms) / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "Host": host,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"TrentService.{operation}",
            "X-Amz-Date": stamp,
        } | dict(more_headers or {})
        if given.session_token:
            headers["X-Amz-Security-Token"] = given.session_token
        request = AWSRequest("POST", f"https://{host}/", headers=headers, data=body)
        request.context["timestamp"] = stamp
        boto = BotoCredentials(given.access_key_id, given.secret_access_key, given.session_token)
        signer = SigV4Auth(boto, "kms", signed_region or region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        if scope_day:
            text = text.replace(f"{stamp[:8]}/", f"{scope_day}/")
            request.context["timestamp"] = scope_day + stamp[8:]
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
            f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}, "
            f"Signature={signer.signature(text, request)}"
        )
        return HttpRequest("POST", "/", {name.lower(): value for name, value in headers.items()}, body)

    async def call(
        self,
        region: str,
        operation: str,
        members: Mapping[str, Any] | bytes,
        credentials: Credentials | None = None,
        *,
        service: KmsService | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer."""
        request = self.signed(region, operation, members, credentials)
        answer = await (service or self.service).answer(request)
        assert answer is not None
        return answer.status, json.loads(answer.body)

    async def refused(self, *args: Any, **options: Any) -> str:
        """The type of the error that the call is answered with."""
        status, body = await self.call(*args, **options)
        assert status == 400, body
        return str(body["__type"])

    async def data_key(self, region: str, context: Mapping[str, str]) -> dict[str, Any]:
        """A data key made for the enclave."""
        members = {"KeyId": self.keys[region], "KeySpec": "AES_256", "EncryptionContext": context}
        status, body = await self.call(region, "GenerateDataKey", members | {"Recipient": self.recipient()})
        assert status == 200, body
        return body
