"""One appliance for all end-to-end tests that leave it as they found it."""

from collections.abc import Iterator

import pytest

from tests.e2e.e2e_support import Site, scopes


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A serving appliance; every test brings its own users."""
    with Site(tmp_path_factory.mktemp("appliance"), changes={"scopes": scopes()}) as running:
        yield running.serving()
