"""Logins by authorization code over HTTP: the original's scenarios (identity-instrument.md 6.1), one test each."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from evm.keccak import keccak256
from tests.appliance import Client
from tests.enclave_login.code_flow import PUBLIC, REDIRECT, TEAM, WEB, CodeWorld, code_world, commit, complete
from tests.instrument_wire.test_wire_scenarios import assert_signs
from tests.instrument_wire.wire import Wire, over_http


@pytest.fixture
async def coded(pki_folder: Path) -> AsyncIterator[tuple[CodeWorld, Wire]]:
    async with code_world(pki_folder) as made, over_http(made.world) as http:
        yield made, Wire(made.world, made.provider, http)


async def started(wire: Wire, client: Client, mode: str, audience: str, **members: Any) -> dict[str, str]:
    answer = await wire.call(client, "CommitVerifier", commit(mode, audience, **members))
    assert answer.status == 200, answer.body
    result: dict[str, str] = answer.json
    return result


async def finished(wire: Wire, client: Client, mode: str, verifier: str, code: str) -> dict[str, Any]:
    answer = await wire.call(client, "CompleteAuth", complete(mode, verifier, code))
    assert answer.status == 200, answer.body
    identity = answer.json["identity"]
    assert identity["type"] == "OIDC"
    assert identity["sub"]
    await assert_signs(wire, client, answer.json["signer"], hex(wire.world.clock.wall_ms()))
    result: dict[str, Any] = answer.json
    return result


async def test_oidc_auth_code(coded: tuple[CodeWorld, Wire]) -> None:
    """Without PKCE, with a secret; the client commits to the code's hash and completes at once."""
    world, wire = coded
    client = wire.client()
    code = await world.code(TEAM)
    handle = "0x" + keccak256(code.encode()).hex()
    begun = await started(wire, client, "AuthCode", TEAM, handle=handle)
    assert begun == {"verifier": handle, "loginHint": "", "challenge": ""}
    await finished(wire, client, "AuthCode", handle, code)


async def test_oidc_pkce(coded: tuple[CodeWorld, Wire]) -> None:
    world, wire = coded
    client = wire.client()
    begun = await started(wire, client, "AuthCodePKCE", WEB)
    assert begun["verifier"] == begun["challenge"]
    assert begun["loginHint"] == ""
    await finished(wire, client, "AuthCodePKCE", begun["verifier"], await world.code(WEB, begun["challenge"]))
    [(_, form)] = world.posted
    assert (form["grant_type"], form["redirect_uri"]) == ("authorization_code", REDIRECT)
    assert len(form["code_verifier"]) == 66


async def test_oidc_pkce_without_a_client_secret(coded: tuple[CodeWorld, Wire]) -> None:
    world, wire = coded
    client = wire.client()
    begun = await started(wire, client, "AuthCodePKCE", PUBLIC)
    await finished(wire, client, "AuthCodePKCE", begun["verifier"], await world.code(PUBLIC, begun["challenge"]))
    [(headers, form)] = world.posted
    assert "client_secret" not in form
    assert "authorization" not in headers


async def test_oidc_pkce_with_a_signer(coded: tuple[CodeWorld, Wire]) -> None:
    """As the original's but for the hint, which only a key sees that proved the subject before."""
    world, wire = coded
    first, second = wire.client(), wire.client()
    begun = await started(wire, first, "AuthCodePKCE", PUBLIC)
    done = await finished(wire, first, "AuthCodePKCE", begun["verifier"], await world.code(PUBLIC, begun["challenge"]))
    for client, hint in ((first, done["identity"]["sub"]), (second, "")):
        again = await started(wire, client, "AuthCodePKCE", PUBLIC, signer=done["signer"])
        assert again["verifier"] == f"Ethereum_Secp256k1:{done['signer']['address']}"
        assert again["loginHint"] == hint
        code = await world.code(PUBLIC, again["challenge"])
        found = await finished(wire, client, "AuthCodePKCE", again["verifier"], code)
        assert found["signer"] == done["signer"]


@pytest.mark.parametrize("verifier", ["signer", "handle"])
async def test_apple_s_second_login_works_with_either_verifier(coded: tuple[CodeWorld, Wire], verifier: str) -> None:
    """Section 8, defect 16: the original filed it under the signer, and its own client completes with the hash."""
    world, wire = coded
    client = wire.client()
    code = await world.code(TEAM)
    handle = "0x" + keccak256(code.encode()).hex()
    await started(wire, client, "AuthCode", TEAM, handle=handle)
    done = await finished(wire, client, "AuthCode", handle, code)
    second = await world.code(TEAM)
    handle = "0x" + keccak256(second.encode()).hex()
    begun = await started(wire, client, "AuthCode", TEAM, handle=handle, signer=done["signer"])
    named = handle if verifier == "handle" else begun["verifier"]
    assert (await finished(wire, client, "AuthCode", named, second))["signer"] == done["signer"]
