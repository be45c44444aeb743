"""The administrator's side: holder keys and client secrets, in calls that a key of the measured configuration signs."""

import time
from typing import Any, Final

from host_proxy.client.api import Api

_ADMIN: Final = "/rpc/IdentityInstrumentAdmin/"
_REQUEST_LIFE_MS: Final = 60_000


class Admin:
    """The admin methods of one deployment, over one `Api` whose device key is the administrator's."""

    def __init__(self, api: Api, deployment: str) -> None:
        self._api = api
        self._deployment = deployment

    def rotate(self, key_ref: str) -> None:
        """Put a new generation in the place of the current one, which `key_ref` names."""
        self._ask("RotateCipherKey", keyRef=key_ref)

    def refresh(self, key_ref: str, batch: int) -> bool:
        """Renew a batch of what lies under an earlier generation; whether the end was reached."""
        return bool(self._ask("RefreshEncryptedData", table="Signers", keyRef=key_ref, batch=batch)["done"])

    def cleanup(self) -> int:
        """Retire generations that nothing lies under; how many."""
        return int(self._ask("CleanupUnusedCipherKeys")["deleted"])

    def set_client_secret(self, scope: str, issuer: str, audience: str, secret: Any) -> None:
        """Provision the secret of an OpenID application; the enclave takes it over a sealed `Api` only."""
        self._ask("SetClientSecret", scope=scope, issuer=issuer, audience=audience, secret=secret)

    def _ask(self, method: str, **members: Any) -> dict[str, Any]:
        now_ms = time.time_ns() // 1_000_000
        bound = {"deployment": self._deployment, "nonce": hex(now_ms), "expires": now_ms + _REQUEST_LIFE_MS}
        return self._api.signed(_ADMIN + method, {"method": _ADMIN + method, **bound, **members}).body
