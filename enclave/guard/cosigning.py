"""From a request to the guard's signature: judged, drawn from budgets, signed; in this order and nowhere else.

What is judged is the object whose digest is signed (SE-16). Budgets are durable before the key is opened (SE-11), and
are given back only if the key signed nothing.
"""

from dataclasses import replace
from typing import Final

from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.guard.budgets import BudgetExceeded, Budgets
from enclave.guard.compiling import Rules
from enclave.guard.conditions import Circumstances
from enclave.guard.cosigners import ContractSignature, cosigner_text, verify_contract_signature
from enclave.guard.decision_log import DecisionLog
from enclave.guard.factors.proofs import CHAIN_ID, is_update, is_update_digest
from enclave.guard.factors.step_up import AuthToken, StepUp
from enclave.guard.held import Held
from enclave.guard.judging import Decision, Draw, Outcome, Reason, judge
from enclave.guard.reviews import Cleared, Reviews
from enclave.guard.rulebook import RuleBook
from enclave.guard.sign_request import SignRequest
from enclave.guard.signing_key import GuardKey
from enclave.guard.wallet_book import KnownWallet, WalletBook
from evm.address import parse_address
from evm.effects import Effect
from evm.effects.effect_json import effects_from_json
from evm.effects.effect_words import tree_words
from evm.errors import EvmError
from evm.wallet.attestation import Attestation
from evm.wallet.errors import WalletError
from evm.wallet.payload import ConfigUpdatePayload, DigestPayload, MessagePayload
from protocol import guard_errors

_CAUSES: Final = {Outcome.SECOND_FACTOR: "guard:second-factor", Outcome.REVIEW: "guard:review"}
_UPDATE: Final = "update"
_ENROLLED: Final = "enrolled"


