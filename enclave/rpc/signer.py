"""Signer/SignMessage, Signer/SignTypedData, Signer/SignTransaction: sign only what was decoded (SE-06, SE-16).

Each method decodes its payload once; that object is described in the answer, hashed, and encoded. eth-account, which
shares no line with our decoder, must arrive at the same digest. What cannot be decoded, or is decoded in two ways, is
refused before a nonce is spent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Generic, Protocol, TypeVar

from enclave.config import Right, Scope
from enclave.errors import Refusal
from enclave.later import Later
from enclave.rpc.authorized import Authorizer
from enclave.rpc.envelope import SignedCall, encode_json
from enclave.second_opinion import SecondOpinion
from enclave.wallets import Wallets
from evm.address import Address, parse_address
from evm.calldata import has_sentence
from evm.delegations.delegation_type import is_delegation
from evm.errors import EvmError
from evm.message import PersonalMessage, parse_message
from evm.transaction import Transaction, parse_transaction, transaction_hash
from evm.typed_data import TypedData, parse_typed_data
from protocol import errors, limits


class Signable(Protocol):
    """A decoded payload."""

    @property
    def digest(self) -> bytes:
        """The 32 bytes that are signed."""
        ...

    def understood(self) -> dict[str, Any]:
        """What signing it means, as JSON."""
        ...


S = TypeVar("S", bound=Signable)


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """A kind of payload: its member in `params`, the right it needs, how it is read and what is checked of it.

    `check` gets `evm.cross_check`, the payload, the JSON that it was read from, and the wallet's address. `understand`
    gets the payload and the address.
    """

    member: str
    right: Right
    parse: Callable[[Any], S]
    check: Callable[[ModuleType, S, Any, Address], None]
    understand: Callable[[S, Address], dict[str, Any]] = lambda payload, _: payload.understood()


def _check_message(second: ModuleType, message: PersonalMessage, _document: Any, _wallet: Address) -> None:
    second.check_message(message)


def _check_typed_data(second: ModuleType, typed_data: TypedData, document: Any, _wallet: Address) -> None:
    second.check_typed_data(typed_data, document)


def _check_transaction(second: ModuleType, transaction: Transaction, _document: Any, wallet: Address) -> None:
    transaction.validate_sender(wallet)
    second.check_transaction(transaction)


MESSAGE: Final = Kind("message", "sign_message", parse_message, _check_message)
TYPED_DATA: Final = Kind("typedData", "sign_typed_data", parse_typed_data, _check_typed_data)
TRANSACTION: Final = Kind(
    "transaction", "sign_transaction", parse_transaction, _check_transaction, Transaction.understood
)


def _speaks_for_wallets(scope: Scope) -> bool:
    """Whether the key is a signer of wallets, and bound to what the wallet methods sign.

    With the right to sign digests it is not: what is in disguise could be signed openly.
    """
    return (scope.wallet is not None or "sign_legacy_wallet" in scope.rights) and "sign_digest" not in scope.rights


def _import_disguises() -> ModuleType:
    from evm.wallet import disguise

    return disguise


def _import_effects() -> ModuleType:
    from evm.effects import call_words

    return call_words


class SignerService:
    """The three methods."""

    def __init__(self, authorizer: Authorizer, wallets: Wallets, second_opinion: SecondOpinion) -> None:
        self._authorizer = authorizer
        self._wallets = wallets
        self._second_opinion = second_opinion
        self._disguises = Later(_import_disguises)
        self._effects = Later(_import_effects)

    async def sign_message(self, call: SignedCall) -> dict[str, Any]:
        """EIP-191 personal message. Result `{signature, digest, signer, understood}`."""
        _, _, result = await self._sign(call, MESSAGE)
        return result

    async def sign_typed_data(self, call: SignedCall) -> dict[str, Any]:
        """EIP-712 typed data. Result `{signature, digest, signer, understood}`."""
        _, _, result = await self._sign(call, TYPED_DATA)
        return result

    async def sign_transaction(self, call: SignedCall) -> dict[str, Any]:
        """A transaction of type 0, 1, 2 or 4. Result as above, and `{raw, hash}` of the signed transaction."""
        transaction, signature, result = await self._sign(call, TRANSACTION)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        raw = transaction.signed(r, s, signature[64] - 27)
        return result | {"raw": "0x" + raw.hex(), "hash": "0x" + transaction_hash(raw).hex()}

    async def _sign(self, call: SignedCall, kind: Kind[S]) -> tuple[S, bytes, dict[str, Any]]:
        caller = await self._authorizer.authorize(call, frozenset({"session", kind.member}))
        session = self._authorizer.session(call, caller)
        document = call.params.get(kind.member)
        second = await self._second_opinion.get()
        try:
            payload = kind.parse(document)
            wallet = parse_address(caller.login.address)
            kind.check(second, payload, document, wallet)
            if isinstance(payload, Transaction) and not has_sentence(payload.data):
                await self._effects.get()
            digest, understood = payload.digest, kind.understand(payload, wallet)
        except EvmError as error:
            raise Refusal(errors.UNDECODABLE, error.code) from None
        if isinstance(payload, TypedData) and is_delegation(payload):
            raise Refusal(errors.DELEGATION_RULE, "delegation-as-document")  # its methods hold it to rules and caps
        if _speaks_for_wallets(caller.scope):
            await self._validate_undisguised(payload)
        if len(encode_json(understood)) > limits.MAX_UNDERSTOOD_BYTES:  # an answer that no frame holds signs nothing
            raise Refusal(errors.UNDECODABLE, "understood-too-long")
        signature = await self._wallets.sign(session, caller.login, digest, right=kind.right, nonce=caller.nonce)
        result = {
            "signature": "0x" + signature.hex(),
            "digest": "0x" + digest.hex(),
            "signer": caller.login.address,
            "understood": understood,
        }
        return payload, signature, result

    async def _validate_undisguised(self, payload: Signable) -> None:
        """WALLET_RULE if the signature would count for a wallet as something else than what is shown (ADR 44)."""
        disguises = await self._disguises.get()
        try:
            disguises.validate_undisguised(payload)
        except EvmError as error:
            raise Refusal(errors.WALLET_RULE, error.code) from None
