"""The methods of an enclave whose role is "guard", put together over what the boot has opened."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from enclave.config.guard import Guard
from enclave.dispatch import Methods, SignedMethod
from enclave.errors import Refusal
from enclave.factor_services import factor_parts
from enclave.guard.budgets import Budgets
from enclave.guard.cosigning import Cosigner
from enclave.guard.decision_log import DecisionLog
from enclave.guard.overview import Overview
from enclave.guard.review_sessions import ReviewSessions
from enclave.guard.reviews import Reviews
from enclave.guard.rulebook import RuleBook
from enclave.guard.signing_key import GuardKey
from enclave.guard.wallet_book import WalletBook
from enclave.nonces import Nonces
from enclave.parts import Parts
from enclave.records import Records
from enclave.rotation import Rotation
from enclave.rpc.admin_call import AdminCalls
from enclave.rpc.guard import GuardService
from enclave.rpc.guard_bound_factors import bound_factor_methods
from enclave.rpc.guard_factors import factor_methods
from enclave.rpc.guard_intents import GuardIntentsService
from enclave.rpc.guard_review import GuardReviewService
from enclave.rpc.rotation import RotationService

_DECISION: Final = "decision"


async def guard_methods(parts: Parts, guard: Guard, version: str) -> Methods:
    """The methods of an enclave whose role is "guard". `Refusal` or `BootError` where key or rules cannot be opened."""
    config, ports, clock = parts.config, parts.ports, parts.clock
    random = ports.entropy.random
    records = Records(ports.store, parts.secrets.record_secret, config.deployment, clock.now_ms, random, parts.versions)
    rule_book = RuleBook(records, guard, config.deployment)
    await rule_book.open()
    key = GuardKey(records, parts.shards, (config.threshold, len(config.holders)), random)
    await key.address()
    with suppress(Refusal):  # a share that a holder has missed can wait for a better boot, or an administrator
        await key.renew()
    log = _decision_log(parts)
    wallets = WalletBook(records, key)
    budgets = Budgets(records, clock.now_s, random)
    registered_only = guard.wallets == "registered"
    reviews = Reviews(records, key, config.deployment, clock.now_s, random)
    overview = Overview(rule_book, budgets, log, clock.now_s)
    factors = factor_parts(parts, guard, records, wallets, await key.address())
    cosigner = Cosigner(
        rule_book,
        budgets,
        key,
        clock,
        log,
        wallets,
        reviews,
        None if factors is None else factors.step_up,
        registered_only=registered_only,
        always_step_up=guard.second_factors is not None and guard.second_factors.asked == "enrolled",
    )
    service = GuardService(
        key,
        cosigner,
        rule_book,
        log,
        wallets,
        reviews,
        overview,
        second_generation=guard.second_generation,
        plain_tokens=factors is None or factors.plain,
        version=version,
        started_ms=clock.now_ms(),
        now_ms=clock.now_ms,
    )
    sessions = ReviewSessions(parts.secrets.record_secret, config.deployment, clock.now_s, random)
    review = GuardReviewService(reviews, cosigner, rule_book, sessions, overview)
    intents = GuardIntentsService(key, cosigner, wallets, clock, plain_tokens=factors is None or factors.plain)
    methods = {
        **service.methods(),
        **factor_methods(factors),
        **bound_factor_methods(factors, cosigner, key),
        **review.methods(),
        **intents.methods,
    }
    return Methods(signed=_admin_methods(parts, records, key), open=methods)


def _admin_methods(parts: Parts, records: Records, key: GuardKey) -> Mapping[str, SignedMethod]:
    """Rotation of the guard's holder keys, as administrators of an instrument know it."""
    nonces = Nonces(records, parts.config.limits.signatures_per_minute)
    calls = AdminCalls(parts.config, parts.clock, nonces, parts.config.admins)
    rotation = RotationService(calls, Rotation(parts.deployment, parts.secrets, key.renewing, parts.clock.now_s))
    return {
        "/rpc/IdentityInstrumentAdmin/RotateCipherKey": rotation.rotate_cipher_key,
        "/rpc/IdentityInstrumentAdmin/RefreshEncryptedData": rotation.refresh_encrypted_data,
        "/rpc/IdentityInstrumentAdmin/CleanupUnusedCipherKeys": rotation.cleanup_unused_cipher_keys,
    }


def _decision_log(parts: Parts) -> DecisionLog:
    """The log of all workers, which the first one keeps and shows to officers."""
    if parts.worker.number == 0:
        log = DecisionLog()
        parts.siblings.listen(_DECISION, log.keep)
        return log
    return DecisionLog(partial(parts.siblings.tell, 0, _DECISION))
