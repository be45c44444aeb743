"""Nothing else that the login's key signs counts for its wallet: messages, documents, transactions in disguise."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evm.address import parse_address
from evm.errors import EvmError
from evm.message import PersonalMessage
from evm.signature import parse_signature
from evm.transaction import parse_transaction
from evm.wallet.attestation import parse_attestation, verify_attestation
from evm.wallet.disguise import validate_undisguised
from evm.wallet.payload_json import parse_payload, typed_data
from evm.wallet.signature.contracts import NoContracts
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import key_signature
from evm.wallet.signature.merging import assemble
from evm.wallet.signature.verifying import verify_signature
from tests.appliance import World

from .wallet_support import CHAIN_ID, GUARD, SmartUser, address_of, call, calls, refused, sign, wallet_scopes

DELEGATING = calls(call(delegateCall=True))
URL = b"https://evil.example/"


def scopes(*taken: str) -> list[dict[str, Any]]:
    found = wallet_scopes()
    found[0]["rights"] = [right for right in found[0]["rights"] if right not in taken]
    return found


@pytest.fixture
async def strict(pki_folder: Path) -> AsyncIterator[SmartUser]:
    """In a scope that does not grant to sign digests."""
    world = World(pki_folder, scopes=scopes("sign_digest"))
    await world.boot()
    yield await SmartUser.with_wallet(world)
    await world.stop()


async def signer(user: SmartUser, kind: str, payload: Any) -> dict[str, Any]:
    member = kind[0].lower() + kind[1:]
    return await user.client.own(f"/rpc/Signer/Sign{kind}", session=user.session, **{member: payload})


def attestation_in_a_transaction() -> dict[str, Any]:
    """A transaction whose bytes, hashed as they are, are an attestation for somebody's session key.

    nonce, gas price, gas, receiver and value lie where the key, type and hashes of an attestation do; the middle of the
    value is the length of its application data, which ends in the call data, before the URL.
    """
    ending = len(URL).to_bytes(3, "big") + URL + b"\x00" * 5  # the last three bytes of the time are the chain's
    filler = b"\x01" * 300
    size = 108 + 3 + len(filler) - 91  # up to the URL's length: the data begins behind a head of three bytes
    value = b"\x01" * 12 + size.to_bytes(3, "big") + b"\x01" * 17
    return {
        "type": "0x0",
        "chainId": "0x1",
        "nonce": hex(int("01" * 8, 16)),
        "gasPrice": hex(int("01" * 32, 16)),
        "gas": hex(int("01" * 8, 16)),
        "to": "0x" + "11" * 20,
        "value": hex(int.from_bytes(value, "big")),
        "data": "0x" + (filler + ending).hex(),
    }


async def test_without_the_check_such_signatures_do_count(user: SmartUser) -> None:
    """In a scope that may sign digests anyway: the attack is real, and this is what the check is for."""
    operation, configuration = user.operation(DELEGATING), await user.configuration()
    guards = key_signature(address_of(GUARD), sign(GUARD, operation.digest))
    message = await signer(user, "Message", {"bytes": "0x" + operation.digest.hex()})
    document = await signer(user, "TypedData", with_domain(typed_data(operation.payload, user.wallet, CHAIN_ID)))
    for answer, eth_sign in ((message, True), (document, False)):
        by_login = parse_signature(bytes.fromhex(answer["signature"][2:]))
        ours = key_signature(parse_address(user.signer), by_login, eth_sign=eth_sign)
        whole = encode_signature(assemble(configuration, operation, [ours, guards]))
        assert verify_signature(whole, operation, configuration.image_hash, NoContracts())
    found = parse_transaction(attestation_in_a_transaction())
    answer = await signer(user, "Transaction", attestation_in_a_transaction())
    attestation = parse_attestation(found.unsigned)
    assert attestation.auth_data.redirect_url == URL.decode()
    by_login = parse_signature(bytes.fromhex(answer["signature"][2:]))
    assert verify_attestation(attestation, by_login, parse_address(user.signer))


def with_domain(document: dict[str, Any]) -> dict[str, Any]:
    """As published clients write it: the domain's type among the others, numbers as numbers."""
    names = {"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address"}
    domain = [{"name": name, "type": type_} for name, type_ in names.items()]
    message = document["message"]
    for each in [message, *message.get("calls", [])]:
        for name in ("space", "nonce", "value", "gasLimit", "behaviorOnError"):
            if name in each:
                each[name] = hex(int(each[name]))
    return document | {"types": document["types"] | {"EIP712Domain": domain}, "message": message}


