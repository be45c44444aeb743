"""IdentityInstrumentAdmin/SetClientSecret: secrets of OpenID applications, by keys that the image names."""

from typing import Any

from enclave.config import Config
from enclave.errors import Refusal
from enclave.login.client_secrets import ClientSecrets
from enclave.login.issuers import find_client
from enclave.rpc import params
from enclave.rpc.admin_call import AdminCalls
from enclave.rpc.envelope import SignedCall
from protocol import errors


class AdminService:
    """Ours among the admin methods; the published ones are in `rotation.py`."""

    def __init__(self, config: Config, calls: AdminCalls, secrets: ClientSecrets) -> None:
        self._config = config
        self._calls = calls
        self._secrets = secrets

    async def set_client_secret(self, call: SignedCall) -> dict[str, Any]:
        """Keep `secret` of the client that `scope`, `issuer` and `audience` name; only sealed past the host."""

        async def provision() -> dict[str, Any]:
            if not call.sealed:
                raise Refusal(errors.INVALID_REQUEST, "a secret comes through the sealed channel only")
            scope = params.scope(call, self._config)
            issuer, audience = params.text(call.params, "issuer"), params.text(call.params, "audience")
            client = find_client(scope.oidc, issuer, audience)
            if client is None or not client.takes_secret:
                params.invalid("no client of that name takes a secret")
            await self._secrets.provision(scope.scope, client, params.client_secret(call.params))
            return {}

        return await self._calls.audited(call, {"scope", "issuer", "audience", "secret"}, provision)
