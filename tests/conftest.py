"""Settings of the whole suite: hypothesis without time limits, and one seed, printed, for everything else random."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import settings

SEED_VARIABLE = "CHANCERY_TEST_SEED"

settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure() -> None:
    # Set before xdist starts its workers, so that all of them inherit the same seed.
    os.environ.setdefault(SEED_VARIABLE, "1" if os.environ.get("CI") else str(random.SystemRandom().randrange(2**32)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"to repeat this run: {SEED_VARIABLE}={os.environ[SEED_VARIABLE]}")


@pytest.fixture(scope="session")
def seed() -> int:
    """The seed of this run; repeat a run by setting the variable that the summary names."""
    return int(os.environ[SEED_VARIABLE])


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the simulated hardware keeps its certificates: made once, for all appliances of a process."""
    return tmp_path_factory.mktemp("pki")
