"""Every check of the session contract on calls of implicit sessions, by the error with which it refuses."""

from dataclasses import replace

from eth_abi.abi import encode

from evm.wallet.payload import CallsPayload
from evm.wallet.sessions.assembly import assemble
from evm.wallet.sessions.configuration import IdentitySigner, Node, image_hash, map_leaves

from .samples import (
    APP,
    BOB,
    CALL,
    DAPP,
    OTHER,
    STRANGER,
    WALLET,
    attestation,
    attested,
    check,
    implicit,
    refused,
    session,
    signed,
    tree,
)


def test_implicit_call_is_up_to_its_target() -> None:
    payload = CallsPayload((CALL,))
    signature = assemble(tree(), [implicit(payload, 0)])
    (request,) = check(signature, payload).open_requests
    assert (request.index, request.wallet, request.call) == (0, WALLET, CALL)
    answer = attestation().magic(WALLET)
    assert not check(signature, payload, implicit_results={0: answer}).open_requests
    request.validate_result(answer)
    for wrong in (bytes(32), attestation().magic(BOB)):
        with refused("InvalidImplicitResult"):
            check(signature, payload, implicit_results={0: wrong})
        with refused("InvalidImplicitResult"):
            request.validate_result(wrong)


def test_implicit_request_as_the_target_reads_it() -> None:
    payload = CallsPayload((CALL,))
    (request,) = check(assemble(tree(), [implicit(payload, 0)]), payload).open_requests
    found = attestation()
    types = [
        "address",
        "(address,bytes4,bytes32,bytes32,bytes,(string,uint64))",
        "(address,uint256,bytes,uint256,bool,bool,uint256)",
    ]
    data = found.auth_data
    values = [
        WALLET,
        (
            found.approved_signer,
            found.identity_type,
            found.issuer_hash,
            found.audience_hash,
            found.application_data,
            (data.redirect_url, data.issued_at),
        ),
        (CALL.to, CALL.value, CALL.data, CALL.gas_limit, CALL.delegate_call, CALL.only_fallback, 1),
    ]
    assert request.calldata == bytes.fromhex("9d043a66") + encode(types, values)


def test_attestation_of_another_identity_signer() -> None:
    payload = CallsPayload((CALL,))
    signature = assemble(tree(), [implicit(payload, 0)])
    forged = replace(signature.attestations[0], signature=signature.calls[0].signature)
    with refused("InvalidIdentitySigner"):
        check(replace(signature, attestations=(forged,)), payload)
    with refused("InvalidIdentitySigner"):
        assemble(tree(), [implicit(payload, 0, by=attested(by=STRANGER))])


def test_attestation_of_another_session_key_or_out_of_range() -> None:
    payload = CallsPayload((CALL,))
    with refused("InvalidSessionSigner"):
        check(assemble(tree(), [implicit(payload, 0, OTHER)]), payload)
    signature = assemble(tree(), [implicit(payload, 0)])
    with refused("InvalidAttestation"):
        check(replace(signature, calls=(replace(signature.calls[0], index=1),)), payload)


def test_blacklist_holds_for_implicit_sessions_alone() -> None:
    payload = CallsPayload((CALL,))
    for listed in (APP.address, DAPP):
        barred = tree(session(), blacklist=[listed, BOB])
        with refused("BlacklistedAddress"):
            check(assemble(barred, [implicit(payload, 0)]), payload, of=barred)
        check(signed(payload, 1, of=barred), payload, of=barred)


def test_implicit_calls_send_no_coins_and_need_a_visible_blacklist() -> None:
    payload = CallsPayload((replace(CALL, value=1),))
    with refused("InvalidValue"):
        check(assemble(tree(), [implicit(payload, 0)]), payload)
    payload = CallsPayload((CALL,))
    signature = assemble(tree(), [implicit(payload, 0)])
    hidden = map_leaves(
        signature.tree, lambda leaf: leaf if isinstance(leaf, IdentitySigner | Node) else Node(image_hash(leaf))
    )
    with refused("InvalidBlacklist"):
        check(replace(signature, tree=hidden), payload)


def test_one_attestation_for_several_calls_is_listed_once() -> None:
    payload = CallsPayload((CALL, CALL, CALL))
    other = attested(attestation(OTHER))
    calls = [implicit(payload, 0), implicit(payload, 1), implicit(payload, 2, OTHER, other)]
    signature = assemble(tree(), calls)
    assert [call.index for call in signature.calls] == [0, 0, 1]
    assert len(signature.attestations) == 2
    check(signature, payload)
