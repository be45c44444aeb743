"""Signature Version 4 for KMS: botocore's arithmetic, our clock.

Trust side: enclave. The signature only lets a call reach AWS: its credentials are the host's hint (KM-09). The entry
point of botocore reads the wall clock, so its steps are called one by one with a time from port `Clock`; none of its
service models is loaded. Source: AWS General Reference, "Signature Version 4 signing process".
"""

from datetime import UTC, datetime
from typing import Any, Final

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials as BotoCredentials  # type: ignore[import-untyped]

from protocol.services import Credentials

CONTENT_TYPE: Final = "application/x-amz-json-1.1"
_SERVICE: Final = "kms"


def sign(
    *, host: str, region: str, operation: str, body: bytes, credentials: Credentials, wall_ms: int
) -> dict[str, str]:
    """All headers of `POST https://host/` with `body` for `TrentService.operation`, the authorization included."""
    timestamp = datetime.fromtimestamp(wall_ms // 1000, UTC).strftime(SIGV4_TIMESTAMP)
    headers = {
        "Host": host,
        "Content-Type": CONTENT_TYPE,
        "X-Amz-Target": f"TrentService.{operation}",
        "X-Amz-Date": timestamp,
    }
    if credentials.session_token:
        headers["X-Amz-Security-Token"] = credentials.session_token
    request = AWSRequest(method="POST", url=f"https://{host}/", headers=headers, data=body)
    request.context["timestamp"] = timestamp
    signer: Any = SigV4Auth(
        BotoCredentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token),
        _SERVICE,
        region,
    )
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signed = signer.signed_headers(signer.headers_to_sign(request))
    signature = signer.signature(text, request)
    scope = signer.scope(request)
    headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}"
    return headers
