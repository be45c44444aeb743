"""Session signatures as a whole: what they are bound to, and what they must show."""

from dataclasses import replace

import pytest

from evm.address import checksum
from evm.wallet.operation_hash import Operation, operation_hash
from evm.wallet.payload import Call, CallsPayload, MessagePayload
from evm.wallet.sessions import session_sig
from evm.wallet.sessions.assembly import assemble
from evm.wallet.sessions.call_hash import call_hash
from evm.wallet.sessions.chain_state import SESSION_MANAGER
from evm.wallet.sessions.configuration import Branch, IdentitySigner, add, image_hash
from evm.wallet.sessions.explain import explain_signature
from evm.wallet.sessions.permission import Permission
from evm.wallet.sessions.session_manager import SessionManager, verify_session
from evm.wallet.sessions.session_sig import parse_session_signature

from .samples import (
    ANY,
    APP,
    BOB,
    CALL,
    CHAIN_ID,
    DAPP,
    IDENTITY,
    OTHER,
    SPEND,
    STRANGER,
    TOKEN,
    WALLET,
    attestation,
    attested,
    check,
    explicit,
    implicit,
    increment,
    refused,
    session,
    signed,
    state,
    transfer,
    tree,
)


def test_signature_of_one_call_is_none_of_another() -> None:
    """Bound to wallet, chain, space, nonce, the other calls, and the place among them."""
    payload = CallsPayload((CALL, CALL))
    signature = signed(payload, 1, 1)
    with refused("InvalidSessionSigner"):
        check(replace(signature, calls=signature.calls[::-1]), payload)
    for other in (
        replace(payload, nonce=1),
        replace(payload, space=1),
        CallsPayload((CALL, replace(CALL, gas_limit=1))),
    ):
        with refused("InvalidSessionSigner"):
            check(signature, other)
    with refused("InvalidSessionSigner"):
        verify_session(signature, Operation(payload, BOB, CHAIN_ID), state())
    with refused("InvalidSessionSigner"):
        verify_session(signature, Operation(payload, WALLET, CHAIN_ID, no_chain_id=True), state())


def test_signature_for_every_chain() -> None:
    payload = CallsPayload((CALL,))
    signature = assemble(tree(), [explicit(payload, 0, 1, chain_id=0)])
    verify_session(signature, Operation(payload, WALLET, CHAIN_ID, no_chain_id=True), state())
    with refused("InvalidSessionSigner"):
        verify_session(signature, Operation(payload, WALLET, CHAIN_ID), state())


def test_14_parents_are_hashed_as_the_wallet_sees_them() -> None:
    """The client library drops the last of them, which no contract does."""
    payload = CallsPayload((CALL,), parent_wallets=(BOB, DAPP))
    digests = [operation_hash(each, WALLET, 1) for each in (payload, replace(payload, parent_wallets=(BOB,)))]
    assert len({call_hash(digest, 0) for digest in digests}) == 2
    signature = signed(payload, 1)
    check(signature, payload)
    with refused("InvalidSessionSigner"):
        check(signature, replace(payload, parent_wallets=(BOB,)))


def test_number_of_call_signatures_is_the_number_of_calls() -> None:
    payload = CallsPayload((CALL, CALL))
    signature = signed(payload, 1, 1)
    for calls in (signature.calls[:1], signature.calls + signature.calls[:1]):
        with refused("InvalidSignatureLength"):
            check(replace(signature, calls=calls), payload)
    for damaged in (signature.encoded + b"\0", signature.encoded[:-1]):
        with refused("InvalidSignatureLength"):
            parse_session_signature(damaged)


def test_garbage_for_a_call_signature_is_nobody() -> None:
    payload = CallsPayload((CALL,))
    signature = signed(payload, 1)
    with refused("InvalidSessionSigner", "wallet-session-signature-signer"):
        check(replace(signature, calls=(replace(signature.calls[0], signature=bytes(64)),)), payload)


def test_tree_shows_one_identity_signer_and_one_blacklist_at_most() -> None:
    payload = CallsPayload((CALL,))
    signature = signed(payload, 1)
    shown = signature.tree
    for extra, reason in ((IdentitySigner(OTHER.address), "InvalidIdentitySigner"), (tree(), "InvalidIdentitySigner")):
        with refused(reason):
            check(replace(signature, tree=Branch((shown, extra))), payload)
    full = tree()
    assert isinstance(full, Branch)
    with refused("InvalidBlacklist"):
        check(replace(signature, tree=Branch((full, *full.children[:1]))), payload)
    with refused("InvalidIdentitySigner"):
        check(replace(signature, tree=session()), payload)


