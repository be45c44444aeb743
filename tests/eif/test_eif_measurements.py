"""Registers computed from files: by formula, in constant memory, and the single ones."""

import hashlib
import os
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eif import measurements
from eif.errors import EifError
from eif.measurements import measure, measure_path
from tests.eif import images
from tests.eif.images import CMDLINE, KERNEL, METADATA, RAMDISK, SECTIONS, SIGNATURE
from tests.packaging.source import ROOT


def extended(content: bytes) -> bytes:
    return hashlib.sha384(bytes(48) + content).digest()


def twice(content: bytes) -> bytes:
    return extended(hashlib.sha384(content).digest())


@given(
    kernel=st.binary(max_size=40),
    cmdline=st.binary(max_size=40),
    ramdisks=st.lists(st.binary(max_size=40), min_size=1, max_size=4),
    cmdline_first=st.booleans(),
)
def test_registers_follow_the_formula(
    kernel: bytes, cmdline: bytes, ramdisks: list[bytes], cmdline_first: bool
) -> None:
    start = [(CMDLINE, cmdline), (KERNEL, kernel)] if cmdline_first else [(KERNEL, kernel), (CMDLINE, cmdline)]
    data = images.image(*start, (METADATA, b"{}"), *((RAMDISK, ramdisk) for ramdisk in ramdisks))
    boot = b"".join(content for _, content in start) + ramdisks[0]
    application = b"".join(ramdisks[1:])
    assert measure(BytesIO(data)).pcrs == {0: twice(boot + application), 1: twice(boot), 2: twice(application)}


def test_metadata_flags_and_order_of_unmeasured_sections_do_not_count() -> None:
    usual = measure(BytesIO(images.image())).pcrs
    assert measure(BytesIO(images.image(flags=1))).pcrs == usual
    assert measure(BytesIO(images.image(*images.with_section(METADATA, b"other")))).pcrs == usual
    assert measure(BytesIO(images.image(*SECTIONS[:2], *SECTIONS[3:], SECTIONS[2]))).pcrs == usual
    for kind, number in ((KERNEL, 0), (CMDLINE, 0), (RAMDISK, 0), (RAMDISK, 1)):
        other = measure(BytesIO(images.image(*images.with_section(kind, b"other", number)))).pcrs
        assert {index for index in (0, 1, 2) if other[index] != usual[index]} == {0, 2 if number else 1}


def test_signature_that_cannot_be_read_is_not_measured_as_none() -> None:
    with pytest.raises(EifError, match="signature-malformed"):
        measure(BytesIO(images.image(*SECTIONS, (SIGNATURE, b"\x80"))))


def sparse_image(path: Path, size: int) -> None:
    """An image whose last ramdisk is a hole of `size` bytes."""
    sections = [*SECTIONS[:3], (RAMDISK, b"boot")]
    small = images.image(*sections, (RAMDISK, b""))
    head = bytearray(small)
    head[284 + 32 : 284 + 40] = size.to_bytes(8, "big")
    head[-8:] = size.to_bytes(8, "big")
    crc32 = zlib.crc32(head[548:], zlib.crc32(head[:544]))
    for _ in range(size >> 20):
        crc32 = zlib.crc32(bytes(1 << 20), crc32)
    head[544:548] = struct.pack(">I", crc32)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)


def test_large_image_is_measured_in_constant_memory(tmp_path: Path) -> None:
    """256 MiB of ramdisk under a limit of 96 MiB above what the interpreter takes by itself."""
    size = 256 << 20
    sparse_image(tmp_path / "large.eif", size)
    script = """
import resource, sys
from pathlib import Path
from eif.measurements import measure_path
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) << 10
limit = used + (96 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(measure_path(Path(sys.argv[1]))[2].hex())
"""
    command = [sys.executable, "-c", script, str(tmp_path / "large.eif")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha384()
    for _ in range(size >> 20):
        digest.update(bytes(1 << 20))
    assert done.stdout.strip() == extended(digest.digest()).hex()


def test_measure_path_gives_what_measure_gives(tmp_path: Path) -> None:
    (tmp_path / "image.eif").write_bytes(images.image())
    assert measure_path(tmp_path / "image.eif") == measure(BytesIO(images.image())).pcrs
    with pytest.raises(EifError, match="input-unreadable"):
        measure_path(tmp_path / "absent.eif")


def test_register_of_a_file() -> None:
    content = os.urandom(3 << 20)
    assert measurements.of_file(BytesIO(content)) == twice(content)


ROLES = (
    "arn:aws:iam::123456789012:role/enclave",
    "arn:aws-us-gov:iam::123456789012:role/enclave",
    "arn:aws-cn:iam::123456789012:role/team/instances/enclave_1+=,.@-",
)
NO_ROLES = (
    "",
    "enclave",
    "arn:aws:iam::123456789012:instance-profile/enclave",
    "arn:aws:sts::123456789012:assumed-role/enclave/i-0827e799ec9232d44",
    "arn:aws:iam::12345678901:role/enclave",
    "arn:aws:iam::123456789012:role/",
    "arn:aws:iam::123456789012:role/team/",
    "arn:aws:iam::123456789012:role/enclave\n",
    " arn:aws:iam::123456789012:role/enclave",
    "arn:aws:iam::123456789012:role/" + "a" * 65,
    "arn:aws:iam::\u0661\u0662\u0663456789012:role/enclave",
    "arn:aws:iam::123456789012:role/" + "a/" * 1100 + "b",
)


@pytest.mark.parametrize("arn", ROLES)
def test_register_of_a_role(arn: str) -> None:
    assert measurements.of_role(arn) == extended(arn.encode())


def test_role_at_its_cap_has_a_register_and_one_character_more_has_none() -> None:
    start = "arn:aws:iam::123456789012:role/" + "p/" * 1000
    longest = start + "r" * (2048 - len(start))
    assert measurements.of_role(longest) == extended(longest.encode())
    with pytest.raises(EifError, match="role-malformed"):
        measurements.of_role(f"{longest}r")


@pytest.mark.parametrize("arn", NO_ROLES)
def test_what_is_no_role_has_no_register(arn: str) -> None:
    with pytest.raises(EifError, match="role-malformed"):
        measurements.of_role(arn)


def test_register_of_an_instance() -> None:
    assert measurements.of_instance("i-0827e799ec9232d44") == extended(b"i-0827e799ec9232d44")
    assert measurements.of_instance("i-0827e799") == extended(b"i-0827e799")
    for wrong in (
        "",
        "i-",
        "i-0827e799ec9232d4",
        "i-0827E799EC9232D44",
        "0827e799ec9232d44",
        "i-0827e799ec9232d44-enc1",
    ):
        with pytest.raises(EifError, match="instance-malformed"):
            measurements.of_instance(wrong)
