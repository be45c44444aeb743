"""The end of a login: who may become a user, and what an invitation is used up for."""

from enclave.accounts import Accounts
from enclave.errors import Refusal
from enclave.identity import Identity
from enclave.invitations.invitation import Invitation, Invitations
from enclave.login.proofs import ProvenLogin
from enclave.waas.caller import Caller
from enclave.waas.users import User, Users, home_of
from protocol import errors


class SignUp:
    """Opens sessions of users; `invitations` is None where there are none."""

    def __init__(self, users: Users, accounts: Accounts, invitations: Invitations | None) -> None:
        self._users = users
        self._accounts = accounts
        self._invitations = invitations

    async def open(self, caller: Caller, proven: ProvenLogin) -> User:
        """The user of a login, with a session; INVITATION_REQUIRED for somebody new who would need one.

        An invitation is used up once there is a wallet. If that is never written, the next login does it.
        """
        if self._invitations is None or caller.tenant.invitations is None:
            return await self._users.open(caller, proven)
        known = await self._accounts.slot(home_of(caller, proven), proven.identity) is not None
        invited = await self._invited(self._invitations, caller, proven.identity, known=known)
        if caller.tenant.invitations.required and not known and invited is None:
            raise Refusal(errors.INVITATION_REQUIRED)
        user = await self._users.open(caller, proven)
        if invited is not None:
            await self._invitations.use(caller.scope.scope, invited, user.address)
        return user

    async def _invited(
        self, invitations: Invitations, caller: Caller, identity: Identity, *, known: bool
    ) -> Invitation | None:
        if identity.kind != "Email":  # what a provider says of an address proves nothing
            return None
        return await invitations.admitted(caller.scope.scope, identity.subject, known=known)