async def test_operation_hash_is_no_personal_message(strict: SmartUser) -> None:
    digest = strict.operation(DELEGATING).digest
    for message in ({"bytes": "0x" + digest.hex()}, {"text": "x" * 32}):
        error = await refused(signer(strict, "Message", message))
        assert (error.code, error.cause) == (7341, "wallet-disguise-message")
    assert await signer(strict, "Message", {"text": "x" * 31})


@pytest.mark.parametrize("payload", [DELEGATING, DELEGATING | {"recovery": True}])
async def test_operation_is_no_typed_document(strict: SmartUser, payload: dict[str, Any]) -> None:
    document = with_domain(typed_data(parse_payload(payload), strict.wallet, CHAIN_ID))
    assert (await refused(signer(strict, "TypedData", document))).cause == "wallet-disguise-document"
    document["domain"]["name"] = "Another Wallet"
    assert await signer(strict, "TypedData", document)


async def test_attestation_is_no_transaction(strict: SmartUser) -> None:
    transaction = attestation_in_a_transaction()
    assert (await refused(signer(strict, "Transaction", transaction))).cause == "wallet-disguise-attestation"
    assert await signer(strict, "Transaction", transaction | {"data": transaction["data"] + "00"})


async def test_legacy_wallets_alone_are_reason_enough(pki_folder: Path) -> None:
    found = scopes("sign_digest")
    del found[0]["wallet"]
    world = World(pki_folder, scopes=found)
    await world.boot()
    try:
        user = await SmartUser.logged_in(world)
        assert (await refused(signer(user, "Message", {"text": "x" * 32}))).cause == "wallet-disguise-message"
    finally:
        await world.stop()


async def test_scopes_without_wallets_sign_what_they_did(pki_folder: Path) -> None:
    found = scopes("sign_digest", "sign_legacy_wallet")
    del found[0]["wallet"]
    world = World(pki_folder, scopes=found)
    await world.boot()
    try:
        user = await SmartUser.logged_in(world)
        assert await signer(user, "Message", {"text": "x" * 32})
    finally:
        await world.stop()


@pytest.mark.parametrize("typed", [b"", b"\x02"])
async def test_transaction_is_no_attestation(user: SmartUser, typed: bytes) -> None:
    """The session key is the head of a list of RLP, whose last item is what is left of the attestation."""
    plain = await user.ask("IssueAttestation", approvedSigner="0x" + "11" * 20)
    size = (len(plain["encoded"]) - 2) // 2 - 64 + 300 - len(typed) - 3  # without the signature, with data, behind it
    head = typed + b"\xf9" + size.to_bytes(2, "big")
    items = b"\x01" * (17 - len(typed))
    rest = size - len(items) - 3
    forged = head + items[:-3] + b"\xb9" + (rest + 3).to_bytes(2, "big")
    assert len(forged) == 20
    ask = user.ask("IssueAttestation", approvedSigner="0x" + forged.hex(), applicationData="0x" + "22" * 300)
    assert (await refused(ask)).cause == "wallet-disguise-transaction"
    other = "0x" + (b"\xb9" + forged[1:]).hex()  # a text of that length is no list, and behind a type it is none either
    assert await user.ask("IssueAttestation", approvedSigner=other, applicationData="0x" + "22" * 300)


@given(st.binary(max_size=300))
def test_no_personal_message_that_passes_is_an_attestation(data: bytes) -> None:
    message = PersonalMessage(data, None)
    try:
        validate_undisguised(message)
    except EvmError:
        return
    assert len(data) != 32
    with pytest.raises(EvmError):
        parse_attestation(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data)
