"""Mails to the owners of an account about what was done with it (ADR 0036).

They go to every address that can log in, also to the one that is just being taken off. Who froze, linked or unlinked is
not held up by a mail server: notices are sent after the change, and a lost one undoes nothing. But before a freeze is
going to end, at least one address has to have been told, because the delay is there for the owner.
"""

import asyncio
import contextlib
from collections.abc import Callable
from email.message import EmailMessage
from enum import Enum
from typing import Final

from enclave.account import Account
from enclave.clock import TrustedClock
from enclave.config import Scope
from enclave.errors import MailError, Refusal
from enclave.login.login_mail import new_mail
from enclave.login.mail_limits import MailCounter
from enclave.ports import Mailer
from enclave.tenants.tenants import Tenants
from protocol import errors, limits

_COUNTED_AS: Final = "notice"  # apart from codes, so that notices keep nobody from logging in
_TEXT: Final = """\
{what}

Application: {origin} ({scope})
Account: {address}

If this was you, there is nothing to do.
If it was not: log in, freeze the account, and take off whatever you do not know.
"""


class Notice(Enum):
    """What was done, or is about to be."""

    LINKED = "A way to log in was added to your account"
    UNLINKED = "A way to log in was taken off your account"
    FROZEN = "Your account was frozen: nothing is signed with it"
    THAWING = "Your account is about to be unfrozen"
    DELETED = "Your account was deleted"
    GRANTED = "Payments from your account were granted"
    CODE = "The code of your account was changed"


class Notices:
    """Tells the mail addresses of accounts."""

    def __init__(
        self,
        tenants: Tenants,
        clock: TrustedClock,
        mailer: Mailer,
        mail_limits: MailCounter,
        random: Callable[[int], bytes],
    ) -> None:
        self._tenants = tenants
        self._clock = clock
        self._mailer = mailer
        self._mail_limits = mail_limits
        self._random = random

    async def tell(self, account: Account, notice: Notice) -> None:
        """Send what can be sent; no refusal, and not for longer than `MAX_NOTICE_S`."""
        with contextlib.suppress(Refusal, TimeoutError):
            async with asyncio.timeout(limits.MAX_NOTICE_S):
                await self.require_told(account, notice)

    async def require_told(self, account: Account, notice: Notice) -> None:
        """`Refusal` INTERNAL_ERROR or USAGE_LIMIT_EXCEEDED unless an address of the account was told, if it has any."""
        mailboxes = [login.subject for login in account.logins if login.kind == "Email"]
        if not mailboxes:
            return
        scope = await self._tenants.scope(account.scope)
        if scope is None:
            raise Refusal(errors.INTERNAL_ERROR)
        told = [await self._told(scope, mailbox, account, notice) for mailbox in mailboxes]
        if not any(told):
            raise Refusal(errors.INTERNAL_ERROR, "the mail could not be sent")

    async def _told(self, scope: Scope, mailbox: str, account: Account, notice: Notice) -> bool:
        self._mail_limits.take(scope.scope, mailbox, _COUNTED_AS, self._clock.monotonic_ms())
        try:
            await self._mailer.send(self._mail(scope, mailbox, account, notice))
        except MailError:
            return False
        return True

    def _mail(self, scope: Scope, mailbox: str, account: Account, notice: Notice) -> EmailMessage:
        message = new_mail(scope, mailbox, notice.value, self._clock.now_s(), self._random)
        facts = {"origin": scope.origins[0], "scope": scope.scope, "address": account.address}
        message.set_content(_TEXT.format_map({"what": f"{notice.value}.", **facts}))
        return message
