"""Calls that a measured key signs: bound to method, deployment, nonce and expiry, and written to the log.

The nonce is spent before anything happens, and every call by such a key leaves a line in the log.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from enclave import log
from enclave.clock import TrustedClock
from enclave.config import AdminKey, Config
from enclave.errors import Refusal
from enclave.nonces import Nonces
from enclave.rpc import params
from enclave.rpc.authorized import require_fresh
from enclave.rpc.envelope import SignedCall
from protocol import errors, limits

_COMMON: Final = frozenset({"method", "deployment", "nonce", "expires"})


class AdminCalls:
    """Takes calls by any of `keys`, each once."""

    def __init__(self, config: Config, clock: TrustedClock, nonces: Nonces, keys: Collection[AdminKey]) -> None:
        self._config = config
        self._clock = clock
        self._nonces = nonces
        self._names = {str(key): key.name for key in keys}

    async def audited(
        self, call: SignedCall, members: set[str], act: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """What `act` gives, for an admin; a line in the log says who did what, and how it ended. `members` are the
        method's own. ACCESS_ERROR for anybody else.
        """
        name = self._names.get(str(call.auth_key))
        if name is None:
            raise Refusal(errors.ACCESS_ERROR)
        method, outcome = call.path.rpartition("/")[2], "InternalError"
        try:
            await self._spend(call, members)
            result = await act()
            outcome = "done"
        except Refusal as refusal:
            outcome = refusal.error.name
            raise
        finally:
            log.event("admin", method=method, admin=name, outcome=outcome)
        return result

    async def _spend(self, call: SignedCall, members: set[str]) -> None:
        if call.params.keys() - _COMMON - members:
            params.invalid("unknown member")
        if params.text(call.params, "method", max_bytes=limits.MAX_METHOD_CHARS) != call.path:
            params.invalid("method is not the one called")
        if params.text(call.params, "deployment") != self._config.deployment:
            params.invalid("deployment is another one")
        nonce = params.nonce(call.params)
        require_fresh(call.params.get("expires"), self._clock.now_ms(), self._config.limits.request_window_s)
        await self._nonces.consume("", str(call.auth_key), nonce, self._clock.monotonic_ms())
