"""Descriptions have nitro-cli's members, and say which of them nobody measures."""

import json
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eif import signature
from eif.describe import describe, problems
from eif.errors import EifError
from eif.measurements import measure
from eif.metadata import format_build_time, parse_metadata
from eif.signature import parse_signer
from tests.eif import images
from tests.eif.images import AT, CLAIMS, METADATA, SECTIONS, SIGNATURE


def described(data: bytes) -> dict[str, Any]:
    return describe(BytesIO(data), AT)


def signed(**certificate: Any) -> bytes:
    key = images.new_key()
    signer = parse_signer(images.certificate(key, **certificate))
    section = signature.sign(measure(BytesIO(images.image())).pcrs[0], signer, key)
    return images.image(*SECTIONS, (SIGNATURE, section))


UNSIGNED_MEMBERS = ["EifVersion", "Measurements", "IsSigned", "CheckCRC", "ImageName", "ImageVersion", "Metadata"]
BUILD_MEMBERS = {"BuildTime", "BuildTool", "BuildToolVersion", "OperatingSystem", "KernelVersion", "DockerInfo"}


def test_members_of_an_unsigned_image() -> None:
    value = described(images.image())
    assert list(value) == [*UNSIGNED_MEMBERS, "Chancery"]
    assert (value["EifVersion"], value["IsSigned"], value["CheckCRC"]) == (4, False, True)
    assert (value["ImageName"], value["ImageVersion"]) == ("appliance", "1")
    assert set(value["Metadata"]) == BUILD_MEMBERS
    assert set(value["Measurements"]) == {"HashAlgorithm", "PCR0", "PCR1", "PCR2"}
    assert problems(value) == []


def test_members_of_a_signed_image() -> None:
    value = described(signed())
    assert set(value) == {*UNSIGNED_MEMBERS, "SigningCertificate", "SignatureCheck", "Chancery"}
    assert set(value["Measurements"]) == {"HashAlgorithm", "PCR0", "PCR1", "PCR2", "PCR8"}
    certificate = value["SigningCertificate"]
    assert certificate["IssuerName"] == {"commonName": "image signer", "countryName": "CH"}
    assert certificate["Algorithm"] == "ecdsa-with-SHA384"
    assert certificate["NotBefore"] == "May 31 00:00:00 2026 GMT"
    assert certificate["NotAfter"] == "Jun 30 00:00:00 2026 GMT"
    assert certificate["Signature"].startswith("30:")
    assert value["SignatureCheck"] is True
    assert set(value["Chancery"]["Signature"].values()) == {"ok"}


def test_day_below_ten_is_padded_with_a_space() -> None:
    value = described(signed(since=AT.replace(day=2, hour=3), days=1))
    assert value["SigningCertificate"]["NotBefore"] == "Jun  2 03:00:00 2026 GMT"


def test_each_section_has_its_digest_and_whether_it_is_measured() -> None:
    sections = described(signed())["Chancery"]["Sections"]
    assert [section["Name"] for section in sections if not section["Measured"]] == ["metadata", "signature"]
    assert len({section["Sha384"] for section in sections}) == 6


def test_claims_are_labelled_as_not_measured() -> None:
    """SC-03."""
    label = described(images.image())["Chancery"]["NotMeasured"]
    assert {"ImageName", "ImageVersion", "Metadata"} <= set(label["Members"])
    assert "not measured" in label["Meaning"]


def test_what_does_not_hold_is_described_with_its_code() -> None:
    damaged = bytearray(images.image())
    damaged[-1] ^= 1
    value = described(bytes(damaged))
    assert value["CheckCRC"] is False
    assert problems(value) == ["eif-crc"]
    late = describe(BytesIO(signed()), AT + timedelta(days=60))
    assert late["SignatureCheck"] is True
    assert problems(late) == ["certificate-expired"]
    moved = signed()
    changed = images.remade(moved.replace(b"print('hello')", b"print('HELLO')"))
    assert changed != moved
    value = described(changed)
    assert (value["CheckCRC"], value["SignatureCheck"]) == (True, False)
    assert problems(value) == ["signature-measurement"]


