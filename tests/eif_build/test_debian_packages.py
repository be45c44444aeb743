"""Pinned packages: locks, fetching from a mirror that may lie, unpacking."""

import hashlib
import io
import lzma
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from eif.debian import deb, fetch
from eif.debian.lock import LOCKS, Pinned, format_lock, parse_lock, read_lock
from eif.debian.sets import SETS
from eif.errors import EifError
from eif.rootfs import wheels
from tests.packaging.source import ROOT

CONTENT = b"a package" * 100
PATH = "pool/main/p/pack age/package_1.0~2-3+b1_amd64.deb".replace(" ", "-")


def pinned(content: bytes = CONTENT, path: str = PATH, size: int | None = None) -> Pinned:
    return Pinned(hashlib.sha256(content).hexdigest(), len(content) if size is None else size, "debian", path)


# --- locks ---


def test_lock_reads_what_it_writes_in_the_order_of_paths() -> None:
    files = [pinned(b"1", "pool/main/b/b_1_all.deb"), pinned(b"2", "pool/main/a/a_2_amd64.deb")]
    text = format_lock(files, "two\nlines")
    assert text.startswith("# two\n# lines\n")
    assert parse_lock(text) == (files[1], files[0])


def test_name_and_version_are_those_of_the_file() -> None:
    assert (pinned().package, pinned().version) == ("package", "1.0~2-3+b1")


GOOD = str(pinned())


@pytest.mark.parametrize(
    "line",
    [
        GOOD[1:],
        GOOD.upper(),
        GOOD.replace(" debian ", " elsewhere "),
        GOOD.replace("pool/", "pool/../"),
        GOOD.replace("pool/", "/pool/"),
        GOOD.replace("pool/main", "http://mirror/pool/main"),
        GOOD + " more",
        GOOD.replace(" 900 ", " -1 "),
        "nonsense",
    ],
)
def test_line_of_another_form_is_refused(line: str) -> None:
    parse_lock(GOOD)
    assert line != GOOD
    with pytest.raises(EifError, match=r"lock-malformed.*line 2"):
        parse_lock(f"# comment\n{line}\n")


@pytest.mark.parametrize("name", SETS)
def test_lock_of_the_repository_has_what_its_set_names(name: str) -> None:
    files = read_lock(name)
    assert {*SETS[name].packages, *SETS[name].alone} <= {file.package for file in files}
    assert len({file.package for file in files}) == len(files), "a package occurs in two versions"
    assert "://" not in (LOCKS / f"{name}.lock").read_text()
    for source in SETS[name].sources:
        assert any(file.package == source and file.path.endswith(".orig.tar.xz") for file in files)


def test_every_package_of_the_enclave_has_exactly_one_wheel() -> None:
    wanted = set()
    for line in (ROOT / "requirements/enclave.txt").read_text().replace("\\\n", " ").splitlines():
        requirement = Requirement(line.partition(" --hash")[0])
        if requirement.marker is None or requirement.marker.evaluate({"python_version": wheels.PYTHON}):
            wanted.add(f"{requirement.name}{requirement.specifier}")
    locked = [wheel.requirement for wheel in wheels.read_lock()]
    assert set(locked) == wanted
    assert len(locked) == len(wanted)


def test_wheels_are_among_those_that_the_requirements_pin() -> None:
    text = (ROOT / "requirements/enclave.txt").read_text()
    assert [wheel.file_name for wheel in wheels.read_lock() if f"sha256:{wheel.sha256}" not in text] == []


def test_malformed_lock_of_wheels_is_refused() -> None:
    with pytest.raises(EifError, match="lock-malformed"):
        wheels.read_lock("0123 a.whl")


# --- fetching ---


