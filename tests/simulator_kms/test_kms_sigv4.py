"""Signatures: only unaltered, current requests of known callers for this region get past (KM-09)."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.services import Credentials
from simulator.kms.errors import AwsError
from simulator.kms.sigv4 import HttpRequest, signed_region, verify_request
from tests.simulator_kms.kms_world import HOLDERS, World, enclave_role

REGION, OTHER_REGION, _ = HOLDERS
MINUTE_MS = 60_000


def signed(world: World, **options: Any) -> HttpRequest:
    return world.signed(REGION, "DescribeKey", {"KeyId": world.keys[REGION]}, world.holder[REGION], **options)


async def kind(world: World, request: HttpRequest) -> str:
    answer = await world.service.answer(request)
    assert answer is not None
    if answer.status == 200:
        return "ok"
    assert answer.status == 400
    return answer.body.decode().split('"')[3]


async def test_signed_request_passes_and_may_be_repeated(world: World) -> None:
    request = signed(world)
    assert [await kind(world, request) for _ in range(2)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(-5, "ok"), (5, "ok"), (-5.1, "InvalidSignatureException"), (5.1, "InvalidSignatureException")],
)
async def test_signature_is_good_for_five_minutes(world: World, minutes: float, expected: str) -> None:
    world.clock_ms = world.clock_ms // 1000 * 1000
    request = signed(world, signed_at_ms=world.clock_ms + int(minutes * MINUTE_MS))
    assert await kind(world, request) == expected


@pytest.mark.parametrize("name", ["host", "x-amz-target", "x-amz-date", "content-type"])
async def test_edited_header_is_refused(world: World, name: str) -> None:
    request = signed(world)
    edits = {
        "host": f"kms-fips.{REGION}.amazonaws.com",
        "x-amz-target": "TrentService.GetKeyPolicy",
        "x-amz-date": request.headers["x-amz-date"][:-2] + "1Z",
        "content-type": "text/plain",
    }
    if edits["x-amz-date"] == request.headers["x-amz-date"]:
        edits["x-amz-date"] = request.headers["x-amz-date"][:-2] + "2Z"
    edited = replace(request, headers={**request.headers, name: edits[name]})
    assert await kind(world, edited) == "InvalidSignatureException"


async def test_edited_body_target_or_method_is_refused(world: World) -> None:
    request = signed(world)
    for edited in (replace(request, body=request.body + b" "), replace(request, target="/?a=b")):
        assert await kind(world, edited) == "InvalidSignatureException"
    assert await kind(world, replace(request, method="GET")) == "UnknownOperationException"


async def test_unsigned_amz_header_is_refused(world: World) -> None:
    request = signed(world)
    edited = replace(request, headers={**request.headers, "x-amz-extra": "1"})
    assert await kind(world, edited) == "IncompleteSignatureException"


async def test_signature_for_another_region_is_refused(world: World) -> None:
    assert await kind(world, signed(world, signed_region=OTHER_REGION)) == "SignatureDoesNotMatch"


async def test_scope_of_another_day_is_refused(world: World) -> None:
    assert await kind(world, signed(world, scope_day="20200101")) == "SignatureDoesNotMatch"


async def test_stated_body_hash_must_be_that_of_the_body(world: World) -> None:
    request = signed(world)
    right = {"X-Amz-Content-SHA256": hashlib.sha256(request.body).hexdigest()}
    assert await kind(world, signed(world, more_headers=right)) == "ok"
    wrong = {"X-Amz-Content-SHA256": hashlib.sha256(b"").hexdigest()}
    assert await kind(world, signed(world, more_headers=wrong)) == "InvalidSignatureException"


async def test_signed_headers_are_listed_in_order(world: World) -> None:
    request = signed(world)
    swapped = request.headers["authorization"].replace("content-type;host", "host;content-type")
    edited = replace(request, headers={**request.headers, "authorization": swapped})
    assert await kind(world, edited) == "IncompleteSignatureException"


async def test_host_that_is_no_kms_endpoint_is_refused(world: World) -> None:
    request = signed(world)
    for host in ("example.org", f"kms.{REGION}.amazonaws.com.example.org", f"sts.{REGION}.amazonaws.com", ""):
        edited = replace(request, headers={**request.headers, "host": host})
        assert await kind(world, edited) == "UnknownOperationException"


async def test_session_needs_its_token_and_ends(world: World) -> None:
    call = {"KeyId": world.keys[REGION], "KeySpec": "AES_256", "Recipient": world.recipient()}
    session = world.service.issue_credentials(enclave_role(REGION), lifetime_s=240)
    without = Credentials(session.access_key_id, session.secret_access_key, None)
    swapped = replace(without, session_token=world.enclave[REGION].session_token)
    assert (await world.call(REGION, "GenerateDataKey", call, session))[0] == 200
    assert await world.refused(REGION, "GenerateDataKey", call, without) == "UnrecognizedClientException"
    assert await world.refused(REGION, "GenerateDataKey", call, swapped) == "UnrecognizedClientException"
    world.clock_ms += 240_000 - 1
    assert (await world.call(REGION, "GenerateDataKey", call, session))[0] == 200
    world.clock_ms += 1
    assert await world.refused(REGION, "GenerateDataKey", call, session) == "ExpiredTokenException"


async def test_missing_authorization_has_its_own_error(world: World) -> None:
    request = signed(world)
    bare = {name: value for name, value in request.headers.items() if name != "authorization"}
    assert await kind(world, replace(request, headers=bare)) == "MissingAuthenticationTokenException"


pieces = st.sampled_from(
    [
        *(
            "AWS4-HMAC-SHA256 ",
            "Credential=",
            "AKIA",
            "/20260101/eu-central-1/kms/aws4_request",
            ", ",
            "SignedHeaders=",
        ),
        *("host", ";x-amz-date", "Signature=", "00" * 32, "=", "\x00", "ÿ"),
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(pieces, max_size=14).map("".join) | st.text(max_size=80))
def test_any_authorization_is_one_error(world: World, text: str) -> None:
    request = HttpRequest("POST", "/", {"host": "h", "x-amz-date": "20260101T000000Z", "authorization": text}, b"{}")
    signed_region(request)
    with pytest.raises(AwsError):
        verify_request(request, REGION, {}, world.clock_ms)


@pytest.mark.parametrize("arn", ["", "root", "arn:aws:iam::1:root", "arn:aws:sts::111111111111:assumed-role/a/b"])
def test_credentials_are_issued_to_iam_identities_only(world: World, arn: str) -> None:
    with pytest.raises(ValueError, match="ARN"):
        world.service.issue_credentials(arn)


def test_only_sessions_end(world: World) -> None:
    with pytest.raises(ValueError, match="end"):
        world.service.issue_credentials(f"arn:aws:iam::{HOLDERS[REGION]}:user/x", lifetime_s=60)


def test_secrets_are_not_printed(world: World) -> None:
    assert world.holder[REGION].secret_access_key not in repr(world.service._callers.keys)
