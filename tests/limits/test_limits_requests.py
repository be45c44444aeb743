"""Members and headers of signed requests, each at its cap and one beyond, through the whole enclave (DO-01)."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from enclave.dispatch import NONCE_HEADER
from enclave.rpc.envelope import encode_json
from protocol import frames, limits
from tests.appliance import SCOPE, Client, Refused, World, commit_params, complete_params, config_json
from tests.evm import samples

EMAIL = "user@example.com"
NOT_FOUND = "commitment not found"
DOCUMENT = "/rpc/Attestation/Document"


async def cause_of(call: Any) -> str:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.cause


def commit(client: Client, **members: Any) -> Any:
    return client.call("CommitVerifier", commit_params(EMAIL) | members)


def complete(client: Client, verifier: str, answer: str) -> Any:
    return client.call("CompleteAuth", complete_params(verifier, answer))


async def test_scope(pki_folder: Path) -> None:
    scopes = [f"@1:{'s' * (limits.MAX_SCOPE_CHARS - 3 + extra)}" for extra in (0, 1)]
    [known, _] = config_json()["scopes"]
    world = World(pki_folder, scopes=[known | {"scope": scopes[0]}])
    await world.boot()
    assert await commit(Client(world), scope=scopes[0])
    assert await cause_of(commit(Client(world), scope=scopes[1])) == "valid scope is required"
    await world.stop()


async def test_handle(client: Client) -> None:
    domain = "@" + ".".join(["d" * 63, "d" * 63, "d" * 57, "example.com"])
    longest = "u" * (limits.MAX_HANDLE_BYTES - len(domain)) + domain
    assert (await commit(client, handle=longest))["verifier"] == longest
    assert await cause_of(commit(client, handle=longest + "c")) == "invalid params: handle is too long"
    wide = "é" * (limits.MAX_HANDLE_BYTES // 2)
    assert "incorrect email format" in await cause_of(commit(client, handle=wide))
    assert await cause_of(commit(client, handle=wide + "e")) == "invalid params: handle is too long", "bytes count"


async def test_verifier(client: Client) -> None:
    longest = "v" * limits.MAX_VERIFIER_BYTES
    assert await cause_of(complete(client, longest, "0x")) == NOT_FOUND
    assert await cause_of(complete(client, longest + "v", "0x")) == "invalid params: verifier is too long"


async def test_answer(client: Client) -> None:
    longest = "a" * limits.MAX_ANSWER_BYTES
    assert await cause_of(complete(client, EMAIL, longest)) == NOT_FOUND
    assert await cause_of(complete(client, EMAIL, longest + "a")) == "invalid params: answer is too long"


async def test_metadata_entries(client: Client) -> None:
    entries = {str(number): "" for number in range(limits.MAX_METADATA_ENTRIES)}
    assert await commit(client, metadata=entries)
    assert await cause_of(commit(client, metadata=entries | {"x": ""})) == "invalid params: too many metadata entries"


async def test_metadata_keys(client: Client) -> None:
    longest = "k" * limits.MAX_METADATA_KEY_BYTES
    assert await commit(client, metadata={longest: ""})
    assert await cause_of(commit(client, metadata={longest + "k": ""})) == "invalid params: metadata key is too long"


async def test_metadata_values(client: Client) -> None:
    longest = "v" * limits.MAX_METADATA_VALUE_BYTES
    assert await commit(client, metadata={"k": longest})
    cause = await cause_of(commit(client, metadata={"k": longest + "v"}))
    assert cause == "invalid params: metadata value for key k is too long"


async def test_nonce_digits(world: World, client: Client) -> None:
    address = (await world.log_in(client))["signer"]["address"]
    largest = 10**limits.MAX_NONCE_DIGITS - 1
    assert len(str(largest)) == limits.MAX_NONCE_DIGITS
    assert await client.sign(address, bytes(32), nonce=largest)
    assert await cause_of(client.sign(address, bytes(32), nonce=largest + 1)) == "invalid params: nonce is too long"


async def test_nonce_header(world: World) -> None:
    longest = "n" * limits.MAX_NONCE_HEADER_CHARS
    assert (await world.raw("/status", b"", {NONCE_HEADER: longest})).status == 200
    refused = json.loads((await world.raw("/status", b"", {NONCE_HEADER: longest + "n"})).body)
    assert (refused["code"], refused["cause"]) == (0, "X-Attestation-Nonce value cannot be longer than 32")


async def test_nonce_of_a_document(world: World) -> None:
    async def ask(size: int) -> int:
        nonce = base64.urlsafe_b64encode(bytes(size)).rstrip(b"=").decode()
        return (await world.raw(DOCUMENT, json.dumps({"nonce": nonce}).encode())).status

    shortest, longest = limits.MIN_DOCUMENT_NONCE_BYTES, limits.MAX_DOCUMENT_NONCE_BYTES
    assert [await ask(size) for size in (shortest - 1, shortest, longest, longest + 1)] == [400, 200, 200, 400]


async def test_documents_waiting(world: World) -> None:
    """The module makes one document at a time; whoever would wait behind a full queue learns it before any work."""
    attestor = world.enclave._dispatcher._attestor
    assert attestor is not None
    body = json.dumps({"nonce": "AAAAAAAAAAAAAAAAAAAAAA"}).encode()
    attestor._waiting = limits.MAX_DOCUMENTS_WAITING - 1
    assert (await world.raw(DOCUMENT, body)).status == 200
    assert (await world.raw("/status", b"", {NONCE_HEADER: "n"})).status == 200
    attestor._waiting = limits.MAX_DOCUMENTS_WAITING
    for response in (await world.raw(DOCUMENT, body), await world.raw("/status", b"", {NONCE_HEADER: "n"})):
        assert json.loads(response.body)["error"] == "Busy"
    assert (await world.raw("/status", b"", {})).status == 200, "others go on"


async def test_origin(pki_folder: Path) -> None:
    """An origin of the measured configuration is at most as long as one that a request may name."""
    longest = "https://" + "o" * (limits.MAX_ORIGIN_CHARS - len("https://"))
    [known, _] = config_json()["scopes"]
    world = World(pki_folder, scopes=[known | {"origins": [longest]}])
    await world.boot()
    client = Client(world, origin=longest)
    await world.log_in(client)
    assert await client.session()
    client.origin = longest + "o"
    assert await cause_of(client.session()) == "invalid params: origin is too long"
    await world.stop()


async def test_device(world: World, client: Client) -> None:
    await world.log_in(client)
    assert len(client.name) == limits.MAX_DEVICE_CHARS == len("WebCrypto_Secp256r1:") + limits.MAX_AUTH_KEY_CHARS
    too_long = client.own("/rpc/Session/Revoke", device=client.name + "0")
    assert await cause_of(too_long) == "invalid params: device is too long"
    assert (await client.own("/rpc/Session/Revoke", device=client.name))["live"] is False


async def test_scope_header(world: World, client: Client) -> None:
    params = commit_params(EMAIL)
    del params["scope"]
    path = "/rpc/IdentityInstrument/CommitVerifier"
    assert await client.send(path, client.envelope(params), x_sequence_scope=SCOPE)
    longest = f"@1:{'s' * (limits.MAX_SCOPE_CHARS - 3)}"
    assert await cause_of(client.send(path, client.envelope(params), x_sequence_scope=longest)) == "scope is not served"
    refused = client.send(path, client.envelope(params), x_sequence_scope=longest + "s")
    assert await cause_of(refused) == "valid scope is required"


async def test_understood(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is signed is shown: what no answer could show is refused, before its nonce is spent."""
    await world.log_in(client)
    message = {"session": (await client.session())["session"], "message": {"text": "\x7f" * 100}}
    understood = (await client.own("/rpc/Signer/SignMessage", **message))["understood"]
    monkeypatch.setattr(limits, "MAX_UNDERSTOOD_BYTES", len(encode_json(understood)))
    assert await client.own("/rpc/Signer/SignMessage", **message)
    monkeypatch.setattr(limits, "MAX_UNDERSTOOD_BYTES", len(encode_json(understood)) - 1)
    nonce = hex(client._nonce + 1)
    assert await cause_of(client.own("/rpc/Signer/SignMessage", **message)) == "understood-too-long"
    monkeypatch.undo()
    assert await client.own("/rpc/Signer/SignMessage", **message, nonce=nonce)


