"""What the enclave granted and attested, used: session calls that the wallet's contracts take, by their rules."""

from typing import Any

import pytest

from evm.address import Address, checksum, parse_address
from evm.signature import Signature, parse_signature
from evm.wallet.attestation import attestation_from_json, verify_attestation
from evm.wallet.configuration import Configuration
from evm.wallet.configuration_json import parse_configuration
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import Call, CallsPayload
from evm.wallet.sessions.assembly import CallSigned, ExplicitCallSignature, ImplicitCallSignature, assemble
from evm.wallet.sessions.call_hash import call_hash
from evm.wallet.sessions.chain_state import SESSION_MANAGER, ChainState
from evm.wallet.sessions.configuration import Tree, image_hash
from evm.wallet.sessions.explicit import PlannedCall, increment_call
from evm.wallet.sessions.session_json import permissions_from_json, tree_from_json
from evm.wallet.sessions.session_manager import SessionManager
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import key_signature, sapient_signature
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.merging import assemble as assemble_wallet
from evm.wallet.signature.verifying import verify_signature

from .wallet_support import (
    CHAIN_ID,
    DAY,
    GUARD_OF_SESSIONS,
    STRANGER,
    TOKEN,
    SmartUser,
    address_of,
    permissions,
    sign,
    transfer,
)

DAPP, FRIEND = Address(b"\xda" * 20), Address(b"\x99" * 20)
SESSION = STRANGER


async def known(user: SmartUser) -> tuple[Configuration, Tree]:
    found = await user.ask("Configuration")
    return parse_configuration(found["configuration"]), tree_from_json(found["sessions"])


def by_session(operation: Operation, index: int) -> Signature:
    return sign(SESSION, call_hash(operation.digest, index))


def check(configuration: Configuration, tree: Tree, operation: Operation, calls: list[CallSigned], state: Any) -> None:
    """The session's signature and the guard's, in the wallet's, as the wallet's contract recovers it."""
    data = assemble(tree, calls).encoded
    signature = assemble_wallet(
        configuration,
        operation,
        [
            sapient_signature(SESSION_MANAGER, image_hash(tree), data, compact=False),
            key_signature(address_of(GUARD_OF_SESSIONS), sign(GUARD_OF_SESSIONS, operation.digest)),
        ],
    )
    contracts = KnownContracts(CHAIN_ID, sapient={SESSION_MANAGER: SessionManager(state)})
    verify_signature(encode_signature(signature), operation, configuration.image_hash, contracts)


async def test_granted_session_spends_within_its_rules_and_not_beyond(user: SmartUser) -> None:
    now_s = user.world.clock.wall_ms() // 1000
    granted = permissions(address_of(SESSION), deadline=now_s + DAY)
    await user.update("ApproveSession", permissions=granted)
    configuration, tree = await known(user)
    session = permissions_from_json(granted)
    state = ChainState(CHAIN_ID, now_s)

    def spend(amount: int) -> None:
        call = Call(TOKEN, data=bytes.fromhex(transfer(FRIEND, amount)[2:]))
        first = increment_call([PlannedCall(call, session, 0)], session.signer, state)
        assert first is not None
        operation = Operation(CallsPayload((first, call), space=5), user.wallet, CHAIN_ID)
        signed: list[CallSigned] = [
            ExplicitCallSignature(session.signer, 0, by_session(operation, index)) for index in range(2)
        ]
        check(configuration, tree, operation, signed, state)

    spend(500)
    with pytest.raises(WalletError) as caught:
        spend(501)
    assert caught.value.reason == "InvalidPermission"


async def test_attested_session_acts_where_the_application_is_accepted(user: SmartUser) -> None:
    answer = await user.ask("IssueAttestation", approvedSigner=checksum(address_of(SESSION)))
    configuration, tree = await known(user)
    attestation = attestation_from_json(answer["attestation"])
    by_login = parse_signature(bytes.fromhex(answer["signature"][2:]))
    signed = verify_attestation(attestation, by_login, parse_address(user.signer))
    assert answer["encoded"] == "0x" + signed.encoded.hex()
    operation = Operation(CallsPayload((Call(DAPP, data=b"\x01" * 4),)), user.wallet, CHAIN_ID)
    calls: list[CallSigned] = [ImplicitCallSignature(signed, by_session(operation, 0))]
    accepted = ChainState(CHAIN_ID, 1, implicit_results={0: attestation.magic(user.wallet)})
    check(configuration, tree, operation, calls, accepted)
    with pytest.raises(WalletError) as caught:
        check(configuration, tree, operation, calls, ChainState(CHAIN_ID, 1, implicit_results={0: bytes(32)}))
    assert caught.value.reason == "InvalidImplicitResult"
    # Revoked, the same session is refused under the wallet's next configuration.
    await user.update("RevokeSession", signer=checksum(address_of(SESSION)))
    configuration, tree = await known(user)
    with pytest.raises(WalletError) as caught:
        check(configuration, tree, operation, calls, accepted)
    assert caught.value.reason == "BlacklistedAddress"
