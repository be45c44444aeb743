"""The methods of smart wallets, put together when the first of them is called.

The formats of wallets take a third of the time that all other methods need to load, and no boot waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from enclave.accounts import Accounts
from enclave.dispatch import SignedMethod
from enclave.later import Later
from enclave.nonces import Nonces
from enclave.parts import Parts
from enclave.records import Records
from enclave.rpc.authorized import Authorizer
from enclave.wallets import Wallets

if TYPE_CHECKING:
    from enclave.rpc.legacy_wallet import LegacyWalletService
    from enclave.rpc.wallet import WalletService
    from enclave.rpc.wallet_update import WalletUpdateService


@dataclass(frozen=True, slots=True)
class WalletServices:
    """The three services."""

    wallet: WalletService
    update: WalletUpdateService
    legacy: LegacyWalletService


_METHODS: Final[Mapping[str, Callable[[WalletServices], SignedMethod]]] = {
    "/rpc/Wallet/Create": lambda of: of.wallet.create,
    "/rpc/Wallet/Address": lambda of: of.wallet.address,
    "/rpc/Wallet/Configuration": lambda of: of.wallet.configuration,
    "/rpc/Wallet/SignPayload": lambda of: of.wallet.sign_payload,
    "/rpc/Wallet/IssueAttestation": lambda of: of.wallet.issue_attestation,
    "/rpc/Wallet/QueueRecovery": lambda of: of.wallet.queue_recovery,
    "/rpc/Wallet/CancelRecovery": lambda of: of.wallet.cancel_recovery,
    "/rpc/Wallet/UpdateConfiguration": lambda of: of.update.update,
    "/rpc/Wallet/ApproveSession": lambda of: of.update.approve_session,
    "/rpc/Wallet/RevokeSession": lambda of: of.update.revoke_session,
    "/rpc/Wallet/ConfirmUpdate": lambda of: of.update.confirm,
    "/rpc/LegacyWallet/Address": lambda of: of.legacy.address,
    "/rpc/LegacyWallet/Sign": lambda of: of.legacy.sign,
}


def wallet_methods(
    parts: Parts, authorizer: Authorizer, accounts: Accounts, records: Records, nonces: Nonces, wallets: Wallets
) -> Mapping[str, SignedMethod]:
    """The methods by path; their modules are not loaded yet."""

    def load() -> WalletServices:
        from enclave.rpc.legacy_wallet import LegacyWalletService
        from enclave.rpc.wallet import WalletService
        from enclave.rpc.wallet_call import WalletCalls
        from enclave.rpc.wallet_update import WalletUpdateService
        from enclave.sequence.wallet_records import WalletRecords

        found, clock = WalletRecords(records), parts.clock
        calls = WalletCalls(authorizer, accounts, found, nonces, clock)
        return WalletServices(
            wallet=WalletService(calls, found, wallets, clock, parts.second_opinion),
            update=WalletUpdateService(calls, found, wallets, clock, parts.second_opinion),
            legacy=LegacyWalletService(authorizer, wallets, nonces, clock, parts.second_opinion),
        )

    later = Later(load)
    return {path: later.method(choose) for path, choose in _METHODS.items()}
