"""A wallet of the second generation that a user had before: its signer is the scope's parent, and the parent's are two.

What is signed is the parent's: `ps`, the digest bound to the user's wallet and then to the parent. Both signatures make
the parent's, and that makes the wallet's. After an adoption the wallet is known to chains by either configuration.
"""

from dataclasses import dataclass

from enclave.waas.embedded_wallet import Whole
from evm.address import Address
from evm.intents.errors import IntentError
from evm.intents.shown_wallet import ShownWalletV2
from evm.intents.signable import Signable
from evm.intents.user_wallet import ChildWalletV2, VerifiedParent, child_wallet
from evm.signature import parse_signature
from evm.wallet.deploy import wrap_erc6492
from evm.wallet.legacy.embedded import adopted_configuration, embedded_configuration, unique_signer
from evm.wallet.legacy.execution import GUEST_MODULE, create_and_execute, deploy_v2, execute_bundle
from evm.wallet.legacy.signer import SignatureType, key_signature
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.legacy.v2_signature import encode_v2_chain, encode_v2_signature, verify_v2
from evm.wallet.payload import Call
from protocol.relaying import ChainCall, Relayed

_ERC1271 = bytes([SignatureType.ERC1271])


@dataclass(frozen=True, slots=True)
class Adoption:
    """The wallet's approval of the configuration in which `adopter` acts for it, too. `checkpoint` in Unix seconds."""

    adopter: Address
    checkpoint: int
    approval: bytes


@dataclass(frozen=True, slots=True)
class ChildOfParent:
    """Implements `EmbeddedWallet`. `enclave` is the enclave's key of the scope, `parent` its verified parent."""

    parent: VerifiedParent
    parent_configuration: V2Configuration
    enclave: Address
    guard: Address
    user: str
    adoption: Adoption | None = None

    @property
    def address(self) -> Address:
        return self.meant.address

    @property
    def meant(self) -> ChildWalletV2:
        return child_wallet(self.parent, self.user)

    @property
    def shown(self) -> ShownWalletV2:
        return ShownWalletV2(self.parent_configuration, self.user, self.parent.user_salt)

    @property
    def first(self) -> V2Configuration:
        """The configuration of which the wallet's address is made."""
        return embedded_configuration(self.parent.address, unique_signer(self.user, self.parent.user_salt))

    def prepare(self, found: Signable) -> None:
        if found.operation is not None or found.wallet != self.address:
            raise IntentError("intent-kind")

    def unsigned(self, found: Signable) -> Relayed:
        return self._relayed(found, b"", b"")

    def complete(self, found: Signable, own: bytes, guards: bytes | None) -> Whole:
        if guards is None:
            raise IntentError("intent-incomplete")
        of_parent = self._of_parent(found, own, guards)
        first, newest = self._signatures(of_parent, every_chain=found.chain_id == 0)
        deploy = deploy_v2(self.first.image_hash)
        message = wrap_erc6492(first, Call(deploy.target, data=deploy.data))
        return Whole(message, self._relayed(found, first, newest) if found.bundle else None)

    def approval(self, found: Signable, own: bytes, guards: bytes) -> bytes:
        """The first configuration's signature, which a chain of signatures ends with."""
        return self._by(self.first, self._of_parent(found, own, guards), every_chain=True)

    def _of_parent(self, found: Signable, own: bytes, guards: bytes) -> bytes:
        """The parent's signature, verified by the contract's rules."""
        parts = {self.enclave: own, self.guard: guards}
        signatures = {signer: key_signature(parse_signature(part)) for signer, part in parts.items()}
        encoded = encode_v2_signature(self.parent_configuration, signatures, no_chain_id=found.chain_id == 0)
        image_hash = self.parent_configuration.image_hash
        verify_v2(encoded, found.own_digest, self.parent.address, found.chain_id, image_hash)
        return encoded

    def _signatures(self, of_parent: bytes, *, every_chain: bool) -> tuple[bytes, bytes]:
        """For a chain that knows the first configuration, and for one that knows the newest."""
        if self.adoption is None:
            return (self._by(self.first, of_parent, every_chain=every_chain),) * 2
        adopted = adopted_configuration(self.parent.address, self.adoption.adopter, self.adoption.checkpoint)
        newest = self._by(adopted, of_parent, every_chain=every_chain)
        return encode_v2_chain([newest, self.adoption.approval]), newest

    def _by(self, configuration: V2Configuration, of_parent: bytes, *, every_chain: bool) -> bytes:
        signatures = {self.parent.address: of_parent + _ERC1271}
        return encode_v2_signature(configuration, signatures, no_chain_id=every_chain)

    def _relayed(self, found: Signable, first: bytes, newest: bytes) -> Relayed:
        bundle = found.bundle
        if bundle is None:
            raise IntentError("intent-kind")
        calls = [
            execute_bundle(bundle.legacy_calls, bundle.legacy_nonce, signature)
            for signature in dict.fromkeys((newest, first))
        ]
        create = create_and_execute(self.first.image_hash, calls[-1])
        return Relayed(
            found.chain_id,
            found.own_digest,
            self.address,
            tuple(ChainCall(self.address, call) for call in calls),
            ChainCall(GUEST_MODULE, create),
        )
