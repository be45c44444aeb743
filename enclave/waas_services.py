"""The methods of embedded wallets, of their tenants and invitations, put together when the first of them is called:
most deployments have none.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from enclave.account_changes import AccountChanges
from enclave.accounts import Accounts
from enclave.devices import Devices
from enclave.dispatch import Methods, OpenMethod
from enclave.later import Later
from enclave.login.proofs import LoginProofs
from enclave.nonces import Nonces
from enclave.parts import Parts
from enclave.records import Records
from enclave.rpc.admin_call import AdminCalls
from enclave.sessions import Sessions
from enclave.tenants.tenants import Tenants
from enclave.wallets import Wallets

if TYPE_CHECKING:
    from enclave.invitations.invitation import Invitations
    from enclave.response_signing import ResponseSigner
    from enclave.rpc.former_users import FormerUsersService
    from enclave.rpc.invitation import InvitationService
    from enclave.rpc.waas import WaasService
    from enclave.rpc.waas_admin import WaasAdminService
    from enclave.waas.former_users import FormerUsers
    from enclave.waas.id_tokens import IdTokens


def waas_methods(
    parts: Parts,
    proofs: LoginProofs,
    accounts: Accounts,
    changes: AccountChanges,
    devices: Devices,
    sessions: Sessions,
    wallets: Wallets,
    records: Records,
    tenants: Tenants,
    issued: Issuing,
) -> Mapping[str, OpenMethod]:
    """The methods by path; an intent carries its signature inside. Their modules are not loaded yet."""

    def load() -> WaasService:
        from enclave.rpc.waas import WaasService
        from enclave.sequence.wallet_records import WalletRecords
        from enclave.waas.caller import Callers
        from enclave.waas.logins import IntentLogins
        from enclave.waas.second_signature import SecondSignature
        from enclave.waas.sending import Sending
        from enclave.waas.sign_up import SignUp
        from enclave.waas.signing import IntentSigning
        from enclave.waas.users import Users

        config, clock = parts.config, parts.clock
        logins = IntentLogins(clock, proofs, config.limits.otp_s, parts.ports.entropy.random)
        former = former_users(parts, records)
        users = Users(clock, accounts, changes, devices, sessions, WalletRecords(records), former)
        sending = Sending(parts.ports.relay)
        signing = IntentSigning(
            wallets,
            SecondSignature(parts.ports.guards),
            sending,
            former,
            clock,
            parts.ports.entropy.random,
            parts.second_opinion,
        )
        sign_up = SignUp(users, accounts, issued.invitations)
        callers = Callers(tenants, clock, parts.worker)
        return WaasService(tenants, callers, logins, users, sign_up, signing, sending, issued.id_tokens)

    later = Later(load)
    return {
        **former_users_methods(parts, records),
        "/rpc/WaasAuthenticator/RegisterSession": later.method(lambda waas: waas.register_session),
        "/rpc/WaasAuthenticator/SendIntent": later.method(lambda waas: waas.send_intent),
        "/rpc/WaasAuthenticator/ChainList": later.method(lambda waas: waas.chain_list),
    }


def former_users(parts: Parts, records: Records) -> FormerUsers:
    """Users with wallets from before, and the enclave's keys for them."""
    from enclave.waas.former_users import FormerUsers

    shape = parts.config.threshold, len(parts.config.holders)
    return FormerUsers(records, parts.shards, shape, parts.ports.entropy.random)


def former_users_methods(parts: Parts, records: Records) -> Mapping[str, OpenMethod]:
    """How they are brought along."""

    def load() -> FormerUsersService:
        from enclave.rpc.former_users import FormerUsersService

        return FormerUsersService(parts.config, former_users(parts, records))

    later = Later(load)
    return {
        "/rpc/FormerUsers/Signer": later.method(lambda former: former.signer),
        "/rpc/FormerUsers/Show": later.method(lambda former: former.show),
    }


