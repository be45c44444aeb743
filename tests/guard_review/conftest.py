"""A booted guard with reviewers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guard_review.review_world import ReviewWorld


@pytest.fixture
async def guard(pki_folder: Path) -> AsyncIterator[ReviewWorld]:
    world = ReviewWorld(pki_folder)
    await world.boot()
    yield world
    await world.stop()
