"""Our headers are those of botocore, for a time that we choose."""

import datetime
from typing import Any

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from enclave.kms.sigv4 import sign
from protocol.services import Credentials

HOST = "kms.eu-central-1.amazonaws.com"
BODY = b'{"KeyId":"arn:aws:kms:eu-central-1:111111111111:key/k"}'
MOMENT = datetime.datetime(2026, 11, 20, 23, 59, 59, tzinfo=datetime.UTC)
WALL_MS = int(MOMENT.timestamp()) * 1000 + 999


def reference(token: str | None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The headers of botocore's own entry point with its clock stopped."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: MOMENT)
    headers = {
        "Host": HOST,
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "TrentService.GenerateDataKey",
    }
    request = AWSRequest(method="POST", url=f"https://{HOST}/", headers=headers, data=BODY)
    botocore.auth.SigV4Auth(BotoCredentials("AKIDEXAMPLE", "secret/+=", token), "kms", "eu-central-1").add_auth(request)
    return dict(request.headers.items())


@pytest.mark.parametrize("token", [None, "session-token+/=="])
def test_headers_equal_those_of_botocore(token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = sign(
        host=HOST,
        region="eu-central-1",
        operation="GenerateDataKey",
        body=BODY,
        credentials=Credentials("AKIDEXAMPLE", "secret/+=", token),
        wall_ms=WALL_MS,
    )
    assert ours == reference(token, monkeypatch)
    assert ours["X-Amz-Date"] == "20261120T235959Z"


@pytest.mark.parametrize("change", ["body", "operation", "region", "wall_ms"])
def test_signature_covers_what_it_must(change: str) -> None:
    arguments: dict[str, Any] = {
        "host": HOST,
        "region": "eu-central-1",
        "operation": "Decrypt",
        "body": BODY,
        "credentials": Credentials("AKIDEXAMPLE", "secret", None),
        "wall_ms": WALL_MS,
    }
    other = {"body": BODY + b" ", "operation": "Encrypt", "region": "us-east-1", "wall_ms": WALL_MS + 1000}
    first = sign(**arguments)["Authorization"]
    second = sign(**(arguments | {change: other[change]}))["Authorization"]
    assert first.rpartition("Signature=")[2] != second.rpartition("Signature=")[2]
