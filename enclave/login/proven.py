"""What an auth key has proven before, and so may be told again (OT-11; identity-instrument.md 8, defect 11)."""

from dataclasses import dataclass

from enclave.accounts import Account, Accounts
from enclave.auth_key import Key
from enclave.devices import Devices
from enclave.errors import Refusal
from enclave.identity import Identity, IdentityKind
from protocol.errors import DATA_INTEGRITY_ERROR, INVALID_REQUEST
from protocol.services import RecordKey


@dataclass(frozen=True, slots=True)
class Proven:
    """Looks at logins of the past. A revoked device has proven nothing."""

    accounts: Accounts
    devices: Devices

    async def identity(self, scope: str, auth_key: Key, identity: Identity) -> bool:
        """Whether `auth_key` has logged in as `identity` in `scope`. Costs the same whether the identity is known."""
        return await self._account(scope, auth_key, self.accounts.key(scope, identity))

    async def require_account(self, scope: str, signer: Key, kind: IdentityKind) -> Account:
        """The account of a signer that a request names: INVALID_REQUEST without one, DATA_INTEGRITY_ERROR for one of
        another kind of login.
        """
        account = await self.accounts.find_by_address(scope, signer.address)
        if account is None:
            raise Refusal(INVALID_REQUEST, "signer not found")
        if account.identity.kind != kind:
            raise Refusal(DATA_INTEGRITY_ERROR)
        return account

    async def hint(self, scope: str, auth_key: Key, account: Account) -> str:
        """The subject of `account`, for the key that has proven it; empty for everybody else."""
        return account.identity.subject if await self._account(scope, auth_key, account.key) else ""

    async def _account(self, scope: str, auth_key: Key, key: RecordKey) -> bool:
        device = await self.devices.load(scope, auth_key)
        return device is not None and device.login is not None and device.login.account_id == key.id
