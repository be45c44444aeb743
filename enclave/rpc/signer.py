"""Signer/SignMessage, Signer/SignTypedData, Signer/SignTransaction: sign only what was decoded (SE-06, SE-16).

Each method decodes its payload once; that object is described in the answer, hashed, and encoded. What cannot be
decoded is refused before a nonce is spent.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from enclave.errors import Refusal
from enclave.rpc.authorized import Authorizer
from enclave.rpc.envelope import SignedCall
from enclave.wallets import Right, Wallets
from evm.errors import EvmError
from evm.message import parse_message
from evm.transaction import parse_transaction, transaction_hash
from evm.typed_data import parse_typed_data
from protocol import errors

_MESSAGE: Final = frozenset({"session", "message"})
_TYPED_DATA: Final = frozenset({"session", "typedData"})
_TRANSACTION: Final = frozenset({"session", "transaction"})


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


class SignerService:
    """The three methods."""

    def __init__(self, authorizer: Authorizer, wallets: Wallets) -> None:
        self._authorizer = authorizer
        self._wallets = wallets

    async def sign_message(self, call: SignedCall) -> dict[str, Any]:
        """EIP-191 personal message. Result `{signature, digest, understood, signer}`."""
        _, _, result = await self._sign(call, _MESSAGE, "message", parse_message, "sign_message")
        return result

    async def sign_typed_data(self, call: SignedCall) -> dict[str, Any]:
        """EIP-712 typed data. Result `{signature, digest, understood, signer}`."""
        _, _, result = await self._sign(call, _TYPED_DATA, "typedData", parse_typed_data, "sign_typed_data")
        return result

    async def sign_transaction(self, call: SignedCall) -> dict[str, Any]:
        """A transaction of type 0, 1, 2 or 4. Result as above, and `{raw, hash}` of the signed transaction."""
        transaction, signature, result = await self._sign(
            call, _TRANSACTION, "transaction", parse_transaction, "sign_transaction"
        )
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        raw = transaction.signed(r, s, signature[64] - 27)
        return result | {"raw": "0x" + raw.hex(), "hash": "0x" + transaction_hash(raw).hex()}

    async def _sign(
        self, call: SignedCall, members: frozenset[str], name: str, parse: Callable[[Any], S], right: Right
    ) -> tuple[S, bytes, dict[str, Any]]:
        caller = await self._authorizer.authorize(call, members)
        session = self._authorizer.session(call, caller)
        try:
            payload = parse(call.params.get(name))
            digest, understood = payload.digest, payload.understood()
        except EvmError as error:
            raise Refusal(errors.UNDECODABLE, error.code) from None
        signature = await self._wallets.sign(session, caller.login, digest, right=right, nonce=caller.nonce)
        result = {
            "signature": "0x" + signature.hex(),
            "digest": "0x" + digest.hex(),
            "signer": caller.login.address,
            "understood": understood,
        }
        return payload, signature, result
