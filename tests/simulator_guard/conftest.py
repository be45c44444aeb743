"""One simulated appliance with a guard beside it, as `make run` starts it."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.places import GuardOptions
from simulator.run import RUNNING_FILE
from tests.e2e.e2e_support import Site
from tests.simulator_guard.terminal import Terminal

_people = itertools.count(1)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("guarded"), guard=GuardOptions()) as site:
        announce(site)
        yield site


def announce(site: Site) -> None:
    """Wait until both enclaves serve, and write down where, as `make run` does."""
    site.serving()
    guard = site.appliance.guard
    assert guard is not None
    site.do(guard.wait_until())
    addresses = {"guard": guard.url, "login_page": site.stand_ins.login_page_url, "url": site.url}
    (site.state / RUNNING_FILE).write_text(json.dumps(addresses))


@pytest.fixture
def terminal(guarded: Site, tmp_path: Path) -> Terminal:
    """Somebody who has a wallet under the guard, with all of its budgets."""
    made = Terminal(guarded, tmp_path)
    made.log_in(f"owner-{next(_people)}")
    made.run("wallet", "create", "--guard", made.guard)
    return made
