"""Signature Version 4 as a service checks it: who signed this request, for this region, within five minutes.

Known access keys map to principals; temporary ones carry a session token and an end. The signature covers the host, the
target and the body, so a host that edits a signed request is noticed. Source: the published signing process of AWS.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

from simulator.kms.errors import AwsError
from simulator.kms.policy import Principal

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SERVICE: Final = "kms"
_MAX_SKEW: Final = timedelta(minutes=5)
_SCOPE: Final = re.compile(r"([A-Z0-9]{4,128})/([0-9]{8})/([a-z0-9-]{1,32})/([a-z0-9-]{1,32})/aws4_request")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as the server read it; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What AWS knows about an access key. `expires_ms` counts from the Unix epoch; None for long-lived keys."""

    secret: str
    principal: Principal
    session_token: str | None = None
    expires_ms: int | None = None

    def __repr__(self) -> str:
        return f"AccessKey({self.principal.caller_arn}, <redacted>)"


@dataclass(frozen=True, slots=True)
class _Authorization:
    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def signed_region(request: HttpRequest) -> str | None:
    """The region in the credential scope, unverified; for endpoints whose host name does not say it."""
    found = _SCOPE.search(request.headers.get("authorization", ""))
    return found[3] if found else None


def verify_request(request: HttpRequest, region: str, keys: Mapping[str, AccessKey], now_ms: int) -> Principal:
    """The principal whose access key signed `request` for `region`; `AwsError` otherwise."""
    authorization = _parse_authorization(request)
    if authorization.region != region or authorization.service != _SERVICE:
        raise AwsError("SignatureDoesNotMatch", f"Credential should be scoped to {region} and to service {_SERVICE}.")
    key = keys.get(authorization.access_key_id)
    if key is None or not hmac.compare_digest(
        request.headers.get("x-amz-security-token", "").encode(), (key.session_token or "").encode()
    ):
        raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.")
    _check_signature(request, authorization, key.secret)
    _check_time(request, authorization, now_ms)
    if key.expires_ms is not None and now_ms >= key.expires_ms:
        raise AwsError("ExpiredTokenException", "The security token included in the request is expired")
    return key.principal


def _parse_authorization(request: HttpRequest) -> _Authorization:
    text = request.headers.get("authorization")
    if not text:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    algorithm, _, rest = text.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    scope = _SCOPE.fullmatch(parts.get("Credential", ""))
    if algorithm != _ALGORITHM or parts.keys() != {"Credential", "SignedHeaders", "Signature"} or scope is None:
        raise AwsError("IncompleteSignatureException", "Authorization header does not follow Signature Version 4.")
    signed = tuple(parts["SignedHeaders"].split(";"))
    needed = {"host"} | {name for name in request.headers if name.startswith("x-amz-")}
    if list(signed) != sorted(set(signed)) or not needed <= set(signed) <= request.headers.keys():
        raise AwsError("IncompleteSignatureException", "Host and every X-Amz- header must be signed, in order.")
    return _Authorization(scope[1], scope[2], scope[3], scope[4], signed, parts["Signature"])


def _check_time(request: HttpRequest, authorization: _Authorization, now_ms: int) -> None:
    stamp = request.headers.get("x-amz-date", "")
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise AwsError("IncompleteSignatureException", "X-Amz-Date must be an ISO 8601 basic time.") from None
    if not stamp.startswith(authorization.date):
        raise AwsError("SignatureDoesNotMatch", "Date in Credential scope does not match the date of the request.")
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    if abs(now - signed_at) > _MAX_SKEW:
        which = "expired" if signed_at < now else "not yet current"
        raise AwsError("InvalidSignatureException", f"Signature {which}: signed at {stamp}, now {now:%Y%m%dT%H%M%SZ}")


def _check_signature(request: HttpRequest, authorization: _Authorization, secret: str) -> None:
    body_hash = hashlib.sha256(request.body).hexdigest()
    text = "\n".join(
        (
            _ALGORITHM,
            request.headers.get("x-amz-date", ""),
            authorization.scope,
            hashlib.sha256(_canonical_request(request, authorization, body_hash).encode()).hexdigest(),
        )
    )
    key = f"AWS4{secret}".encode()
    for part in (*authorization.scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(key.hex().encode(), authorization.signature.encode()):
        raise AwsError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )


def _canonical_request(request: HttpRequest, authorization: _Authorization, body_hash: str) -> str:
    path, _, query = request.target.partition("?")
    pairs = sorted(
        (quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~"))
        for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)
    )
    headers = (f"{name}:{' '.join(request.headers[name].split())}\n" for name in authorization.signed_headers)
    return "\n".join(
        (
            request.method,
            quote(path, safe="/-_.~%"),
            "&".join(f"{name}={value}" for name, value in pairs),
            "".join(headers),
            ";".join(authorization.signed_headers),
            body_hash,
        )
    )
