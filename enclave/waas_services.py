"""The methods of embedded wallets, put together when the first of them is called: most deployments have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from enclave.account_changes import AccountChanges
from enclave.accounts import Accounts
from enclave.devices import Devices
from enclave.dispatch import OpenMethod
from enclave.later import Later
from enclave.login.proofs import LoginProofs
from enclave.parts import Parts
from enclave.records import Records
from enclave.sessions import Sessions
from enclave.wallets import Wallets

if TYPE_CHECKING:
    from enclave.rpc.waas import WaasService


def waas_methods(
    parts: Parts,
    proofs: LoginProofs,
    accounts: Accounts,
    changes: AccountChanges,
    devices: Devices,
    sessions: Sessions,
    wallets: Wallets,
    records: Records,
) -> Mapping[str, OpenMethod]:
    """The methods by path; an intent carries its signature inside. Their modules are not loaded yet."""

    def load() -> WaasService:
        from enclave.rpc.waas import WaasService
        from enclave.sequence.wallet_records import WalletRecords
        from enclave.waas.caller import Callers
        from enclave.waas.logins import IntentLogins
        from enclave.waas.second_signature import SecondSignature
        from enclave.waas.sending import Sending
        from enclave.waas.signing import IntentSigning
        from enclave.waas.users import Users

        config, clock = parts.config, parts.clock
        logins = IntentLogins(clock, proofs, config.limits.otp_s, parts.ports.entropy.random)
        users = Users(clock, accounts, changes, devices, sessions, WalletRecords(records))
        sending = Sending(parts.ports.relay)
        signing = IntentSigning(wallets, SecondSignature(parts.ports.guards), sending, clock)
        return WaasService(Callers(config, clock), logins, users, signing, sending)

    later = Later(load)
    return {
        "/rpc/WaasAuthenticator/RegisterSession": later.method(lambda waas: waas.register_session),
        "/rpc/WaasAuthenticator/SendIntent": later.method(lambda waas: waas.send_intent),
        "/rpc/WaasAuthenticator/ChainList": later.method(lambda waas: waas.chain_list),
    }
