"""From what is about to be signed to its effects: one function for each kind of it.

Each takes the decoded value that will be hashed (SE-16), the account that signs, and the tokens that are known. A value
with more than `MAX_EFFECTS` effects is refused: `EvmError("effects-too-many")`.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from evm.address import ZERO_ADDRESS, Address
from evm.authorization import Authorization
from evm.effects.account_changes import account_change
from evm.effects.call import Call, Walk, read_call
from evm.effects.documents import read_document
from evm.effects.messages import delegation, read_personal, read_preimage
from evm.effects.model import COIN, Effect, Kind, Reason, Tokens
from evm.effects.sequence import legacy_calls, wallet_calls
from evm.effects.user_operations import Operation, user_operation
from evm.message import PersonalMessage
from evm.transaction import Transaction
from evm.typed_data import TypedData
from evm.wallet.attestation import Attestation
from evm.wallet.legacy.digests import LegacyCall
from evm.wallet.operation_hash import RecoveryPayload
from evm.wallet.payload import CallsPayload, ConfigUpdatePayload, DigestPayload, MessagePayload, Payload
from evm.wallet.sessions.permission import SessionPermissions
from evm.wallet.sessions.worst_case import worst_case
from evm.wallet.user_operation import UserOperation

NO_TOKENS: Final[Tokens] = MappingProxyType({})


def effects_of_transaction(tx: Transaction, signer: Address, tokens: Tokens = NO_TOKENS) -> tuple[Effect, ...]:
    """What the transaction does and costs, and which accounts it hands over."""
    call = Call(Walk(tokens), tx.chain_id, signer, tx.to or ZERO_ADDRESS, tx.value, tx.data)
    if tx.to is None:
        effects = [call.effect(Kind.CREATION, contract=None, selector=b"")]
        if tx.value:
            effects.insert(0, call.coins(None, tx.value))
    else:
        effects = list(read_call(call))
    effects += [delegation(call, signed.authority, signed.authorization) for signed in tx.authorizations]
    effects.append(call.effect(Kind.FEE, contract=None, selector=b"", asset=COIN, amount=tx.max_fee))
    return tuple(effects)


def effects_of_authorization(
    authorization: Authorization, signer: Address, tokens: Tokens = NO_TOKENS
) -> tuple[Effect, ...]:
    """An EIP-7702 authorization by itself."""
    return (delegation(_signing(Walk(tokens), authorization.chain_id, signer), signer, authorization),)


def effects_of_message(message: PersonalMessage, signer: Address, tokens: Tokens = NO_TOKENS) -> tuple[Effect, ...]:
    """A personal message; it is bound to no chain."""
    return tuple(read_personal(_signing(Walk(tokens), 0, signer), message.data))


def effects_of_typed_data(document: TypedData, signer: Address, tokens: Tokens = NO_TOKENS) -> tuple[Effect, ...]:
    """A typed document."""
    return read_document(Walk(tokens), signer, document)


def effects_of_payload(
    payload: Payload | RecoveryPayload, wallet: Address, chain_id: int, tokens: Tokens = NO_TOKENS
) -> tuple[Effect, ...]:
    """A payload of a Sequence v3 wallet; chain id 0 where it holds on every chain.

    One with parents is carried out by the outermost of them, which `wallet` is a signer of.
    """
    inner = payload.payload if isinstance(payload, RecoveryPayload) else payload
    acting = inner.parent_wallets[0] if inner.parent_wallets else wallet
    call = _signing(Walk(tokens), chain_id, acting, contract=acting)
    if isinstance(payload, RecoveryPayload):
        return (call.nested(Kind.RECOVERY, _read_payload(call, inner, recovering=True)),)
    return tuple(_read_payload(call, inner))


def effects_of_bundle(
    calls: Sequence[LegacyCall], wallet: Address, chain_id: int, tokens: Tokens = NO_TOKENS
) -> tuple[Effect, ...]:
    """A bundle of a wallet of the first two generations."""
    call = replace(_signing(Walk(tokens), chain_id, wallet, contract=wallet), signed=False)
    plain = [(c.delegate_call, c.revert_on_error, c.gas_limit, c.target, c.value, c.data) for c in calls]
    return tuple(legacy_calls(call, wallet, plain))


def effects_of_user_operation(
    operation: UserOperation, chain_id: int, tokens: Tokens = NO_TOKENS
) -> tuple[Effect, ...]:
    """An ERC-4337 operation of a Sequence wallet, rebuilt from its parts."""
    call = replace(_signing(Walk(tokens), chain_id, operation.sender), signed=False)
    gas = operation.call_gas_limit + operation.verification_gas_limit + operation.pre_verification_gas
    found = Operation(
        operation.sender,
        operation.init_code,
        operation.call_data,
        gas,
        operation.max_fee_per_gas,
        operation.paymaster_and_data,
    )
    return (user_operation(call, found, entry_point=operation.entry_point),)


def effects_of_attestation(attestation: Attestation, wallet: Address, tokens: Tokens = NO_TOKENS) -> tuple[Effect, ...]:
    """An implicit session: its key may call, without value, whatever contract takes its application's requests.

    The attestation names neither wallet nor chain and does not end.
    """
    call = _signing(Walk(tokens), 0, wallet, function="implicit session")
    url = urlsplit(attestation.auth_data.redirect_url)
    site = (url.netloc or attestation.auth_data.redirect_url).lower()
    return (call.effect(Kind.GRANT, contract=None, counterparty=attestation.approved_signer, amount=0, site=site),)


def effects_of_session(session: SessionPermissions, wallet: Address, tokens: Tokens = NO_TOKENS) -> tuple[Effect, ...]:
    """An explicit session: the most that it can ever move, and as unknown what nothing bounds."""
    call = _signing(Walk(tokens), session.chain_id, wallet, function="explicit session")
    worst = worst_case(session)
    bounds = [
        call.effect(
            Kind.UNKNOWN if bound is None else Kind.APPROVAL,
            contract=target,
            counterparty=session.signer,
            reason=Reason.CODE if bound is None else None,
            asset=None if bound is None else call.asset("token", token=target),
            amount=bound,
            expires_s=session.deadline or None,
        )
        for target, bound in worst.tokens.items()
        if bound != 0
    ]
    grant = call.effect(
        Kind.GRANT,
        contract=None,
        counterparty=session.signer,
        amount=worst.native_wei,
        asset=COIN,
        expires_s=session.deadline or None,
        effects=tuple(bounds),
    )
    return (grant,)


def _read_payload(call: Call, payload: Payload, *, recovering: bool = False) -> list[Effect]:
    match payload:
        case CallsPayload():
            return wallet_calls(replace(call, signed=recovering), call.sender, payload.calls)
        case MessagePayload():
            return list(read_preimage(call, payload.message))
        case ConfigUpdatePayload():
            return [account_change(call)]
        case DigestPayload():
            return [call.unknown(Reason.HASH)]


def _signing(
    walk: Walk, chain_id: int, signer: Address, *, contract: Address = ZERO_ADDRESS, function: str = ""
) -> Call:
    """Something that is signed and not called: no data, and the signature is all that it takes."""
    return Call(walk, chain_id, signer, contract, value=0, data=b"", signed=True, function=function)
