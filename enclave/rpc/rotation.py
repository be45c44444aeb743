"""IdentityInstrumentAdmin: rotation of holder keys in the published shapes, by keys that the image names.

The original took these calls from anybody (identity-instrument.md 8, defect 19). Here each is a signed envelope whose
`params` are the published arguments and the members that bind the call (`admin_call.py`). A guard takes them, too.
"""

from typing import Any, Final

from enclave.errors import Refusal
from enclave.rotation import Rotation
from enclave.rpc import params
from enclave.rpc.admin_call import AdminCalls
from enclave.rpc.envelope import SignedCall
from protocol import errors, limits

_TABLES: Final = ("AuthCommitments", "AuthKeys", "Signers")
_NOT_SHARDED: Final = ("AuthCommitments", "AuthKeys")
"""Commitments are never stored, and logins are under the record secret: no holder key closes them."""


class RotationService:
    """The three published methods."""

    def __init__(self, calls: AdminCalls, rotation: Rotation) -> None:
        self._calls = calls
        self._rotation = rotation

    async def rotate_cipher_key(self, call: SignedCall) -> dict[str, Any]:
        """A new generation in the place of `keyRef`, a generation's number. Result `{}`."""

        async def rotate() -> dict[str, Any]:
            await self._rotation.rotate(_key_ref(call.params))
            return {}

        return await self._calls.audited(call, {"keyRef"}, rotate)

    async def refresh_encrypted_data(self, call: SignedCall) -> dict[str, Any]:
        """Renew what lies under generation `keyRef` in `table`, looking at `batch` records. Result `{done}`."""

        async def refresh() -> dict[str, Any]:
            number, batch = _key_ref(call.params), _batch(call.params)
            table = params.choice(call.params, "table", _TABLES, "invalid table")
            return {"done": table in _NOT_SHARDED or await self._rotation.refresh(number, batch)}

        return await self._calls.audited(call, {"keyRef", "table", "batch"}, refresh)

    async def cleanup_unused_cipher_keys(self, call: SignedCall) -> dict[str, Any]:
        """Retire generations that nothing lies under any more. Result `{deleted}`."""

        async def cleanup() -> dict[str, Any]:
            return {"deleted": await self._rotation.cleanup()}

        return await self._calls.audited(call, set(), cleanup)


def _key_ref(members: dict[str, Any]) -> int:
    """The `keyRef` member: the decimal number of a generation. ENDPOINT_ERROR for what cannot name one."""
    text = params.text(members, "keyRef")
    if not text.isascii() or not text.isdecimal() or len(text) > limits.MAX_NONCE_DIGITS:
        raise Refusal(errors.ENDPOINT_ERROR, "cipher key not found")
    return int(text)


def _batch(members: dict[str, Any]) -> int:
    """The `batch` member, cut to what one call of the store may list (SE-15)."""
    value = members.get("batch")
    if type(value) is not int or value < 1:
        params.undecodable("batch")
    return min(value, limits.MAX_RECORDS_PER_CALL)
