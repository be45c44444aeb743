"""A published client's calls, from Node, against the whole appliance: what an app developer does on a laptop."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from simulator import settings
from simulator.browser import sign_in
from tests.e2e.e2e_support import SCOPE, Site
from tests.instrument_wire.node_programs import LIBRARIES, install, journey

EMAIL = "Mary.Somerville@Example.com"


@pytest.mark.parametrize("library", LIBRARIES)
def test_client_logs_in_signs_and_understands_refusals(site: Site, tmp_path: Path, library: str) -> None:
    installed = install(tmp_path, library)

    async def fetch(asked: dict[str, Any]) -> str:
        if asked["ask"] == "code":
            return await asyncio.to_thread(site.mailed_code, EMAIL.lower())
        return await asyncio.to_thread(sign_in, site.stand_ins.login_page_url, "mary")

    facts = {"library": library, "url": site.url, "scope": SCOPE, "email": EMAIL}
    facts |= {"issuer": settings.ISSUER, "audience": settings.CLIENT_ID, "pcr0": site.image.pcrs[0].hex()}
    outcome = asyncio.run(journey(installed, "journey.mjs", facts, fetch))
    first, second, by_token = outcome["signers"]
    assert first == second != by_token
    assert outcome["codes"] == [7003, 7003, 7003, 7005, 7200, 7202]
