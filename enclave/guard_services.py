"""The methods of an enclave whose role is "guard", put together over what the boot has opened."""

from enclave.config.guard import Guard
from enclave.dispatch import Methods
from enclave.guard.budgets import Budgets
from enclave.guard.cosigning import Cosigner
from enclave.guard.decision_log import DecisionLog
from enclave.guard.review_sessions import ReviewSessions
from enclave.guard.reviews import Reviews
from enclave.guard.rulebook import RuleBook
from enclave.guard.signing_key import GuardKey
from enclave.guard.wallet_book import WalletBook
from enclave.parts import Parts
from enclave.records import Records
from enclave.rpc.guard import GuardService
from enclave.rpc.guard_intents import GuardIntentsService
from enclave.rpc.guard_review import GuardReviewService


async def guard_methods(parts: Parts, guard: Guard, version: str) -> Methods:
    """The methods of an enclave whose role is "guard". `Refusal` or `BootError` where key or rules cannot be opened."""
    config, ports, clock = parts.config, parts.ports, parts.clock
    random = ports.entropy.random
    records = Records(ports.store, parts.secrets.record_secret, config.deployment, clock.now_ms, random)
    rule_book = RuleBook(records, guard, config.deployment)
    await rule_book.open()
    key = GuardKey(records, parts.shards, (config.threshold, len(config.holders)), random)
    await key.address()
    log = DecisionLog()
    wallets = WalletBook(records, key)
    budgets = Budgets(records, clock.now_s, random)
    registered_only = guard.wallets == "registered"
    reviews = Reviews(records, key, config.deployment, clock.now_s, random)
    cosigner = Cosigner(rule_book, budgets, key, clock, log, wallets, reviews, registered_only=registered_only)
    service = GuardService(
        key, cosigner, rule_book, log, wallets, reviews, version=version, started_ms=clock.now_ms(), now_ms=clock.now_ms
    )
    sessions = ReviewSessions(parts.secrets.record_secret, config.deployment, clock.now_s, random)
    review = GuardReviewService(reviews, cosigner, rule_book, sessions)
    intents = GuardIntentsService(key, cosigner, wallets, clock)
    return Methods(signed={}, open={**service.methods(), **review.methods(), **intents.methods})
