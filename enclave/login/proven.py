"""What an auth key has proven before, and so may be told again (OT-11; identity-instrument.md 8, defect 11)."""

from dataclasses import dataclass

from enclave.accounts import Accounts
from enclave.auth_key import Key
from enclave.devices import Devices
from enclave.errors import Refusal
from enclave.identity import Identity, IdentityKind
from protocol.errors import DATA_INTEGRITY_ERROR, INVALID_REQUEST


@dataclass(frozen=True, slots=True)
class Proven:
    """Looks at logins of the past. A revoked device has proven nothing."""

    accounts: Accounts
    devices: Devices

    async def identity(self, scope: str, auth_key: Key, identity: Identity) -> bool:
        """Whether `auth_key` has logged in as `identity` in `scope`. Costs the same whether the identity is known."""
        device = await self.devices.load(scope, auth_key)
        if device is None or device.login is None:
            return False
        return device.login.subject == self.accounts.subject(device.login.account_id, scope, identity)

    async def require_login(self, scope: str, signer: Key, kind: IdentityKind) -> Identity:
        """The oldest login of a kind that leads to a signer which a request names: INVALID_REQUEST for an unknown
        signer, DATA_INTEGRITY_ERROR for one without such a login.
        """
        account = await self.accounts.find_by_address(scope, signer.address)
        if account is None:
            raise Refusal(INVALID_REQUEST, "signer not found")
        login = account.first_login(kind)
        if login is None:
            raise Refusal(DATA_INTEGRITY_ERROR)
        return login

    async def hint(self, scope: str, auth_key: Key, identity: Identity) -> str:
        """The subject of `identity`, for the key that has proven it; empty for everybody else."""
        return identity.subject if await self.identity(scope, auth_key, identity) else ""