def test_image_of_an_old_version_has_no_claims() -> None:
    value = described(images.image(*SECTIONS[:2], *SECTIONS[3:], version=3))
    assert list(value) == ["EifVersion", "Measurements", "IsSigned", "CheckCRC", "Chancery"]


# --- metadata ---


def test_metadata_are_written_as_nitro_cli_writes_them() -> None:
    claims = replace(CLAIMS, docker_info={"b": [1, {"d": 1, "c": 2}], "a": None}, custom={"git": "abc"})
    assert claims.encode() == (
        b'{"ImageName":"appliance","ImageVersion":"1","BuildMetadata":{"BuildTime":"1970-01-01T00:00:00+00:00",'
        b'"BuildTool":"chancery-eif","BuildToolVersion":"1","OperatingSystem":"Linux","KernelVersion":"6.12"},'
        b'"DockerInfo":{"a":null,"b":[1,{"c":2,"d":1}]},"CustomMetadata":{"git":"abc"}}'
    )


def test_time_of_the_build_is_the_callers() -> None:
    assert format_build_time(0) == "1970-01-01T00:00:00+00:00"
    assert format_build_time(1_767_323_045) == "2026-01-02T03:04:05+00:00"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(custom=JSON, docker=JSON, name=st.text(st.characters(codec="utf-8")))
def test_metadata_come_back_and_are_the_same_bytes_again(custom: Any, docker: Any, name: str) -> None:
    claims = replace(CLAIMS, image_name=name, custom=custom, docker_info=docker)
    try:
        data = claims.encode()
    except EifError as error:
        if error.detail == "json-too-deep":
            return
        raise
    assert parse_metadata(data) == claims
    assert parse_metadata(data).encode() == data


def test_own_members_stand_among_the_others_and_replace_none() -> None:
    claims = replace(CLAIMS, custom={"git": "abc", "BuildTool": "forged"})
    assert claims.describe()["Metadata"]["git"] == "abc"
    assert claims.describe()["Metadata"]["BuildTool"] == "chancery-eif"
    assert replace(CLAIMS, custom=[1]).describe()["Metadata"]["CustomMetadata"] == [1]


def spoiled(**members: Any) -> bytes:
    value = json.loads(CLAIMS.encode()) | members
    return json.dumps({name: member for name, member in value.items() if member != "remove"}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"null",
        CLAIMS.encode() + b"x",
        CLAIMS.encode().replace(b'"ImageVersion"', b'"ImageName"'),
        spoiled(More=1),
        spoiled(DockerInfo="remove"),
        spoiled(ImageName=1),
        spoiled(BuildMetadata=None),
        spoiled(BuildMetadata={}),
        spoiled(BuildMetadata=json.loads(CLAIMS.encode())["BuildMetadata"] | {"More": 1}),
        spoiled(BuildMetadata=json.loads(CLAIMS.encode())["BuildMetadata"] | {"BuildTime": 1}),
        CLAIMS.encode().replace(b"null}", b"NaN}"),
        CLAIMS.encode().replace(b"null}", b"[" * 20 + b"]" * 20 + b"}"),
        CLAIMS.encode().replace(b"null}", b"1e999}"),
        CLAIMS.encode().replace(b"null}", b'"\\ud800"}'),
    ],
)
def test_other_metadata_are_refused(data: bytes) -> None:
    with pytest.raises(EifError, match="metadata-malformed"):
        parse_metadata(data)
    if len(data) > 0:
        with pytest.raises(EifError, match="metadata-malformed"):
            described(images.image(*images.with_section(METADATA, data)))


def test_metadata_at_their_cap_are_read_and_written_and_beyond_are_refused() -> None:
    room = (1 << 20) - len(replace(CLAIMS, custom="").encode())
    largest = replace(CLAIMS, custom="a" * room)
    assert len(largest.encode()) == 1 << 20
    assert parse_metadata(largest.encode()) == largest
    with pytest.raises(EifError, match="metadata-too-large"):
        replace(CLAIMS, custom="a" * (room + 1)).encode()


@pytest.mark.parametrize("value", [object(), float("nan"), {"a": b"bytes"}, {1}, {1: 2, "a": 3}, "\ud800"])
def test_what_is_no_json_is_not_written(value: Any) -> None:
    with pytest.raises(EifError, match="metadata-malformed"):
        replace(CLAIMS, custom=value).encode()