def test_calls_to_an_older_session_contract_are_ordinary_calls() -> None:
    """What counts as the session contract is the state's business."""
    payload = CallsPayload((Call(SESSION_MANAGER, data=b"\x01"),))
    allowed = tree(session(permissions=(Permission(SESSION_MANAGER),)))
    check(signed(payload, 0, of=allowed), payload, of=allowed, session_manager=BOB)
    with refused("InvalidLimitUsageIncrement"):
        check(signed(payload, 0, of=allowed), payload, of=allowed)


def test_first_leaf_of_a_key_is_the_one_that_counts() -> None:
    generous, strict = session(permissions=(ANY,)), session(permissions=())
    payload = CallsPayload((CALL,))
    signature = signed(payload, 0, of=tree(generous))
    identity = IdentitySigner(IDENTITY.address)
    check(
        replace(signature, tree=Branch((identity, generous, strict))), payload, of=Branch((identity, generous, strict))
    )
    with refused("MissingPermission"):
        check(replace(signature, tree=Branch((identity, strict, generous))), payload)


def test_state_is_that_of_the_operations_chain() -> None:
    payload = CallsPayload((CALL,))
    with refused(None, "wallet-session-state"):
        verify_session(signed(payload, 1), Operation(payload, WALLET, 1), state())


def test_size_and_number_of_attestations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = CallsPayload((CALL,))
    signature = assemble(tree(), [implicit(payload, 0)])
    (one,) = signature.attestations
    full = replace(signature, attestations=(one,) * session_sig.MAX_ATTESTATIONS)
    assert parse_session_signature(full.encoded) == full
    with refused(None, "wallet-session-signature-attestations"):
        replace(full, attestations=(one,) * (session_sig.MAX_ATTESTATIONS + 1))
    last = session_sig.MAX_ATTESTATIONS - 1
    assert replace(full.calls[0], index=last).encoded[0] == 0xFF
    with refused(None, "wallet-session-signature-call"):
        replace(full.calls[0], index=last + 1)
    monkeypatch.setattr(session_sig, "MAX_SIGNATURE_BYTES", len(signature.encoded))
    parse_session_signature(signature.encoded)
    monkeypatch.setattr(session_sig, "MAX_SIGNATURE_BYTES", len(signature.encoded) - 1)
    with refused(None, "wallet-session-signature-bytes"):
        parse_session_signature(signature.encoded)


def test_assembly_refuses_what_the_tree_cannot_show() -> None:
    payload = CallsPayload((CALL,))
    with refused("InvalidSessionSigner"):
        assemble(tree(), [explicit(payload, 0, 1, STRANGER)])
    with refused("InvalidIdentitySigner"):
        assemble(tree(), [explicit(payload, 0, 1)], STRANGER.address)
    two = add(tree(), IdentitySigner(OTHER.address))
    calls = [implicit(payload, 0), implicit(payload, 0, by=attested(by=OTHER))]
    with refused("InvalidIdentitySigner", "wallet-session-signature-identity-signers"):
        assemble(two, calls)


def test_module_refuses_while_a_target_has_not_answered() -> None:
    payload = CallsPayload((CALL,))
    signature, operation = assemble(tree(), [implicit(payload, 0)]), Operation(payload, WALLET, CHAIN_ID)
    with refused(None, "wallet-session-implicit-result-unknown"):
        SessionManager(state()).recover(operation, signature.encoded)
    answered = state(implicit_results={0: attestation().magic(WALLET)})
    assert SessionManager(answered).recover(operation, signature.encoded) == image_hash(tree())


def test_signature_in_words() -> None:
    payload = CallsPayload((increment((SPEND.usage_hash(APP.address, 1), 5)), transfer(5), CALL))
    calls = [explicit(payload, 0, 0), explicit(payload, 1, 0), implicit(payload, 2)]
    first, second, third = explain_signature(assemble(tree(), calls), Operation(payload, WALLET, CHAIN_ID))
    key = checksum(APP.address)
    assert first.startswith(
        f"Call 1: Write down what the sessions have used; by the key {key}, under permission 1, for 0x"
    )
    assert "Call 2: Transfer 5 base units of token" in second
    assert second.endswith(f"under permission 1, for {checksum(TOKEN)}, with 2 rules")
    assert third.endswith(
        f'by the key {key}, attested by {checksum(IDENTITY.address)} for the application at "https://dapp.example/"'
    )


def test_words_say_what_is_missing() -> None:
    payload = CallsPayload((CALL,))
    signature, operation = signed(payload, 77), Operation(payload, WALLET, CHAIN_ID)
    assert explain_signature(signature, operation)[0].endswith("under permission 78, WHICH IT DOES NOT HAVE")
    stranger = replace(signature, calls=signed(payload, 1, of=tree(session(STRANGER)), key=STRANGER).calls)
    assert explain_signature(stranger, operation)[0].endswith("WHICH HAS NO SESSION here")
    with refused("InvalidPayloadKind"):
        explain_signature(signature, Operation(MessagePayload(b""), WALLET, CHAIN_ID))