def batch_transfer(items: int) -> str:
    """The calldata that grows most when put into words: two lists of the largest numbers, given one by one."""
    largest = [2**256 - 1] * items
    words = [1, 2, 160, 160 + 32 * (items + 1), 160 + 64 * (items + 1), items, *largest, items, *largest, 0]
    return "0x2eb2c2d6" + b"".join(word.to_bytes(32, "big") for word in words).hex()


async def test_longest_answers_fit_a_frame_with_their_document(world: World, client: Client) -> None:
    await world.log_in(client)
    session = (await client.session())["session"]
    escaped = "\x7f" * (limits.MAX_MESSAGE_BYTES - 100)
    types = {"EIP712Domain": [{"name": "name", "type": "string"}], "P": [{"name": "a", "type": "string"}]}
    transaction = samples.transaction(2, data=batch_transfer(480), accessList=[])
    for path, members in {
        "/rpc/Signer/SignMessage": {"message": {"text": escaped}},
        "/rpc/Signer/SignTransaction": {"transaction": transaction},
        "/rpc/Signer/SignTypedData": {
            "typedData": {
                "types": types,
                "primaryType": "P",
                "domain": {"name": escaped[:28_000]},
                "message": {"a": escaped[:28_000]},
            }
        },
    }.items():
        envelope = client.envelope(client.own_params(path, session=session, **members))
        body = json.dumps(envelope, ensure_ascii=False).encode()
        headers = {"content-type": "application/json", NONCE_HEADER: "n" * limits.MAX_NONCE_HEADER_CHARS}
        response = await world.raw(path, body, headers)
        assert response.status == 200, response.body
        assert len(frames.encode(response)) > limits.MAX_FRAME_BYTES // 3, "long it was"
