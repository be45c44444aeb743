"""Which contracts a delegation may name: a manager and its enforcers, by address. The addresses are the same on all
chains that have them; which chains those are is for the service's configuration to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from evm.address import Address
from evm.delegations.errors import DelegationError
from evm.delegations.model import Caveat, Manager
from evm.delegations.terms import ENFORCERS, Terms, encode_terms, parse_terms


@dataclass(frozen=True)
class Deployment:
    """A manager and the enforcers that it works with, by the name of their contract."""

    manager: Manager
    enforcers: Mapping[str, Address]

    @cached_property
    def _names(self) -> dict[Address, str]:
        return {address: name for name, address in self.enforcers.items()}

    def caveat(self, terms: Terms) -> Caveat:
        """The caveat with these terms; `delegation-enforcer` for a kind that is not among these."""
        name, data = encode_terms(terms)
        if name not in self.enforcers:
            raise DelegationError("delegation-enforcer")
        return Caveat(self.enforcers[name], data)

    def understand(self, caveat: Caveat) -> Terms:
        """What a caveat says; `delegation-enforcer` for a contract that is not one of these."""
        name = self._names.get(caveat.enforcer)
        if name is None:
            raise DelegationError("delegation-enforcer")
        return parse_terms(name, caveat.terms)


def _address(text: str) -> Address:
    return Address(bytes.fromhex(text))


METAMASK: Final = Deployment(  # version 1.3.0 of the framework
    Manager(_address("db9b1e94b5b69df7e401ddbede43491141047db3"), "DelegationManager", "1"),
    {
        "AllowedTargetsEnforcer": _address("7f20f61b1f09b08d970938f6fa563634d65c4eeb"),
        "AllowedCalldataEnforcer": _address("c2b0d624c1c4319760c96503ba27c347f3260f55"),
        "ExactCalldataEnforcer": _address("99f2e9bf15ce5ec84685604836f71ab835dbbded"),
        "NativeTokenTransferAmountEnforcer": _address("f71af580b9c3078fbc2bbf16fbb8eed82b330320"),
        "ERC20TransferAmountEnforcer": _address("f100b0819427117ecf76ed94b358b1a5b5c6d2fc"),
        "NativeTokenPeriodTransferEnforcer": _address("9bc0faf4aca5ae429f4c06aeeac517520cb16bd9"),
        "ERC20PeriodTransferEnforcer": _address("474e3ae7e169e940607cc624da8a15eb120139ab"),
        "NativeTokenStreamingEnforcer": _address("d10b97905a320b13a0608f7e9cc506b56747df19"),
        "ERC20StreamingEnforcer": _address("56c97ae02f233b29fa03502ecc0457266d9be00e"),
        "ValueLteEnforcer": _address("92bf12322527caa612fd31a0e810472bbb106a8f"),
        "TimestampEnforcer": _address("1046bb45c8d673d4ea75321280db34899413c069"),
        "LimitedCallsEnforcer": _address("04658b29f6b82ed55274221a06fc97d318e25416"),
        "NonceEnforcer": _address("de4f2fac4b3d87a1d9953ca5fc09fca7f366254f"),
        "IdEnforcer": _address("c8b5d93463c893401094cc70e66a206fb5987997"),
        "RedeemerEnforcer": _address("e144b0b2618071b4e56f746313528a669c7e65c5"),
        "ERC721TransferEnforcer": _address("3790e6b7233f779b09da74c72b6e94813925b9af"),
        "ApprovalRevocationEnforcer": _address("e264f1f09a19505a1ca1a86d5b01e8bfdb64324a"),
    },
)

if METAMASK.enforcers.keys() != ENFORCERS:
    raise ImportError("an enforcer whose terms are understood has no address")