class Cosigner:
    """Signs what the rules in force allow."""

    def __init__(
        self,
        rule_book: RuleBook,
        budgets: Budgets,
        key: GuardKey,
        clock: TrustedClock,
        log: DecisionLog,
        wallets: WalletBook,
        reviews: Reviews,
        step_up: StepUp | None,
        *,
        registered_only: bool,
        always_step_up: bool,
    ) -> None:
        """`registered_only`: wallets that have shown no configuration are not served. `always_step_up`: a wallet that
        has a second factor needs it for everything. Without `step_up` nobody has one.
        """
        self._rule_book = rule_book
        self._budgets = budgets
        self._key = key
        self._clock = clock
        self._log = log
        self._wallets = wallets
        self._reviews = reviews
        self._step_up = step_up
        self._registered_only = registered_only
        self._always_step_up = always_step_up

    async def judge(self, request: SignRequest) -> tuple[Decision, Rules]:
        """The decision about a request now, with what budgets have left. Nothing is drawn or recorded."""
        rules = await self._rule_book.current()
        request = await self._asked_by_its_own(request)
        return await self._judge(request, rules, self._about(request)), rules

    async def words(self, request: SignRequest) -> list[str]:
        """What a signature would do, for whoever is asked for a second factor. `Refusal` where it would be denied."""
        if _is_factor_update(await self._asked_by_its_own(request), self.now_s()):
            return ["Change the wallet's second factors"]
        decision, rules = await self.judge(request)
        if decision.outcome is Outcome.DENY:
            raise _refusal(decision.outcome, decision.deciding.by)
        return tree_words(decision.effects, rules.naming)

    async def judge_held(self, held: Held, rules: Rules) -> Decision:
        """What would be decided now about a held request, with what budgets have left. Nothing is drawn or recorded."""
        told = held.told()
        wallet, asker = parse_address(told["wallet"]), told["askedBy"][0]
        about = Circumstances(wallet, self.now_s(), session=asker)
        return await self._judge_effects(effects_from_json(told["effects"]), rules, about)

    def now_s(self) -> int:
        """Trusted time in seconds. `Refusal` CLOCK_UNTRUSTED."""
        return self._clock.now_s()

    async def _asked_by_its_own(self, request: SignRequest) -> SignRequest:
        """The request with those signers alone that count for its wallet. NOT_FOUND for a wallet that is not served,
        VALIDATION_FAILED if nobody who counts has signed, with what keeps a contract's signature from counting.
        """
        known = await self._wallets.find(request.wallet)
        if known is None and self._registered_only:
            raise Refusal(guard_errors.NOT_FOUND, "guard:wallet")
        found, why = list(request.cosigners), ""
        if known is not None:
            found = [who for who in found if who in known.signers]
            for listed in request.listed:
                found_by, reason = _through_contract(request, listed, known, self.now_s())
                found += found_by
                why = why or reason
        if not found:
            raise Refusal(guard_errors.VALIDATION_FAILED, f"guard:unsigned{why}")
        return replace(request, cosigners=tuple(dict.fromkeys(found)), listed=())

    async def _judge(self, request: SignRequest, rules: Rules, about: Circumstances) -> Decision:
        try:
            effects = request.effects(rules.tokens)
        except EvmError as error:
            raise Refusal(guard_errors.PERMISSION_DENIED, f"guard:deny:{error.code}") from None
        return await self._judge_effects(effects, rules, about)

    async def _judge_effects(self, effects: tuple[Effect, ...], rules: Rules, about: Circumstances) -> Decision:
        full = judge(rules, effects, about)
        if full.outcome is Outcome.DENY:
            return full
        spent = await self._budgets.spent(full.draws)
        return judge(rules, effects, about, lambda draw: spent.get(_name(draw), 0))

    def _about(self, request: SignRequest) -> Circumstances:
        return Circumstances(request.wallet, self._clock.now_s(), session=_session(request))

    async def sign(self, request: SignRequest, token: AuthToken | None = None) -> bytes:
        """65 bytes r, s, v of the key. `token` is the second factor that came with the request.

        `Refusal`: PERMISSION_DENIED with the rule in its cause, REQUIRES_TOTP or REQUIRES_PIN, UNAVAILABLE while
        everything is frozen, or what keeps records and holders from working; then nothing was signed.
        """
        request = await self._asked_by_its_own(request)
        about = self._about(request)
        rules = await self._rule_book.current()
        if self._step_up is not None and _is_factor_update(request, about.now_s) and not rules.document.frozen:
            if await self._step_up.is_enrolled(request.wallet):
                await self._step_up.require(request.wallet, request.digest, _UPDATE, token)
            return await self._key.sign(request.key_digest or request.digest)
        decision = await self._judge(request, rules, about)
        await self._log.add(decision, about)
        if decision.outcome is Outcome.DENY:
            raise _refusal(decision.outcome, decision.deciding.by)
        approved = await self._require_approved(request, decision, rules)
        shown = {Outcome.REVIEW} if approved else set()
        if await self._take_second_factor(request, decision.asking(Outcome.SECOND_FACTOR), token):
            shown.add(Outcome.SECOND_FACTOR)
        try:
            reservation = await self._budgets.reserve(decision.draws, frozenset(shown))
        except BudgetExceeded as exceeded:
            if exceeded.level is Outcome.SECOND_FACTOR and self._step_up is not None:
                raise await self._step_up.refusal(request.wallet, str(exceeded)) from None
            raise _refusal(exceeded.level, str(exceeded)) from None
        try:
            signature = await self._sign(request, approved)
        except Refusal:  # no key was opened
            await self._budgets.release(reservation)
            raise
        reservation.commit()
        return signature

    async def _require_approved(self, request: SignRequest, decision: Decision, rules: Rules) -> Cleared | None:
        """What reviewers have approved, where anything asks for them."""
        asking = decision.asking(Outcome.REVIEW)
        if asking is None:
            return None
        if rules.panel is None:
            raise _refusal(Outcome.REVIEW, asking.by)
        return await self._reviews.require_approved(request, decision, rules)

    async def _take_second_factor(self, request: SignRequest, asking: Reason | None, token: AuthToken | None) -> bool:
        """Whether one was shown, where a rule, a budget or the wallet's having one asks for it; it is used up."""
        if self._step_up is None:
            if asking is not None:
                raise _refusal(Outcome.SECOND_FACTOR, asking.by)
            return False
        if asking is None and not (self._always_step_up and await self._step_up.is_enrolled(request.wallet)):
            return False
        by = asking.by if asking else _ENROLLED
        await self._step_up.require(request.wallet, request.digest, by, token)
        return True

    async def _sign(self, request: SignRequest, approved: Cleared | None) -> bytes:
        """An approval of reviewers is used up before the key is opened, and usable again only if the key was not."""
        if approved is not None:
            await self._reviews.use(approved)
        try:
            if isinstance(request.what, ConfigUpdatePayload):
                await self._wallets.approve(request.wallet, request.what.image_hash)
            return await self._key.sign(request.key_digest or request.digest)
        except Refusal:
            if approved is not None:
                await self._reviews.give_back(approved)
            raise


def _through_contract(
    request: SignRequest, listed: ContractSignature, known: KnownWallet, now_s: int
) -> tuple[tuple[bytes, ...], str]:
    """Who signed through a contract; or nobody, and why."""
    try:
        return verify_contract_signature(listed, request.digest, request.operation, known.modules, now_s), ""
    except WalletError as error:
        return (), f":{error.code}"


def _is_factor_update(request: SignRequest, now_s: int) -> bool:
    """Whether it is what a wallet signs so that its own factors may be changed. It moves nothing; no rule names it."""
    what = request.what
    if request.chain_id != CHAIN_ID or isinstance(what, Attestation) or what.parent_wallets:
        return False
    match what:
        case MessagePayload(message=message):
            return is_update(message, now_s)
        case DigestPayload(digest=digest):
            return is_update_digest(digest, now_s)
    return False


def _refusal(outcome: Outcome, by: str) -> Refusal:
    if by == "frozen":
        return Refusal(guard_errors.UNAVAILABLE, "guard:frozen")
    return Refusal(guard_errors.PERMISSION_DENIED, f"{_CAUSES.get(outcome, 'guard:deny')}:{by}")


def _session(request: SignRequest) -> str:
    """Budgets of a session are those of whoever signed first beside the guard; accounts stand before modules."""
    return cosigner_text(request.cosigners[0]) if request.cosigners else ""


def _name(draw: Draw) -> tuple[str, str]:
    return draw.budget.id, draw.subject
