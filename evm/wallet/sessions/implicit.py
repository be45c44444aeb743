"""Calls of implicit sessions: the contract's `ImplicitSessionManager.sol`, check by check and in its order.

The last word is the target's: it is asked whether it takes a request under this attestation, and answers with a magic
value. That answer is on the chain; where it is not known, the question is handed back instead.
"""

from dataclasses import dataclass
from typing import Final

from evm.abi import WORD
from evm.address import Address
from evm.wallet.abi import Tail, dynamic, encode, selector, word
from evm.wallet.attestation import Attestation
from evm.wallet.decoded import call_abi
from evm.wallet.errors import require
from evm.wallet.payload import Call
from evm.wallet.sessions.configuration import Blacklist

_CODE: Final = "wallet-session"
_ACCEPT: Final = selector(
    "acceptImplicitRequest(address,(address,bytes4,bytes32,bytes32,bytes,(string,uint64)),"
    "(address,uint256,bytes,uint256,bool,bool,uint256))"
)


@dataclass(frozen=True, slots=True)
class ImplicitRequest:
    """What to ask the target of call `index`: whether it takes this call of the wallet under this attestation."""

    index: int
    wallet: Address
    attestation: Attestation
    call: Call

    @property
    def calldata(self) -> bytes:
        """The calldata of `acceptImplicitRequest(address wallet, Attestation, Call)`, to be read from the target."""
        return _ACCEPT + encode(word(self.wallet), _attestation_abi(self.attestation), call_abi(self.call))

    def validate_result(self, result: bytes) -> None:
        """`WalletError` unless the target answered that it takes the request."""
        accepted = result == self.attestation.magic(self.wallet)
        require(accepted, f"{_CODE}-implicit-result", "InvalidImplicitResult")


def validate_implicit_call(request: ImplicitRequest, signer: Address, blacklist: Blacklist) -> None:
    """`WalletError` unless the key `signer` may make the call, as far as the signature tells."""
    call = request.call
    approved = signer == request.attestation.approved_signer
    require(approved, f"{_CODE}-signer", "InvalidSessionSigner")
    require(not call.delegate_call, f"{_CODE}-delegate-call", "InvalidDelegateCall")
    require(signer not in blacklist.addresses, f"{_CODE}-signer-blacklisted", "BlacklistedAddress")
    require(call.to not in blacklist.addresses, f"{_CODE}-target-blacklisted", "BlacklistedAddress")
    require(call.value == 0, f"{_CODE}-value", "InvalidValue")


def _attestation_abi(attestation: Attestation) -> Tail:
    url = dynamic(attestation.auth_data.redirect_url.encode("ascii"))
    return Tail(
        encode(
            word(attestation.approved_signer),
            attestation.identity_type.ljust(WORD, b"\0"),
            attestation.issuer_hash,
            attestation.audience_hash,
            dynamic(attestation.application_data),
            Tail(encode(url, word(attestation.auth_data.issued_at))),
        )
    )
