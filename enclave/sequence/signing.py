"""From the login's signature to the wallet's: partial, merged with what others gave, and checked as on chain.

Others' signatures are read and recovered before the enclave signs, so that nothing is signed beside one that a contract
would refuse. What is called complete was verified by the contracts' own rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from enclave.sequence.p256 import verify_p256
from enclave.sequence.plan import WalletPlan
from enclave.sequence.wallet_records import SmartWallet, Update
from evm.address import Address, checksum
from evm.fields import items
from evm.signature import Signature as KeySignature
from evm.signature import parse_signature as parse_key_signature
from evm.wallet.configuration import Configuration
from evm.wallet.deploy import deploy_call, wrap_erc6492
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import Operation
from evm.wallet.packed_calls import pack_calls
from evm.wallet.passkeys.verifying import PasskeyModule
from evm.wallet.payload import CallsPayload, MessagePayload
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import LeafSignature, key_signature
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.merging import assemble
from evm.wallet.signature.model import ChainedSignature, Signature
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover, recover_part
from evm.wallet.signature.signature_json import parse_leaf_signature
from evm.wallet.signature.verifying import verify_signature
from evm.wallet.values import to_hex
from protocol import limits

_CODE: Final = "wallet-cosigners"


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation with the signatures that others gave for it, verified; what is missing is the login's own."""

    wallet: SmartWallet
    operation: Operation
    others: tuple[LeafSignature, ...]

    def __post_init__(self) -> None:
        self._recovered(self._assembled(()))

    @property
    def configuration(self) -> Configuration:
        """The one that signs: the newest that the wallet has."""
        return self.wallet.plan.configuration

    def signed(self, data: bytes) -> dict[str, Any]:
        """The answer, with the login's signature (r, s, v; 65 bytes) in every form in which it is needed."""
        signer = self.wallet.plan.identity
        own = parse_key_signature(data)
        signature = self._assembled((key_signature(signer, own),))
        encoded, weight = encode_signature(signature), self._recovered(signature)
        complete = weight >= self.configuration.threshold
        answer = {
            "signature": to_hex(data),
            "signer": checksum(signer),
            "leaf": _leaf_json(signer, own),
            "digest": to_hex(self.operation.digest),
            "wallet": checksum(self.wallet.address),
            "imageHash": to_hex(self.configuration.image_hash),
            "partial": to_hex(encoded),
            "weight": weight,
            "threshold": self.configuration.threshold,
            "complete": complete,
        }
        if complete:
            verify_signature(encoded, self.operation, self.configuration.image_hash, self._contracts())
        return answer | self._packed() | (self._for_chains(signature) if complete else {})

    def _packed(self) -> dict[str, str]:
        """The `payload` argument of `execute`; a payload with parents is executed by another wallet."""
        payload = self.operation.payload
        if not isinstance(payload, CallsPayload) or payload.parent_wallets:
            return {}
        return {"packed": to_hex(pack_calls(payload, self.wallet.address))}

    def _for_chains(self, signature: Signature) -> dict[str, Any]:
        """For a chain that knows an older configuration, and for verifiers of a wallet that is not deployed yet."""
        updates = self.wallet.updates
        encoded, known = encode_signature(signature), self.configuration.image_hash
        found: dict[str, Any] = {}
        if updates:
            chain = ChainedSignature((signature, *[_part(update) for update in reversed(updates)]))
            encoded, known = encode_signature(chain), recover(chain, self.operation, self._contracts()).image_hash
            found["chained"] = {"from": to_hex(known), "signature": to_hex(encoded)}
        if known == self.wallet.first and isinstance(self.operation.payload, MessagePayload):
            deploy = deploy_call(self.wallet.plan.context, self.wallet.first)
            found["erc6492"] = to_hex(wrap_erc6492(encoded, deploy))
        return found

    def _assembled(self, own: Sequence[LeafSignature]) -> Signature:
        return assemble(self.configuration, self.operation, (*own, *self.others))

    def _recovered(self, signature: Signature) -> int:
        """The weight, once the image hash was found to be the wallet's."""
        found = recover_part(signature, self.operation, self._contracts())
        require(found.image_hash == self.configuration.image_hash, "wallet-signature-image-hash", "InvalidSignature")
        return found.weight

    def _contracts(self) -> KnownContracts:
        return known_contracts(self.wallet.plan, self.operation.chain_id)


def known_contracts(plan: WalletPlan, chain_id: int) -> KnownContracts:
    """The contracts whose rules are computed here: passkeys. Whoever else is asked refuses."""
    return KnownContracts(chain_id, compact={plan.extensions.passkeys: PasskeyModule(verify_p256)})


def parse_cosigners(value: object) -> tuple[LeafSignature, ...]:
    """What others gave, in the library's hand-over form."""
    listed = items([] if value is None else value, most=limits.MAX_WALLET_COSIGNERS, code=_CODE)
    return tuple(map(parse_leaf_signature, listed))


def verify_update(wallet: SmartWallet, operation: Operation, data: bytes) -> bytes:
    """The signature of a finished update: by the wallet's configuration, heavy enough, for every chain."""
    require(len(data) <= limits.MAX_WALLET_UPDATE_BYTES, "wallet-update-bytes")
    require(isinstance(parse_signature(data), Signature), "wallet-update-signature")
    contracts = known_contracts(wallet.plan, operation.chain_id)
    verify_signature(data, operation, wallet.plan.configuration.image_hash, contracts)
    return data


def _part(update: Update) -> Signature:
    found = parse_signature(update.signature)
    if not isinstance(found, Signature):
        raise WalletError("wallet-update-signature")
    return found


def _leaf_json(signer: Address, signature: KeySignature) -> dict[str, Any]:
    r, s = (to_hex(number.to_bytes(32, "big")) for number in (signature.r, signature.s))
    return {"address": checksum(signer), "signature": {"type": "hash", "r": r, "s": s, "yParity": signature.y_parity}}
