"""Our readings of images that others read, too (SC-02): registers, checksum, and what the index says of each."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from eif.describe import describe
from eif.errors import EifError
from eif.explain import explain
from eif.layout import SectionType
from eif.measurements import measure
from eif.signature import now, verify_image_signature
from tests import vectors

FOLDER: Path = vectors.folder("eif")
INDEX = json.loads((FOLDER / "index.json").read_text())
IMAGES: dict[str, dict[str, Any]] = {row["file"]: row for row in INDEX["images"]}
MEASURED = [name for name, row in IMAGES.items() if "pcrs" in row]
DAMAGED = [name for name in IMAGES if "bad-crc" in name]
SIGNED = [name for name in MEASURED if "PCR8" in IMAGES[name]["pcrs"]]
FALSELY_SIGNED = [name for name in SIGNED if "wrong-pcr0" in name]


def read(name: str) -> BytesIO:
    return BytesIO((FOLDER / name).read_bytes())


def test_the_index_has_what_these_tests_rely_on() -> None:
    assert MEASURED
    assert SIGNED
    assert FALSELY_SIGNED
    assert DAMAGED
    assert set(MEASURED) | set(DAMAGED) == set(IMAGES)


@pytest.mark.parametrize("name", MEASURED)
def test_registers_checksum_and_header(name: str) -> None:
    row, measured = IMAGES[name], measure(read(name))
    found = measured.to_json()
    assert found.pop("HashAlgorithm") == "Sha384 { ... }"
    assert found == row["pcrs"]
    header = measured.image.header
    assert (header.version, header.flags, len(header.sizes)) == (row["version"], row["flags"], row["num_sections"])
    assert f"{measured.image.crc32:08x}" == row["crc32"]


@pytest.mark.parametrize("name", MEASURED)
def test_description_says_what_the_index_says(name: str) -> None:
    described = describe(read(name), now())
    assert described["CheckCRC"] is True
    assert described["IsSigned"] is (name in SIGNED)
    assert described.get("SignatureCheck") == {True: name not in FALSELY_SIGNED, False: None}[name in SIGNED]


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_described_and_refused_elsewhere(name: str) -> None:
    assert describe(read(name), now())["CheckCRC"] is False
    with pytest.raises(EifError, match="eif-crc"):
        measure(read(name))


@pytest.mark.parametrize("name", SIGNED)
def test_signature_is_verified_against_what_was_measured(name: str) -> None:
    measured = measure(read(name))
    section = measured.image.content(SectionType.SIGNATURE)
    if name in FALSELY_SIGNED:
        with pytest.raises(EifError, match="signature-measurement"):
            verify_image_signature(section, measured.pcrs[0], now())
    else:
        signer = verify_image_signature(section, measured.pcrs[0], now())
        assert signer.pcr8.hex() == IMAGES[name]["pcrs"]["PCR8"]


def test_empty_application_has_the_known_register() -> None:
    assert measure(read("one-ramdisk.eif")).pcrs[2].hex() == INDEX["empty_app_pcr2"]


@pytest.mark.parametrize(
    ("name", "same"), [("shift-cmdline-boundary.eif", (0, 1, 2)), ("shift-ramdisk-boundary.eif", (0,))]
)
def test_bytes_moved_between_sections_are_called_out(name: str, same: tuple[int, ...]) -> None:
    """AT-11: no length is measured, so equal registers do not mean equal images."""
    explanation = explain(read("two-ramdisks.eif"), read(name))
    assert {0, 1, 2} - set(explanation.changed_registers) == set(same)
    assert len(explanation.warnings) == 1
    assert explanation.warnings[0].startswith("SECTION BORDERS MOVED: same PCR0")
    assert ("no policy" in explanation.warnings[0]) is (same == (0, 1, 2))
    assert not explanation.is_measured_same


@pytest.mark.parametrize("name", MEASURED)
def test_explanation_agrees_with_the_registers_of_the_index(name: str) -> None:
    first, second = IMAGES["two-ramdisks.eif"]["pcrs"], IMAGES[name]["pcrs"]
    changed = [index for index in (0, 1, 2, 8) if first.get(f"PCR{index}") != second.get(f"PCR{index}")]
    explanation = explain(read("two-ramdisks.eif"), read(name))
    assert list(explanation.changed_registers) == changed
    assert explanation.is_same is (name == "two-ramdisks.eif")
    assert {index for change in explanation.changes for index in change.registers} == set(changed)
