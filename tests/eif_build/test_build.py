"""Builds of the whole image. They need the kernel and the packages in the cache; `make eif` puts them there."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from eif.build import CMDLINE, BuildInputs, base_archive, build_image
from eif.cpio import Kind
from eif.cpio_reader import Member, read_ramdisk
from eif.errors import EifError
from eif.explain import explain
from eif.explain.render import render
from eif.kernel import build as kernel
from eif.layout import SectionType
from eif.measurements import measure_path
from eif.reader import Span, opened, read_image
from eif.rootfs import base
from eif.rootfs.allow_list import allow_list
from tests.packaging.source import ROOT

CONFIG = (ROOT / "deploy/samples/config.json").read_bytes()
MIB = 1 << 20

pytestmark = [
    pytest.mark.skipif(
        not (kernel.is_built() and base.is_built()), reason="kernel or packages are not in the cache; run: make eif"
    ),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "chancery.eif"
    build_image(BuildInputs(CONFIG), path, lambda _: None)
    return path


@pytest.fixture(scope="module")
def ramdisks(image: Path) -> list[Mapping[str, tuple[Member, bytes]]]:
    """Path to entry and content, for each ramdisk."""
    found: list[Mapping[str, tuple[Member, bytes]]] = []
    with opened(image) as stream, ExitStack() as scratch:
        for section in read_image(stream).sections:
            if section.start.kind is SectionType.RAMDISK:
                members = read_ramdisk(Span(stream, section.start.offset, section.start.size), scratch)
                found.append({name: (member, b"".join(member.content.pieces())) for name, member in members.items()})
    return found


def test_first_ramdisk_is_init_and_the_console(ramdisks: list[Mapping[str, tuple[Member, bytes]]]) -> None:
    init, _ = ramdisks
    assert set(init) == {"dev", "dev/console", "init"}
    assert init["init"][1].startswith(b"\x7fELF")
    assert b"ld-linux" not in init["init"][1], "init is static"


def test_every_file_is_on_the_allow_list_and_owned_by_root(ramdisks: list[Mapping[str, tuple[Member, bytes]]]) -> None:
    _, application = ramdisks
    files = [name for name, (member, _) in application.items() if member.kind is not Kind.DIRECTORY]
    assert len(files) > 1000
    assert [name for name in files if not allow_list().allows(name)] == []
    assert "init" not in application, "only the first ramdisk brings init"
    plain = [member for member, _ in application.values() if member.kind is not Kind.SYMLINK and member.path != "tmp"]
    assert [member.path for member in plain if member.mode & 0o7022] == []
    assert {(member.uid, member.gid) for member in plain} == {(0, 0)}


def test_nothing_of_simulator_tests_and_host_is_inside(ramdisks: list[Mapping[str, tuple[Member, bytes]]]) -> None:
    words = ("simulator", "host_proxy", "pytest", "hypothesis", "botocore", "/pip/", "bash", "busybox")
    assert [name for name in ramdisks[1] for word in words if word in name] == []


def test_code_and_configuration_are_those_of_the_checkout(ramdisks: list[Mapping[str, tuple[Member, bytes]]]) -> None:
    _, application = ramdisks
    assert application["etc/chancery/config.json"][1] == CONFIG
    for package in ("enclave", "evm", "protocol", "attestation"):
        prefix = f"{base.PACKAGES}/"
        inside = {name.removeprefix(prefix) for name in application if name.startswith(f"{prefix}{package}/")}
        sources = {name for name in inside if name.endswith(".py")}
        assert sources
        for name in sources:
            assert application[prefix + name][1] == (ROOT / name).read_bytes()
            compiled = f"{Path(name).parent}/__pycache__/{Path(name).stem}.cpython-313.pyc"
            assert compiled in inside, f"{name} would be compiled at every start"


def test_every_library_that_a_file_loads_is_there(ramdisks: list[Mapping[str, tuple[Member, bytes]]]) -> None:
    _, application = ramdisks
    present = {Path(name).name for name in application}
    missing = {
        (name, library)
        for name, (_, content) in application.items()
        if content.startswith(b"\x7fELF")
        for library in needed(content) - present
    }
    assert missing == set()


def needed(elf: bytes) -> set[str]:
    """DT_NEEDED of a 64-bit little-endian ELF file, by its program headers."""
    offset, size, count = (*struct.unpack_from("<Q", elf, 32), *struct.unpack_from("<HH", elf, 54))
    headers = [struct.unpack_from("<IIQQQQQQ", elf, offset + size * index) for index in range(count)]
    loads = [(at, address, length) for kind, _, at, address, _, length, _, _ in headers if kind == 1]
    dynamic = next(((at, length) for kind, _, at, _, _, length, _, _ in headers if kind == 2), None)
    if dynamic is None:
        return set()
    at, length = dynamic
    entries = [struct.unpack_from("<QQ", elf, at + step) for step in range(0, length, 16)]
    (address,) = (value for tag, value in entries if tag == 5)
    (table,) = (at + address - start for at, start, length in loads if start <= address < start + length)
    return {elf[table + value :].partition(b"\0")[0].decode() for tag, value in entries if tag == 1}


def test_image_is_small(image: Path) -> None:
    assert image.stat().st_size < 40 * MIB


def test_two_builds_in_different_circumstances_are_the_same(image: Path, tmp_path: Path) -> None:
    """Another path, time, locale, time zone, umask, processor count, order of files on disk and seed of hashes."""
    source = tmp_path / "elsewhere" / "checkout"
    for package in ("protocol", "evm", "enclave", "attestation"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    config = tmp_path / "config.json"
    config.write_bytes(CONFIG)
    out = tmp_path / "other.eif"
    command = [sys.executable, "-m", "eif", "build", "--config", str(config), "--out", str(out)]
    environment = {
        **os.environ, "TZ": "Pacific/Chatham", "LC_ALL": "C", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "1",
        "XDG_CACHE_HOME": str(another_cache(tmp_path)),
    }  # fmt: skip
    done = subprocess.run(
        ["taskset", "-c", "0", *command, "--source", str(source)],
        cwd=ROOT, env=environment, umask=0o077, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == image.read_bytes()


def another_cache(folder: Path) -> Path:
    """One with what is fetched and the kernel, so that everything else is made anew."""
    from eif.cache import cache_folder

    cache = folder / "cache" / "chancery"
    cache.mkdir(parents=True)
    for name in ("packages", "kernel"):
        (cache / name).symlink_to(cache_folder(name))
    return folder / "cache"


def test_one_byte_in_the_source_changes_the_application_and_is_named(image: Path, tmp_path: Path) -> None:
    source = tmp_path / "checkout"
    for package in ("protocol", "evm", "enclave", "attestation"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    edited = source / "enclave/boot.py"
    edited.write_text(edited.read_text().replace("Order:", "order:", 1))
    other = tmp_path / "edited.eif"
    build_image(BuildInputs(CONFIG, source=source), other, lambda _: None)
    before, after = measure_path(image), measure_path(other)
    assert {index for index in before if before[index] != after[index]} == {0, 2}
    with opened(image) as first, opened(other) as second:
        text = render(explain(first, second))
    assert f"{base.PACKAGES}/enclave/boot.py changed" in text
    assert text.count(".py changed") == 1


def test_own_kernel_is_taken_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "bzImage"
    own.write_bytes(b"a kernel of my own")
    out = tmp_path / "own.eif"
    build_image(BuildInputs(CONFIG, kernel=own), out, lambda _: None)
    with opened(out) as stream:
        sections = read_image(stream).sections
        stream.seek(sections[0].start.offset)
        assert stream.read(sections[0].start.size) == own.read_bytes()
        stream.seek(sections[1].start.offset)
        assert stream.read(sections[1].start.size) == CMDLINE.encode()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (b"# Not JSON\n", "config-malformed"),
        (CONFIG.replace(b'"threshold": 2', b'"threshold": 1'), "config-threshold"),
        (CONFIG.replace(b'"threshold"', b'"treshold"'), "treshold"),
    ],
)
def test_configuration_that_the_enclave_would_refuse_makes_no_image(tmp_path: Path, config: bytes, reason: str) -> None:
    with pytest.raises(EifError, match=f"config-refused.*{reason}"):
        build_image(BuildInputs(config), tmp_path / "out.eif", lambda _: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("config", [b"", b"x" * (1 << 20)])
def test_configuration_of_no_size_or_too_much_is_refused(tmp_path: Path, config: bytes) -> None:
    with pytest.raises(EifError, match="config-size"):
        build_image(BuildInputs(config), tmp_path / "out.eif", lambda _: None)
    assert not (tmp_path / "out.eif").exists()


def test_missing_kernel_is_named(tmp_path: Path) -> None:
    with pytest.raises(EifError, match=r"input-unreadable.*no-kernel"):
        build_image(BuildInputs(CONFIG, kernel=tmp_path / "no-kernel"), tmp_path / "out.eif", lambda _: None)


def test_archive_of_packages_comes_from_the_cache() -> None:
    said: list[str] = []
    made = base.build_base(said.append)
    assert base_archive(made, said.append) == base_archive(made, said.append)
    assert said.count("packing interpreter and packages") <= 1
