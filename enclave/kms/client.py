"""Port `Kms` over the enclave's own TLS: the JSON protocol of AWS KMS with an attested recipient (KM-01, KM-06, KM-09).

Trust side: enclave. Key, region and host come from the measured configuration; the credentials are a hint of the host.
Each call carries a fresh attestation document. An answer counts only if it names exactly the holder's key and carries
no plaintext: that is what KMS gives when the recipient got lost on the way (nitro-platform.md 6.1, "downgrade trap").
Members of the answer that are not used here are let be, because AWS adds some over time. Bodies are never logged.
"""

import asyncio
import base64
import binascii
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from enclave.config import Holder
from enclave.errors import EgressError, KmsError, PortError
from enclave.kms import sigv4
from enclave.kms.hints import CredentialsOf, fetch_hint
from enclave.kms.recipient import RecipientKey
from enclave.net import http
from enclave.ports import Clock, DataKey, Egress
from enclave.secret import Secret
from protocol import canonical_json, limits
from protocol.errors import ProtocolError

_PORT: Final = 443
_RECIPIENT_ALGORITHM: Final = "RSAES_OAEP_SHA_256"

_REFUSALS: Final = {
    "AccessDeniedException": "kms-denied",
    "ThrottlingException": "kms-throttled",
    "ValidationException": "kms-request-refused",
    "NotFoundException": "kms-key-not-found",
    "DisabledException": "kms-key-unusable",
    "KMSInvalidStateException": "kms-key-unusable",
    "IncorrectKeyException": "kms-ciphertext-refused",
    "InvalidCiphertextException": "kms-ciphertext-refused",
    "ExpiredTokenException": "kms-credentials",
    "InvalidSignatureException": "kms-credentials",
    "UnrecognizedClientException": "kms-credentials",
}


class HttpsKms:
    """The default client. One instance per enclave; calls may overlap."""

    def __init__(
        self,
        *,
        egress: Egress,
        tls_context: ssl.SSLContext,
        clock: Clock,
        recipient: RecipientKey,
        attest: Callable[[bytes], Awaitable[bytes]],
        credentials: CredentialsOf,
    ) -> None:
        """`attest` gives a document that carries the public key it is passed; `credentials` asks for a holder by name.

        Both may raise any `PortError`.
        """
        self._egress = egress
        self._tls_context = tls_context
        self._clock = clock
        self._recipient = recipient
        self._attest = attest
        self._credentials = credentials

    async def generate_data_key(self, holder: Holder, context: Mapping[str, str]) -> DataKey:
        """`enclave.ports.Kms.generate_data_key`."""
        members = {"KeyId": holder.key_arn, "KeySpec": "AES_256", "EncryptionContext": dict(context)}
        reply = await self._call(holder, "GenerateDataKey", members)
        blob = _binary(reply, "CiphertextBlob", limits.MAX_KMS_CIPHERTEXT_BYTES)
        return DataKey(blob, self._unwrap(reply))

    async def decrypt(self, holder: Holder, ciphertext_blob: bytes, context: Mapping[str, str]) -> Secret:
        """`enclave.ports.Kms.decrypt`."""
        members = {
            "KeyId": holder.key_arn,
            "CiphertextBlob": _base64(ciphertext_blob),
            "EncryptionContext": dict(context),
        }
        return self._unwrap(await self._call(holder, "Decrypt", members))

    def _unwrap(self, reply: Mapping[str, Any]) -> Secret:
        return self._recipient.unwrap(_binary(reply, "CiphertextForRecipient", limits.MAX_KMS_ENVELOPE_BYTES))

    async def _call(self, holder: Holder, operation: str, members: dict[str, Any]) -> dict[str, Any]:
        """The checked members of one answer. The whole call, credentials and attestation included, has one deadline."""
        try:
            async with asyncio.timeout(limits.KMS_DEADLINE_S):
                document = await self._document()
                recipient = {"KeyEncryptionAlgorithm": _RECIPIENT_ALGORITHM, "AttestationDocument": _base64(document)}
                body = json.dumps(members | {"Recipient": recipient}).encode()
                response = await self._post(holder, operation, body)
        except TimeoutError:
            raise KmsError("kms-deadline") from None
        return parse_reply(response, holder.key_arn)

    async def _document(self) -> bytes:
        try:
            return await self._attest(self._recipient.public_key)
        except PortError:
            raise KmsError("kms-attestation") from None

    async def _post(self, holder: Holder, operation: str, body: bytes) -> http.HttpResponse:
        headers = sigv4.sign(
            host=holder.host,
            region=holder.region,
            operation=operation,
            body=body,
            credentials=await fetch_hint(self._credentials, holder.name),
            wall_ms=self._clock.wall_ms(),
        )
        try:
            return await http.request(
                self._egress,
                self._tls_context,
                method="POST",
                host=holder.host,
                port=_PORT,
                target="/",
                headers=headers,
                body=body,
                max_body_bytes=limits.MAX_KMS_REPLY_BYTES,
                deadline_s=limits.KMS_DEADLINE_S,
            )
        except EgressError as error:  # its codes are stable as well: tls-certificate, egress-refused, ...
            raise KmsError(f"kms-{error.code}") from None


def parse_reply(response: http.HttpResponse, key_arn: str) -> dict[str, Any]:
    """The members of a successful answer for exactly `key_arn`, without plaintext; `KmsError` for any other."""
    if response.status != 200:
        raise KmsError(_refusal(response))
    if response.media_type != sigv4.CONTENT_TYPE:
        raise KmsError("kms-content-type")
    members = _parse_object(response.body)
    if members.get("Plaintext"):
        raise KmsError("kms-plaintext-reply")
    if members.get("KeyId") != key_arn:
        raise KmsError("kms-key-id")
    return members


def _refusal(response: http.HttpResponse) -> str:
    try:
        kind = _parse_object(response.body).get("__type")
    except KmsError:
        return "kms-status"
    return _REFUSALS.get(kind.rpartition("#")[2], "kms-status") if type(kind) is str else "kms-status"


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        members = canonical_json.parse(body, max_bytes=limits.MAX_KMS_REPLY_BYTES, max_depth=limits.MAX_KMS_REPLY_DEPTH)
    except ProtocolError:
        raise KmsError("kms-reply") from None
    if type(members) is not dict:
        raise KmsError("kms-reply")
    return members


def _binary(members: Mapping[str, Any], name: str, max_bytes: int) -> bytes:
    """A binary member of 1 to `max_bytes` bytes. Absent, it is `kms-reply` like any other wrong shape."""
    value = members.get(name)
    if type(value) is not str or not 0 < len(value) <= (max_bytes + 2) // 3 * 4:
        raise KmsError("kms-reply")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise KmsError("kms-reply") from None
    if not 0 < len(data) <= max_bytes:
        raise KmsError("kms-reply")
    return data


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