class Mirror(ThreadingHTTPServer):
    """Serves a folder, and counts."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        mirror = self

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                mirror.asked.append(self.path)

        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "mirror" / PATH
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    server = Mirror(tmp_path / "mirror")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_file_is_fetched_once_and_kept(mirror: Mirror) -> None:
    for _ in range(2):
        (path,) = fetch.fetch([pinned()], mirrors={"debian": mirror.url})
        assert path.read_bytes() == CONTENT
    assert len(mirror.asked) == 1


def test_file_that_was_damaged_in_the_cache_is_fetched_anew(mirror: Mirror) -> None:
    (path,) = fetch.fetch([pinned()], mirrors={"debian": mirror.url})
    path.write_bytes(CONTENT[:-1] + b"!")
    assert fetch.fetch([pinned()], mirrors={"debian": mirror.url}) == [path]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("sent", [CONTENT + b"!", CONTENT[:-1], CONTENT[:-1] + b"!", b""])
def test_other_content_under_the_name_is_refused_and_not_kept(mirror: Mirror, tmp_path: Path, sent: bytes) -> None:
    (tmp_path / "mirror" / PATH).write_bytes(sent)
    with pytest.raises(EifError, match="package-hash"):
        fetch.fetch([pinned()], mirrors={"debian": mirror.url})
    assert list((tmp_path / "cache/chancery/packages").iterdir()) == []


def test_file_that_the_mirror_lacks_is_named(mirror: Mirror) -> None:
    with pytest.raises(EifError, match=r"package-unavailable.*gone_1_all\.deb.*404"):
        fetch.fetch([pinned(path="pool/main/g/gone_1_all.deb")], mirrors={"debian": mirror.url})


def test_archive_without_a_mirror_is_named(mirror: Mirror) -> None:
    with pytest.raises(EifError, match=r"package-unavailable.*no mirror of debian"):
        fetch.fetch([pinned()], mirrors={})


def test_mirror_that_is_down_is_one_error(mirror: Mirror) -> None:
    with pytest.raises(EifError, match="package-unavailable"):
        fetch.fetch([pinned()], mirrors={"debian": "http://127.0.0.1:1"})


# --- packages ---


def package(folder: Path, *entries: tarfile.TarInfo, contents: bytes = b"content") -> Path:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for entry in entries:
            entry.size = len(contents) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(contents) if entry.isreg() else None)
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": lzma.compress(raw.getvalue())}
    data = b"!<arch>\n"
    for name, content in members.items():
        data += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        data += b"\n" * (len(content) % 2)
    path = folder / "package.deb"
    path.write_bytes(data)
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o4755) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def test_files_folders_and_links_are_unpacked_without_owners_and_special_modes(tmp_path: Path) -> None:
    path = package(
        tmp_path,
        entry("./"),
        entry("./usr/bin/", tarfile.DIRTYPE),
        entry("./usr/bin/tool"),
        entry("./usr/bin/same", tarfile.LNKTYPE, "./usr/bin/tool"),
        entry("./usr/bin/short", tarfile.SYMTYPE, "tool"),
    )
    deb.unpack(path, tmp_path / "root")
    folder = tmp_path / "root/usr/bin"
    assert (folder / "tool").read_bytes() == (folder / "same").read_bytes() == b"content"
    assert (folder / "short").readlink() == Path("tool")
    assert (folder / "tool").stat().st_mode & 0o7777 == 0o755


def test_link_at_the_top_is_followed_inside_the_root(tmp_path: Path) -> None:
    """Packages from before the merge of /usr name `lib`."""
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    deb.unpack(package(tmp_path, entry("./lib/", tarfile.DIRTYPE), entry("./lib/library.so")), root)
    assert (root / "usr/lib/library.so").is_file()
    assert (root / "lib").is_symlink()


@pytest.mark.parametrize("name", ["../outside", "./usr/../../outside", "/etc/passwd"])
def test_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EifError, match="package-malformed"):
        deb.unpack(package(tmp_path, entry(name)), tmp_path / "root")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("cut", range(0, 360, 9))
def test_cut_package_is_one_error(tmp_path: Path, cut: int) -> None:
    path = package(tmp_path, entry("./usr/a"), entry("./usr/b"))
    data = path.read_bytes()
    assert cut < len(data)
    path.write_bytes(data[:cut])
    with pytest.raises(EifError, match="package-malformed"):
        list(deb.members(path))


def test_file_that_is_no_package_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    for data in (b"", b"!<arch>\n", b"!<arch>\n" + b"x" * 60, b"PK\3\4", bytes(200)):
        path.write_bytes(data)
        with pytest.raises(EifError, match="package-malformed"):
            list(deb.members(path))
