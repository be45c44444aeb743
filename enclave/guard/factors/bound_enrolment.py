"""Enrolling the factors that are shown for one request: a mailbox, a passkey, the user's ID token."""

from collections.abc import Callable, Sequence

import msgspec

from enclave.clock import TrustedClock
from enclave.errors import MailError, Refusal
from enclave.guard.factors.authorizing import Authorized
from enclave.guard.factors.book import FactorBook
from enclave.guard.factors.bound import BoundFactors, Kind
from enclave.guard.factors.challenges import CHALLENGE_S
from enclave.guard.factors.factor_mail import compose_factor_mail
from enclave.guard.factors.record import Factors
from enclave.login.mail_limits import MailCounter
from enclave.login.otp import normalize_email
from enclave.ports import Mailer
from evm.address import Address
from protocol import errors, guard_errors

_replace = msgspec.structs.replace
_ENROL = "enrol"


class BoundEnrolment:
    """Changes which of them a wallet has, and mails codes."""

    def __init__(
        self,
        bound: BoundFactors,
        book: FactorBook,
        mailer: Mailer,
        mail_limits: MailCounter,
        clock: TrustedClock,
        random: Callable[[int], bytes],
        *,
        service: str,
        sender: str,
    ) -> None:
        """Without a `sender` no mail is sent, and mailboxes are no factors."""
        self._bound = bound
        self._book = book
        self._mailer = mailer
        self._mail_limits = mail_limits
        self._clock = clock
        self._random = random
        self._service = service
        self._sender = sender

    async def challenge(self, kind: Kind, wallet: Address, digest: bytes, words: Sequence[str]) -> str:
        """A challenge about a digest, for a factor that the wallet has; by mail its code goes out. `words` say what the
        digest is of. `Refusal` NOT_FOUND `guard:enrolment`, RATE_LIMITED.
        """
        factors = await self._book.load(wallet)
        if not factors.has(kind):
            raise Refusal(guard_errors.NOT_FOUND, "guard:enrolment")
        challenge = self._bound.challenge(kind, wallet, digest)
        if kind == "Email":
            await self._send(challenge, factors.email, wallet, [*words, f"Digest: 0x{digest.hex()}"])
        return challenge

    async def start_email(self, who: Authorized, email: str) -> str:
        """A challenge whose code goes to a mailbox, to be confirmed. INVALID_ARGUMENT `guard:email`."""
        address = _address(email)
        await self._bind(who)
        challenge = self._bound.challenges.issue(_ENROL, who.wallet, address.encode())
        await self._send(challenge, address, who.wallet, [f"This mailbox becomes a second factor at {self._service}"])
        return challenge

    async def confirm_email(self, wallet: Address, email: str, challenge: str, code: str) -> None:
        """The mailbox, once its code was shown. UNAUTHORIZED."""
        address = _address(email)
        if not self._bound.is_code(challenge, code):
            raise Refusal(guard_errors.UNAUTHORIZED, "guard:factor")
        await self._bound.challenges.use_up(challenge, _ENROL, wallet, address.encode())
        await self._book.change(wallet, lambda factors: _replace(factors, email=address))

    async def start_passkey(self, who: Authorized) -> str:
        """A challenge for `navigator.credentials.create`. NOT_FOUND where there are no passkeys."""
        if not self._bound.site.name:
            raise Refusal(guard_errors.NOT_FOUND, "guard:passkeys")
        await self._bind(who)
        return self._bound.challenges.issue("create", who.wallet)

    async def confirm_passkey(self, wallet: Address, registration: str) -> None:
        """The passkey, in place of the one before, once it was made for this. UNAUTHORIZED."""
        made = await self._bound.made(wallet, registration)
        await self._book.change(wallet, lambda factors: _replace(factors, passkey=made))

    async def add_id_token(self, who: Authorized) -> None:
        """From now on an ID token of the user, asked for with a challenge as its nonce, is a factor."""
        await self._book.change(who.wallet, lambda factors: _replace(factors, user=who.user, oidc=True))

    async def remove(self, wallet: Address, kind: Kind) -> None:
        """Without the factor of this kind."""
        await self._book.change(wallet, lambda factors: factors.without(kind).settled())

    async def _bind(self, who: Authorized) -> None:
        def bound(factors: Factors) -> Factors:
            return _replace(factors, user=who.user)

        await self._book.change(who.wallet, bound)

    async def _send(self, challenge: str, address: str, wallet: Address, what: Sequence[str]) -> None:
        if not self._sender:
            raise Refusal(guard_errors.NOT_FOUND, "guard:mail")
        try:
            self._mail_limits.take(self._service, address, wallet.hex(), self._clock.monotonic_ms())
        except Refusal:
            raise Refusal(guard_errors.RATE_LIMITED, "guard:mail") from None
        message = compose_factor_mail(
            self._sender,
            address,
            self._service,
            self._bound.challenges.code(challenge),
            wallet,
            what,
            minutes=CHALLENGE_S // 60,
            now_s=self._clock.now_s(),
            random=self._random,
        )
        try:
            await self._mailer.send(message)
        except MailError:
            raise Refusal(errors.INTERNAL_ERROR, "the mail could not be sent") from None


def _address(email: str) -> str:
    try:
        return normalize_email(email)
    except Refusal:
        raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:email") from None
