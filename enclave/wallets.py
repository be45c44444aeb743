"""One signature with a wallet key: right, nonce, shares, signature, wipe, release — in this order and nowhere else.

The signature is made while its nonce is on its way to the disk, and released once it is there (RB-03, ADR 26). The key
exists for the time of one signature (design section 6).
"""

from collections.abc import Awaitable, Callable

from enclave import curve
from enclave.account import Account
from enclave.accounts import Accounts
from enclave.clock import TrustedClock
from enclave.config import Right
from enclave.devices import Login
from enclave.errors import Refusal
from enclave.nonces import Nonces
from enclave.sessions import VerifiedSession
from enclave.tenants.tenants import Tenants
from protocol import errors
from protocol.services import RecordKey


class Wallets:
    """Signs for verified sessions."""

    def __init__(self, tenants: Tenants, clock: TrustedClock, accounts: Accounts, nonces: Nonces) -> None:
        self._tenants = tenants
        self._clock = clock
        self._accounts = accounts
        self._nonces = nonces

    async def sign(
        self,
        session: VerifiedSession,
        login: Login,
        digest: bytes,
        *,
        right: Right,
        nonce: int,
        first: Callable[[], Awaitable[None]] | None = None,
        by: Callable[[bytes], Awaitable[bytes]] | None = None,
    ) -> bytes:
        """`r || s || v` (65 bytes, low-S, v 27 or 28) over `digest`. RIGHT_NOT_GRANTED, PRECONDITION_FAILED,
        USAGE_LIMIT_EXCEEDED, SIGNER_NOT_FOUND, ACCOUNT_FROZEN, HOLDERS_UNAVAILABLE.

        `first` makes durable what must be known before the signature exists; it runs once the nonce is durable. `by`
        signs in the place of the account's own key, under the same conditions: a key that signs for many accounts.
        """
        scope = self._tenants.measured(session.scope) or await self._tenants.scope(session.scope)
        if scope is None or right not in scope.rights:
            raise Refusal(errors.RIGHT_NOT_GRANTED)
        account = await self._account(login)
        account.require_active(self._clock.now_s)
        spent = session.scope, session.auth_key, nonce, self._clock.monotonic_ms()
        if first is not None:
            await self._nonces.consume(*spent)
            await first()
            return await self._signature(session, account, digest, by)
        signature = await self._nonces.consume_while(*spent, lambda: self._signature(session, account, digest, by))
        await self._accounts.require_openable(session, account)  # it may have been frozen meanwhile
        return signature

    async def _signature(
        self,
        session: VerifiedSession,
        account: Account,
        digest: bytes,
        by: Callable[[bytes], Awaitable[bytes]] | None,
    ) -> bytes:
        if by is not None:
            await self._accounts.require_openable(session, account)
            return await by(digest)
        with await self._accounts.open_wallet(session, account) as key:
            compact, parity = curve.sign(key, digest, account.shards.public_key)
        return compact + bytes([27 + parity])

    async def _account(self, login: Login) -> Account:
        account = await self._accounts.load(RecordKey("account", login.account_id))
        if account is None or account.address != login.address:
            raise Refusal(errors.SIGNER_NOT_FOUND)
        return account
