"""A wallet of the third generation, made of a plan: the login's key signs for it, and the plan's guard."""

from dataclasses import dataclass
from typing import Any

from enclave.sequence.signing import Prepared
from enclave.sequence.wallet_records import SmartWallet
from enclave.waas.embedded_wallet import Whole
from evm.address import Address
from evm.intents.errors import IntentError, require
from evm.intents.shown_wallet import ShownWalletV3
from evm.intents.signable import Signable
from evm.intents.user_wallet import WalletV3
from evm.signature import parse_signature
from evm.wallet.context import GUEST_MODULE
from evm.wallet.deploy import execute_call, first_transaction
from evm.wallet.operation_hash import Operation
from evm.wallet.packed_calls import pack_calls
from evm.wallet.payload import CallsPayload
from evm.wallet.signature.filling import LeafSignature, key_signature
from protocol.relaying import ChainCall, Relayed


@dataclass(frozen=True, slots=True)
class WalletOfPlan:
    """Implements `EmbeddedWallet` for a record."""

    record: SmartWallet

    @property
    def address(self) -> Address:
        return self.record.address

    @property
    def meant(self) -> WalletV3:
        return WalletV3(self.record.address)

    @property
    def guard(self) -> Address | None:
        guard = self.record.plan.guard
        return None if guard is None else guard.wallet

    @property
    def shown(self) -> ShownWalletV3:
        return ShownWalletV3(self.record.plan.configuration, self.record.plan.context)

    def prepare(self, found: Signable) -> None:
        Prepared(self.record, _operation(found), ())

    def unsigned(self, found: Signable) -> Relayed:
        operation = _operation(found)
        if not isinstance(operation.payload, CallsPayload):
            raise IntentError("intent-kind")
        packed = pack_calls(operation.payload, self.address)
        return self._relayed(operation, {"packed": "0x" + packed.hex(), "partial": "0x"})

    def complete(self, found: Signable, own: bytes, guards: bytes | None) -> Whole:
        operation = _operation(found)
        others: tuple[LeafSignature, ...] = ()
        if guards is not None and self.guard is not None:
            others = (key_signature(self.guard, parse_signature(guards)),)
        answer = Prepared(self.record, operation, others).signed(own)
        require(answer["complete"], "intent-incomplete")
        message = bytes.fromhex(str(answer.get("erc6492", answer["partial"]))[2:])
        return Whole(message, self._relayed(operation, answer) if found.bundle else None)

    def _relayed(self, operation: Operation, answer: dict[str, Any]) -> Relayed:
        """The operation in all of its forms, from what `Prepared.signed` answered.

        A chain may know the newest configuration, or still the first; in between nothing is settled by this service. A
        wallet that is created has its first.
        """
        wallet = self.record
        packed, newest = (bytes.fromhex(answer[name][2:]) for name in ("packed", "partial"))
        from_first = bytes.fromhex(answer["chained"]["signature"][2:]) if "chained" in answer else newest
        calls = [execute_call(wallet.address, packed, signature) for signature in dict.fromkeys((newest, from_first))]
        create = first_transaction(wallet.plan.context, wallet.first, packed, from_first)
        return Relayed(
            operation.chain_id,
            operation.digest,
            wallet.address,
            tuple(ChainCall(call.to, call.data) for call in calls),
            ChainCall(GUEST_MODULE, create),
        )


def _operation(found: Signable) -> Operation:
    if found.operation is None:
        raise IntentError("intent-kind")
    return found.operation