@dataclass(frozen=True, slots=True)
class Issuing:
    """What a deployment has that is an issuer: ID tokens, where their keys are published, signed answers, invitations
    and the events about them.
    """

    id_tokens: IdTokens | None = None
    published: Mapping[str, OpenMethod] = field(default_factory=dict)
    signer: ResponseSigner | None = None
    invitations: Invitations | None = None
    background: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = ()


def issuing(parts: Parts, records: Records, tenants: Tenants) -> Issuing:
    """Nothing of it, unless the image says in whose name."""
    config, clock, ports = parts.config, parts.clock, parts.ports
    if config.issuer is None:
        return Issuing()
    from enclave.invitations.events import Delivery, Events
    from enclave.invitations.invitation import Invitations
    from enclave.issuer_keys import IssuerKeys
    from enclave.net.tls import client_context
    from enclave.response_signing import ResponseSigner
    from enclave.waas.id_tokens import IdTokens

    keys = IssuerKeys(records, config.issuer)
    id_tokens = IdTokens(config.issuer, keys, clock)
    published = {
        "/.well-known/openid-configuration": id_tokens.metadata,
        "/.well-known/jwks.json": id_tokens.key_set,
    }
    tls = client_context(config.tls_roots.webhooks or config.tls_roots.identity_providers)
    delivery = Delivery(ports.egress, tls, config.issuer, keys)
    events = Events(records, ports.store, tenants, clock, delivery, recovers=parts.worker.number == 0)
    signer = ResponseSigner(config.issuer, keys, clock)
    invitations = Invitations(records, events, ports.entropy.random)
    return Issuing(id_tokens, published, signer, invitations, (events.run,))


def invitation_methods(parts: Parts, tenants: Tenants, nonces: Nonces, issued: Issuing) -> Methods:
    """Invitations, and what tells webhooks of them; none where nobody would sign that."""
    invitations = issued.invitations
    if invitations is None:
        return Methods({}, {})

    def load() -> InvitationService:
        from enclave.rpc.invitation import InvitationService

        return InvitationService(parts.config, parts.clock, nonces, tenants, invitations)

    later = Later(load)
    signed = {
        "/rpc/Invitation/Create": later.method(lambda service: service.create),
        "/rpc/Invitation/Status": later.method(lambda service: service.status),
    }
    return Methods(signed, {"/rpc/Invitation/Open": later.method(lambda service: service.open)})


def waas_admin_methods(parts: Parts, tenants: Tenants, nonces: Nonces) -> Mapping[str, OpenMethod]:
    """Administration of tenants, where the image names officers; otherwise there is none."""
    tenancy = parts.config.tenancy
    if tenancy is None:
        return {}

    def load() -> WaasAdminService:
        from enclave.rpc.bearer import BearerTokens
        from enclave.rpc.waas_admin import WaasAdminService

        calls = AdminCalls(parts.config, parts.clock, nonces, tenancy.officers)
        tokens = None if tenancy.admin_tokens is None else BearerTokens(tenancy.admin_tokens)
        return WaasAdminService(
            parts.config, parts.clock, tenants, calls, tokens, version=parts.version, pcr0=parts.pcr0
        )

    later = Later(load)
    return {
        "/rpc/WaasAuthenticatorAdmin/Version": later.method(lambda admin: admin.version),
        "/rpc/WaasAuthenticatorAdmin/RuntimeStatus": later.method(lambda admin: admin.runtime_status),
        "/rpc/WaasAuthenticatorAdmin/Clock": later.method(lambda admin: admin.clock),
        "/rpc/WaasAuthenticatorAdmin/GetTenant": later.method(lambda admin: admin.get_tenant),
        "/rpc/WaasAuthenticatorAdmin/CreateTenant": later.method(lambda admin: admin.create_tenant),
        "/rpc/WaasAuthenticatorAdmin/UpdateTenant": later.method(lambda admin: admin.update_tenant),
        "/rpc/WaasAuthenticatorAdmin/NextMigrationBatch": later.method(lambda admin: admin.no_migrations),
        "/rpc/WaasAuthenticatorAdmin/ProcessMigrationBatch": later.method(lambda admin: admin.no_migrations),
    }
