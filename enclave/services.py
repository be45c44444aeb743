"""The methods that clients call, put together over what the boot has opened.

The place where they are named, but for those of smart wallets. Loaded while the holders answer.
"""

from collections.abc import AsyncIterator, Mapping

from enclave.account_changes import AccountChanges
from enclave.accounts import Accounts
from enclave.delegation_services import delegation_methods
from enclave.devices import Devices
from enclave.dispatch import Methods, SignedMethod
from enclave.login import auth_code_mode, id_token_mode, otp_mode, passkey_mode
from enclave.login.auth_code_mode import AuthCodeMode, AuthCodePkceMode, CodeLogins
from enclave.login.client_secrets import ClientSecrets
from enclave.login.code_budget import CodeBudget
from enclave.login.commitments import Commitments
from enclave.login.id_token_mode import IdTokenMode
from enclave.login.jwks import KeySets
from enclave.login.mail_limits import MailCounter, mail_counter
from enclave.login.modes import LoginMode
from enclave.login.notices import Notices
from enclave.login.oidc_proof import OidcProofs
from enclave.login.otp_mode import OtpMode
from enclave.login.passkey.credentials import Credentials
from enclave.login.passkey_mode import PasskeyMode
from enclave.login.proofs import LoginProofs
from enclave.login.proven import Proven
from enclave.login.provider_tls import ProviderTls
from enclave.login.token_endpoint import TokenEndpoint
from enclave.nonces import Nonces
from enclave.parts import Parts
from enclave.records import Records
from enclave.rotation import Renewing, Rotation, renewing_table
from enclave.rpc.account import AccountService
from enclave.rpc.admin import AdminService
from enclave.rpc.admin_call import AdminCalls
from enclave.rpc.authorized import Authorizer
from enclave.rpc.identity_instrument import IdentityInstrument
from enclave.rpc.rotation import RotationService
from enclave.rpc.session import SessionService
from enclave.rpc.signer import SignerService
from enclave.sessions import Sessions
from enclave.tenants.tenants import Tenants
from enclave.waas_services import former_users, invitation_methods, issuing, waas_admin_methods, waas_methods
from enclave.wallet_services import wallet_methods
from enclave.wallets import Wallets


async def instrument_methods(parts: Parts) -> Methods:
    """The methods of an enclave whose role is "instrument": those of signed envelopes, and those of intents."""
    config, ports, clock = parts.config, parts.ports, parts.clock
    random = ports.entropy.random
    records = Records(ports.store, parts.secrets.record_secret, config.deployment, clock.now_ms, random, parts.versions)
    accounts = Accounts(records, parts.shards, (config.threshold, len(config.holders)), random)
    devices, nonces = Devices(records), Nonces(records, config.limits.signatures_per_minute)
    sessions = Sessions(config.deployment, parts.secrets, parts.epoch, clock, random)
    tenants = Tenants(config, records)
    wallets = Wallets(tenants, clock, accounts, nonces)
    commitments = Commitments(parts.worker.counters)
    client_secrets, mail_limits = ClientSecrets(records), mail_counter(config.limits, parts.worker.counters)
    modes = _login_modes(parts, records, commitments, Proven(accounts, devices), client_secrets, mail_limits)
    proofs = LoginProofs(modes, commitments, clock.monotonic_ms)
    instrument = IdentityInstrument(config, clock, proofs, accounts, devices, sessions, wallets)
    authorizer = Authorizer(config, clock, devices, sessions)
    session = SessionService(config, clock, authorizer, accounts, devices, sessions, nonces)
    signer = SignerService(authorizer, wallets, parts.second_opinion)
    notices = Notices(tenants, clock, ports.mailer, mail_limits, random)
    changes = AccountChanges(accounts, devices, clock, config.limits, notices)
    account = AccountService(clock, authorizer, accounts, changes, proofs, nonces)
    signed: Mapping[str, SignedMethod] = {
        **_admin_methods(parts, accounts, records, nonces, client_secrets),
        **delegation_methods(parts, authorizer, accounts, changes, records, nonces, wallets, notices),
        **wallet_methods(parts, authorizer, accounts, records, nonces, wallets),
        "/rpc/IdentityInstrument/CommitVerifier": instrument.commit_verifier,
        "/rpc/IdentityInstrument/CompleteAuth": instrument.complete_auth,
        "/rpc/IdentityInstrument/Sign": instrument.sign,
        "/rpc/Account/Get": account.get,
        "/rpc/Account/RemoveDevices": account.remove_devices,
        "/rpc/Account/Link": account.link,
        "/rpc/Account/Unlink": account.unlink,
        "/rpc/Account/Freeze": account.freeze,
        "/rpc/Account/Unfreeze": account.unfreeze,
        "/rpc/Account/Delete": account.delete,
        "/rpc/Session/Create": session.create,
        "/rpc/Session/List": session.list,
        "/rpc/Session/Revoke": session.revoke,
        "/rpc/Signer/SignMessage": signer.sign_message,
        "/rpc/Signer/SignTypedData": signer.sign_typed_data,
        "/rpc/Signer/SignTransaction": signer.sign_transaction,
    }
    issued = issuing(parts, records, tenants)
    invitations = invitation_methods(parts, tenants, nonces, issued)
    waas = waas_methods(parts, proofs, accounts, changes, devices, sessions, wallets, records, tenants, issued)
    opened = {**waas, **waas_admin_methods(parts, tenants, nonces), **issued.published, **invitations.open}
    return Methods({**signed, **invitations.signed}, opened, issued.signer, issued.background)


