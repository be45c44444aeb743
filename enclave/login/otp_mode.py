"""Login by a one-time code that arrives by mail (mode OTP; identity-instrument.md 2.1).

Known and unknown addresses take the same way, because nothing is looked up for an address (OT-06). A login that names a
signer goes to that wallet's address; the address itself is shown only to a device key that proved it before.
"""

from collections.abc import Callable
from typing import Final

from enclave.auth_key import parse_key_text
from enclave.clock import TrustedClock
from enclave.config import Limits, Scope
from enclave.errors import MailError, Refusal
from enclave.identity import Identity, email_identity
from enclave.login import otp
from enclave.login.code_budget import CodeBudget
from enclave.login.commitments import Commitment, CommitmentKey, Commitments
from enclave.login.login_mail import compose_login_mail
from enclave.login.mail_limits import MailCounter
from enclave.login.modes import LoginRequest, LoginStarted
from enclave.login.proven import Proven
from enclave.ports import Mailer
from protocol import errors

MODE: Final = "OTP"


class OtpMode:
    """Implements `LoginMode`."""

    def __init__(
        self,
        settings: Limits,
        clock: TrustedClock,
        commitments: Commitments,
        proven: Proven,
        budget: CodeBudget,
        mailer: Mailer,
        mail_limits: MailCounter,
        random: Callable[[int], bytes],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._commitments = commitments
        self._proven = proven
        self._budget = budget
        self._mailer = mailer
        self._random = random
        self._mail_limits = mail_limits

    def normalize_verifier(self, verifier: str) -> str:
        """A mail address or a signer's text, in the form that `commit` returned."""
        signer = parse_key_text(verifier)
        if signer is not None:
            return str(signer)
        try:
            return otp.normalize_email(verifier)
        except Refusal:
            return verifier  # matches no commitment

    async def commit(self, request: LoginRequest) -> LoginStarted:
        """Send a code and file its commitment, which nobody can answer before the mail server has taken the mail."""
        scope = request.scope
        if request.identity_type != "Email" or not scope.email_login:
            raise Refusal(errors.INVALID_REQUEST, f"unsupported identity type: {request.identity_type}")
        recipient, verifier = await self._recipient(request)
        known = await self._proven.identity(scope.scope, request.auth_key, email_identity(recipient))
        key = CommitmentKey(scope.scope, MODE, request.identity_type, verifier, request.auth_key)
        now_ms = self._clock.monotonic_ms()
        deadline_ms = now_ms + self._settings.otp_s * 1000
        counted = None if known else self._commitments.admit(key, now_ms, deadline_ms)
        try:
            await self._count_mail(scope, recipient, str(request.auth_key) if known else "", now_ms)
        except BaseException:
            self._commitments.give_back(counted)
            raise
        code = self._generate_code(scope)
        client_salt, server_salt = otp.generate_salt(self._random), otp.generate_salt(self._random)
        commitment = Commitment(
            key=key,
            handle=recipient,
            signer=request.signer,
            deadline_ms=deadline_ms,
            challenge=server_salt,
            answers=otp.stored_answers(server_salt, client_salt, code),
            pending=True,
            counted=counted,
        )
        self._commitments.add(commitment, now_ms)
        await self._send(request, commitment, code)
        hint = recipient if request.signer is None or known else ""
        return LoginStarted(verifier, hint, client_salt)

    async def complete(self, commitment: Commitment, answer: str, scope: Scope) -> Identity:  # noqa: ARG002
        """ANSWER_INCORRECT unless `answer` is that of the mailed code."""
        otp.verify_answer(commitment.answers, commitment.challenge, answer)
        return email_identity(commitment.handle)

    async def _count_mail(self, scope: Scope, recipient: str, device: str, now_ms: int) -> None:
        """`device` is empty for one that has proven nothing yet."""
        self._mail_limits.take(scope.scope, recipient, device, now_ms)
        if scope.email_code == "digits":
            await self._budget.take(scope.scope, recipient, device, self._clock.now_s())

    async def _recipient(self, request: LoginRequest) -> tuple[str, str]:
        """Address and verifier."""
        if request.signer is None:
            address = otp.normalize_email(request.handle)
            return address, address
        login = await self._proven.require_login(request.scope.scope, request.signer, "Email")
        return login.subject, str(request.signer)

    async def _send(self, request: LoginRequest, commitment: Commitment, code: str) -> None:
        message = compose_login_mail(
            request.scope,
            commitment.handle,
            code,
            auth_key=request.auth_key,
            origin=request.scope.origins[0],
            lifetime_s=self._settings.otp_s,
            now_s=self._clock.now_s(),
            random=self._random,
        )
        try:
            await self._mailer.send(message)
            commitment.pending = False
        except MailError:
            raise Refusal(errors.INTERNAL_ERROR, "the mail could not be sent") from None
        finally:
            if commitment.pending:  # also when the request ran out of time
                self._commitments.withdraw(commitment)

    def _generate_code(self, scope: Scope) -> str:
        if scope.email_code == "digits":
            return otp.generate_code(self._settings.otp_digits, self._random)
        return otp.generate_long_code(self._random)
