"""Which worker answers a request: the one that holds what is kept in memory for its key (design section 8, ADR 0028).

A key is read leniently, from what nobody has verified yet, and says only who does the work. Whoever does it finds the
verified key, and refuses if that is not one of its own: then the request says two things.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from attestation import channel
from attestation.errors import AttestationError
from enclave.auth_key import Key
from enclave.errors import Refusal
from enclave.workers import Worker
from protocol import errors
from protocol.frames import Request
from protocol.workers import worker_of

_INTENTS: Final = "/rpc/WaasAuthenticator/"
_OF_THE_FIRST: Final = (
    "/rpc/IdentityInstrumentAdmin/",
    "/rpc/GuardRules/Decisions",
    "/rpc/GuardRules/Overview",
    "/rpc/GuardReview/Overview",
)
"""What walks over all records, or reads what all have decided, is done in one place."""
_ADDRESS_CHARS: Final = 42


class _AuthKey(msgspec.Struct):
    address: str


class _Envelope(msgspec.Struct):
    authKey: _AuthKey  # noqa: N815  the wire's spelling


class _Signature(msgspec.Struct):
    sessionId: str  # noqa: N815  the wire's spelling


class _Intent(msgspec.Struct):
    signatures: list[_Signature]


class _IntentCall(msgspec.Struct):
    intent: _Intent


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_INTENT_CALL: Final = msgspec.json.Decoder(_IntentCall)


def owner_of(request: Request, workers: int) -> int | None:
    """The worker that has to answer; None where any of them can."""
    path = request.method.partition(" ")[2]
    if path.startswith(_OF_THE_FIRST):
        return 0
    read = _READERS.get(path) or (_intent_key if path.startswith(_INTENTS) else _envelope_key)
    try:
        return worker_of(read(request.body), workers)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, LookupError, AttestationError):
        return None


def require_own(worker: Worker, path: str, key: Key) -> None:
    """INVALID_REQUEST unless `worker` answers calls of `key`, which has signed this one."""
    if not (worker.owns(key.address) or (worker.number == 0 and path.startswith(_OF_THE_FIRST))):
        raise Refusal(errors.INVALID_REQUEST, "the auth key can be read in two ways")


def channel_key_name(key_id: bytes) -> str:
    """The name of a channel key for `Worker.owns`: its maker alone can open what is sealed to it."""
    return key_id.hex()


def _envelope_key(body: bytes) -> str:
    return _ENVELOPE.decode(body).authKey.address.lower()


def _intent_key(body: bytes) -> str:
    """The address of the device key that a session id names (`evm/intents/session_key.py`)."""
    session = _INTENT_CALL.decode(body).intent.signatures[0].sessionId.lower()
    return session if len(session) == _ADDRESS_CHARS else f"0x{session[4:]}"


def _sealed_key(body: bytes) -> str:
    return channel_key_name(channel.parse_request(body).key_id)


_READERS: Final[Mapping[str, Callable[[bytes], str]]] = {channel.PATH: _sealed_key}
