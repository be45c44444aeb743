"""The cache of builds: made once for its inputs, whole or not at all."""

import threading
from pathlib import Path

import pytest

from eif import cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_result_is_made_once_for_its_key() -> None:
    made: list[str] = []

    def make(folder: Path) -> None:
        made.append(folder.name)
        (folder / "result").write_text("here")

    first, again = cache.built("tool", "key", make), cache.built("tool", "key", make)
    assert first == again
    assert (first / "result").read_text() == "here"
    assert cache.built("tool", "other", make) != first
    assert len(made) == 2


def test_interrupted_build_leaves_nothing_and_is_made_anew() -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_text("done")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.built("tool", "key", fails)
    assert [path.name for path in cache.cache_folder("tool").iterdir() if path.suffix != ".lock"] == []
    assert cache.built("tool", "key", lambda folder: (folder / "whole").touch()).is_dir()


def test_two_builders_of_the_same_make_it_once() -> None:
    made: list[int] = []
    started = threading.Event()

    def make(folder: Path) -> None:
        started.set()
        made.append(threading.get_ident())
        (folder / "result").touch()

    threads = [threading.Thread(target=cache.built, args=("tool", "key", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert started.is_set()
    assert len(made) == 1


def test_key_tells_inputs_apart_that_concatenate_alike() -> None:
    assert cache.key_of("ab", "c") != cache.key_of("a", "bc")
    assert cache.key_of(b"a", "b") == cache.key_of("a", b"b")
