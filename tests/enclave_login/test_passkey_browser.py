"""A real browser with a virtual authenticator makes passkeys that the enclave takes, and log in with."""

from pathlib import Path
from typing import Any

import pytest

from tests.appliance import ORIGIN, Client, World, config_json
from tests.enclave_login.browser import CHROMIUM, browser_page, empty_site
from tests.enclave_login.test_passkey_login import challenge, finish, link, refused

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

USER = {"id": "dXNlcg", "name": "ada@example.com", "displayName": "Ada"}


def creation(verifier: str, algorithm: int) -> dict[str, Any]:
    selection = {"userVerification": "required", "residentKey": "required"}
    return {
        "challenge": verifier,
        "rp": {"id": "localhost", "name": "wallet"},
        "user": USER,
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm}],
        "authenticatorSelection": selection,
        "attestation": "none",
    }


@pytest.mark.parametrize("algorithm", [-7, -257])
async def test_passkey_of_a_browser_is_linked_and_logs_in(pki_folder: Path, tmp_path: Path, algorithm: int) -> None:
    with empty_site() as origin:
        scopes = [
            scope | {"origins": [ORIGIN, origin], "passkey_rp_id": "localhost"} for scope in config_json()["scopes"]
        ]
        world = World(pki_folder, scopes=scopes)
        await world.boot()
        owner = Client(world)
        address = (await world.log_in(owner))["signer"]["address"]
        async with browser_page(tmp_path, origin) as page:
            await page.add_authenticator()
            verifier = await challenge(owner, "create")
            linked = await link(owner, verifier, await page.credential("create", creation(verifier, algorithm)))
            assert [login["type"] for login in linked["logins"]] == ["Email", "Passkey"]
            for _ in range(2):
                device = Client(world)
                verifier = await challenge(device)
                options = {"challenge": verifier, "rpId": "localhost", "userVerification": "required"}
                answer = await page.credential("get", options)
                assert (await finish(device, verifier, answer))["signer"]["address"] == address
            assert await refused(finish(device, verifier, answer)) == (7200, "commitment not found")
        await world.stop()
