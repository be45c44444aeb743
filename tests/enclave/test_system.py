"""Clock and entropy adapters over a false sysfs."""

import os
import time
from pathlib import Path

import pytest

from enclave.errors import BootError
from enclave.system import KernelEntropy, SystemClock, parent_cid


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_clock_source_is_read_from_sysfs(tmp_path: Path) -> None:
    _write(tmp_path / "devices/system/clocksource/clocksource0/current_clocksource", "kvm-clock \n")
    assert SystemClock(tmp_path).source() == "kvm-clock"


def test_hardware_generator_is_read_from_sysfs(tmp_path: Path) -> None:
    _write(tmp_path / "class/misc/hw_random/rng_current", "nsm-hwrng\n")
    assert KernelEntropy(tmp_path).hardware_source() == "nsm-hwrng"


def test_kernel_that_tells_no_source_stops_the_boot(tmp_path: Path) -> None:
    with pytest.raises(BootError, match="clock-source"):
        SystemClock(tmp_path).source()
    with pytest.raises(BootError, match="entropy-source"):
        KernelEntropy(tmp_path).hardware_source()


def test_source_that_is_not_text_stops_the_boot(tmp_path: Path) -> None:
    (tmp_path / "class/misc/hw_random").mkdir(parents=True)
    (tmp_path / "class/misc/hw_random/rng_current").write_bytes(b"\xff\xfe")
    with pytest.raises(BootError, match="entropy-source"):
        KernelEntropy(tmp_path).hardware_source()


def test_clocks_are_in_milliseconds_and_the_monotonic_one_does_not_step_back() -> None:
    clock = SystemClock()
    assert abs(clock.wall_ms() - time.time() * 1000) < 5000
    readings = [clock.monotonic_ms() for _ in range(100)]
    assert readings == sorted(readings)


def test_random_bytes_have_the_size_asked_for_and_differ() -> None:
    entropy = KernelEntropy()
    assert len(entropy.random(1000)) == 1000
    assert entropy.random(32) != entropy.random(32)


def test_mixing_writes_everything_to_the_pool(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.touch()
    KernelEntropy(tmp_path, pool).mix(b"x" * 1000)
    assert pool.read_bytes() == b"x" * 1000


def test_mixing_works_with_the_pool_of_the_kernel() -> None:
    KernelEntropy().mix(os.urandom(256))


def test_mixing_into_a_missing_pool_stops_the_boot(tmp_path: Path) -> None:
    with pytest.raises(BootError, match="entropy-mix"):
        KernelEntropy(tmp_path, tmp_path / "absent" / "pool").mix(b"x")


@pytest.mark.parametrize(
    ("line", "cid"),
    [
        ("console=ttyS0 reboot=k\n", 3),
        ("chancery.parent_cid=2", 2),
        ("quiet chancery.parent_cid=2 reboot=t\n", 2),
        ("chancery.parent_cid=4294967294", 4294967294),
        ("other.chancery.parent_cid=2", 3),
        ("chancery.parent_cid=2 chancery.parent_cid=7", 7),
    ],
)
def test_parent_is_cid_3_unless_the_command_line_says_otherwise(tmp_path: Path, line: str, cid: int) -> None:
    (tmp_path / "cmdline").write_text(line)
    assert parent_cid(tmp_path / "cmdline") == cid


@pytest.mark.parametrize("value", ["", "-1", "0", "1", "4294967295", "4294967296", "2x", "0x2", "99999999999"])
def test_parent_that_is_no_cid_stops_the_boot(tmp_path: Path, value: str) -> None:
    (tmp_path / "cmdline").write_text(f"reboot=k chancery.parent_cid={value}")
    with pytest.raises(BootError, match="cmdline"):
        parent_cid(tmp_path / "cmdline")


def test_missing_or_odd_command_line_stops_the_boot(tmp_path: Path) -> None:
    with pytest.raises(BootError, match="cmdline"):
        parent_cid(tmp_path / "absent")
    (tmp_path / "cmdline").write_bytes(b"chancery.parent_cid=\xb2")
    with pytest.raises(BootError, match="cmdline"):
        parent_cid(tmp_path / "cmdline")
