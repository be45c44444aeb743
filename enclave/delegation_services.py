"""The methods of delegations and of account code, put together when the first of them is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from enclave.account_changes import AccountChanges
from enclave.accounts import Accounts
from enclave.dispatch import SignedMethod
from enclave.later import Later
from enclave.login.notices import Notices
from enclave.nonces import Nonces
from enclave.parts import Parts
from enclave.records import Records
from enclave.rpc.authorized import Authorizer
from enclave.wallets import Wallets

if TYPE_CHECKING:
    from enclave.rpc.account_code import AccountCodeService
    from enclave.rpc.delegation import DelegationService
    from enclave.rpc.delegation_list import GrantedService


@dataclass(frozen=True, slots=True)
class DelegationServices:
    """The three services."""

    delegation: DelegationService
    granted: GrantedService
    code: AccountCodeService


_METHODS: Final[Mapping[str, Callable[[DelegationServices], SignedMethod]]] = {
    "/rpc/Delegation/Supported": lambda of: of.delegation.supported,
    "/rpc/Delegation/Request": lambda of: of.delegation.request,
    "/rpc/Delegation/Grant": lambda of: of.delegation.grant,
    "/rpc/Delegation/List": lambda of: of.granted.list,
    "/rpc/Delegation/Revoke": lambda of: of.granted.revoke,
    "/rpc/Signer/SignAuthorization": lambda of: of.code.sign_authorization,
}


def delegation_methods(
    parts: Parts,
    authorizer: Authorizer,
    accounts: Accounts,
    changes: AccountChanges,
    records: Records,
    nonces: Nonces,
    wallets: Wallets,
    notices: Notices,
) -> Mapping[str, SignedMethod]:
    """The methods by path; their modules are not loaded yet."""

    def load() -> DelegationServices:
        from enclave.delegations.grants import GrantRecords
        from enclave.delegations.outstanding import OutstandingAuthority
        from enclave.delegations.proposals import Proposer
        from enclave.rpc.account_code import AccountCodeService
        from enclave.rpc.delegation import DelegationService
        from enclave.rpc.delegation_call import DelegationCalls
        from enclave.rpc.delegation_list import GrantedService

        clock, second, grants = parts.clock, parts.second_opinion, GrantRecords(records)
        calls = DelegationCalls(authorizer, accounts, nonces, clock, notices)
        proposer = Proposer(parts.ports.entropy.random)
        outstanding = OutstandingAuthority(records, clock.now_s)
        return DelegationServices(
            delegation=DelegationService(calls, wallets, clock, second, changes, proposer, grants, outstanding),
            granted=GrantedService(calls, wallets, clock, second, grants),
            code=AccountCodeService(calls, wallets, changes, second),
        )

    later = Later(load)
    return {path: later.method(choose) for path, choose in _METHODS.items()}
