"""What a request says of whose it is: read leniently, to choose a worker and to bound rates. The enclave judges.

Trust side: host.
"""

from typing import Annotated, Final

import msgspec

from protocol import cbor, limits
from protocol.errors import ProtocolError


class _AuthKey(msgspec.Struct):
    address: Annotated[str, msgspec.Meta(max_length=limits.MAX_AUTH_KEY_CHARS)]


class _Envelope(msgspec.Struct):
    authKey: _AuthKey  # noqa: N815  the wire's spelling


class _Signature(msgspec.Struct):
    sessionId: Annotated[str, msgspec.Meta(max_length=2 + limits.MAX_AUTH_KEY_CHARS)]  # noqa: N815  the wire's spelling


class _Intent(msgspec.Struct):
    signatures: list[_Signature]


class _IntentCall(msgspec.Struct):
    intent: _Intent


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_INTENT_CALL: Final = msgspec.json.Decoder(_IntentCall)
_SEALED_PATH: Final = "/rpc/Channel/Sealed"
_INTENTS: Final = "/rpc/WaasAuthenticator/"
_ADDRESS_CHARS: Final = 42


def routing_key(body: bytes) -> str | None:
    """The auth key's address in a request body, lower case, or None.

    Read leniently: the enclave judges the body. A body that says two things gets a worker that refuses it.
    """
    try:
        return _ENVELOPE.decode(body).authKey.address.lower()
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def worker_key(path: str, body: bytes) -> str | None:
    """What stands for the auth key in requests without one: the channel key that a request is sealed to, or the session
    key of an intent. A guess saves the enclave a hop, and a wrong one costs it one.
    """
    try:
        if path == _SEALED_PATH:
            match cbor.loads(body):
                case [1, bytes(key_id), *_]:
                    return key_id.hex()
        elif path.startswith(_INTENTS):
            session = _INTENT_CALL.decode(body).intent.signatures[0].sessionId.lower()
            return session if len(session) == _ADDRESS_CHARS else f"0x{session[4:]}"
    except (ProtocolError, msgspec.MsgspecError, RecursionError, UnicodeError, LookupError):
        pass
    return None
