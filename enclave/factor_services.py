"""What keeps a guard's second factors, put together where its configuration says that it does."""

from enclave.config.guard import Guard
from enclave.guard.factors.authorizing import Authorizing
from enclave.guard.factors.book import FactorBook
from enclave.guard.factors.bound import BoundFactors, Site
from enclave.guard.factors.bound_enrolment import BoundEnrolment
from enclave.guard.factors.challenges import Challenges
from enclave.guard.factors.enrolment import Enrolment
from enclave.guard.factors.pins import Pins
from enclave.guard.factors.recovery_codes import RecoveryCodes
from enclave.guard.factors.step_up import StepUp
from enclave.guard.factors.users import Users
from enclave.guard.wallet_book import WalletBook
from enclave.login.jwks import KeySets
from enclave.login.mail_limits import mail_counter
from enclave.login.provider_tls import ProviderTls
from enclave.parts import Parts
from enclave.records import Records
from enclave.rpc.asked_signature import Signer
from enclave.rpc.guard_factors import FactorParts
from evm.address import Address
from evm.wallet.legacy.signer import IsValidSignature, no_contract


def factor_parts(parts: Parts, guard: Guard, records: Records, wallets: WalletBook, key: Address) -> FactorParts | None:
    """The parts, over the guard's records. Tokens of providers are verified as for logins, under keys fetched here."""
    settings = guard.second_factors
    if settings is None:
        return None
    config, ports, clock = parts.config, parts.ports, parts.clock
    random = ports.entropy.random
    providers = ProviderTls(config.tls_roots.identity_providers, settings.oidc)
    users = Users(settings.oidc, KeySets(ports.egress, providers, clock.monotonic_ms), config.deployment, clock.now_s)
    book, pins = FactorBook(records, clock.now_ms()), Pins(random)
    codes = RecoveryCodes(parts.secrets.record_secret, config.deployment, random)
    challenges = Challenges(parts.secrets.record_secret, config.deployment, records, clock, random)
    bound = BoundFactors(challenges, users, book, Site(settings.passkey_site, settings.passkey_origins))
    step_up = StepUp(book, pins, codes, bound, clock.now_s)
    ask = _contracts(key, guard)
    authorizing = Authorizing(users, wallets, book, records, clock, ask, enrol_within_s=settings.enrol_within_s)
    enrolment = Enrolment(book, step_up, pins, codes, clock.now_s, random, service=settings.name)
    mailing = BoundEnrolment(
        bound,
        book,
        ports.mailer,
        mail_counter(config.limits, parts.worker.counters),
        clock,
        random,
        service=settings.name,
        sender=settings.email_sender,
    )
    return FactorParts(authorizing, enrolment, mailing, step_up, settings.plain)


def _contracts(key: Address, guard: Guard) -> IsValidSignature:
    """Which contract's signatures are known here: the guard's own wallet's, where it has one."""
    own = Signer.contract(key, guard.second_generation)
    return no_contract if own is None or own.wallet is None else own.wallet.is_valid_signature