def _renewing(parts: Parts, accounts: Accounts, records: Records) -> Renewing:
    """What a rotation walks over: all accounts, and each time the few keys that scopes have for users from before."""
    table = renewing_table(parts.ports.store, "account", accounts.renew)

    async def renewing(after: bytes, most: int) -> AsyncIterator[bytes]:
        for scope in parts.config.scopes:
            if scope.embedded is not None:
                await former_users(parts, records).key(scope.scope).renew()
        async for id_ in table(after, most):
            yield id_

    return renewing


def _admin_methods(
    parts: Parts, accounts: Accounts, records: Records, nonces: Nonces, client_secrets: ClientSecrets
) -> Mapping[str, SignedMethod]:
    renewing = _renewing(parts, accounts, records)
    calls = AdminCalls(parts.config, parts.clock, nonces, parts.config.admins)
    rotation = RotationService(calls, Rotation(parts.deployment, parts.secrets, renewing, parts.clock.now_s))
    admin = AdminService(parts.config, calls, client_secrets)
    return {
        "/rpc/IdentityInstrumentAdmin/RotateCipherKey": rotation.rotate_cipher_key,
        "/rpc/IdentityInstrumentAdmin/RefreshEncryptedData": rotation.refresh_encrypted_data,
        "/rpc/IdentityInstrumentAdmin/CleanupUnusedCipherKeys": rotation.cleanup_unused_cipher_keys,
        "/rpc/IdentityInstrumentAdmin/SetClientSecret": admin.set_client_secret,
    }


def _login_modes(
    parts: Parts,
    records: Records,
    commitments: Commitments,
    proven: Proven,
    secrets: ClientSecrets,
    mail_limits: MailCounter,
) -> Mapping[str, LoginMode]:
    config, ports, clock = parts.config, parts.ports, parts.clock
    random = ports.entropy.random
    providers = ProviderTls(config.tls_roots.identity_providers, config.oidc_clients())
    proofs = OidcProofs(clock, records, KeySets(ports.egress, providers, clock.monotonic_ms))
    codes = CodeLogins(clock, commitments, proven, secrets, TokenEndpoint(ports.egress, providers), proofs)
    budget = CodeBudget(records, config.limits.otp_digit_codes_per_day)
    return {
        otp_mode.MODE: OtpMode(config.limits, clock, commitments, proven, budget, ports.mailer, mail_limits, random),
        id_token_mode.MODE: IdTokenMode(clock, commitments, proofs),
        auth_code_mode.MODE: AuthCodeMode(codes),
        auth_code_mode.PKCE_MODE: AuthCodePkceMode(codes, random),
        passkey_mode.MODE: PasskeyMode(clock, commitments, Credentials(records), random),
    }
