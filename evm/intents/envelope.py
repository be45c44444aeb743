"""The signed envelope of an intent: five signed members, the signatures, and the times between which it holds.

A verified intent is what a session key signed, now. That the session is open, whose it is, and that the intent has not
been used before, is for the service to say; `replay_id` is what it has to remember, until `forget_at_s`.
"""

from dataclasses import dataclass
from typing import Any, Final

from evm.fields import items, members
from evm.intents.canonical import intent_hashes
from evm.intents.errors import IntentError, require
from evm.intents.fields import printable_text
from evm.intents.names import IntentData, parse_intent_data
from evm.intents.session_key import SessionKey, parse_session_key, verify_session_signature
from evm.keccak import keccak256
from evm.wallet.passkeys.verifying import P256Verifier
from protocol.canonical_json import MAX_SAFE_INTEGER

DRIFT_S: Final = 5
"""How far the clocks of client and service may differ; the original's value."""
MAX_LIFETIME_S: Final = 3600  # own choice: clients ask for 300 s, and add twice the drift of a clock that is wrong
MAX_VERSION_CHARS: Final = 64
MAX_SIGNATURES: Final = 8  # read, to be able to say that one is expected

_SIGNED: Final = ("version", "name", "expiresAt", "issuedAt", "data")


@dataclass(frozen=True, slots=True)
class Intent:
    """What an envelope says. Nothing of it is verified; `hashes` are those of its canonical forms."""

    version: str
    name: str
    issued_at_s: int
    expires_at_s: int
    data: IntentData
    signatures: tuple[tuple[SessionKey, str], ...]
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class VerifiedIntent:
    """An intent that the key of a session signed, and that holds now. Only `verify_intent` makes one.

    `hash` names the intent; `signed_hash` is that of the form which was signed, and the same but for the dialect.
    """

    name: str
    data: IntentData
    session: SessionKey
    hash: bytes
    issued_at_s: int
    forget_at_s: int
    signed_hash: bytes
    signature: str

    @property
    def replay_id(self) -> bytes:
        """The same for every spelling of the same intent by the same key, whatever the signature's bytes."""
        return keccak256(self.hash + self.session.key)


def parse_intent(value: object) -> Intent:
    """The intent in a JSON object that `protocol.canonical_json` has read; unknown and missing members are refused."""
    found = members(value, required=(*_SIGNED, "signatures"), code="intent-members")
    return Intent(
        version=printable_text(MAX_VERSION_CHARS)(found["version"], "intent-version"),
        name=_name(found["name"]),
        issued_at_s=_time(found["issuedAt"]),
        expires_at_s=_time(found["expiresAt"]),
        data=parse_intent_data(_name(found["name"]), found["data"]),
        signatures=tuple(map(_signature, items(found["signatures"], most=MAX_SIGNATURES, code="intent-signatures"))),
        hashes=intent_hashes({name: found[name] for name in _SIGNED}),
    )


def verify_intent(
    intent: Intent, now_s: int, p256: P256Verifier, *, max_lifetime_s: int = MAX_LIFETIME_S
) -> VerifiedIntent:
    """The intent, signed by exactly one session key over one of its canonical forms, and neither early nor late."""
    require(len(intent.signatures) > 0, "intent-unsigned")
    require(len(intent.signatures) == 1, "intent-signatures")
    [(session, signature)] = intent.signatures
    signed_hash = _verify_any_form(intent, session, signature, p256)
    require(intent.expires_at_s + DRIFT_S >= now_s, "intent-expired")
    require(intent.issued_at_s - DRIFT_S <= now_s, "intent-future")
    require(0 <= intent.expires_at_s - intent.issued_at_s <= max_lifetime_s, "intent-lifetime")
    return VerifiedIntent(
        name=intent.name,
        data=intent.data,
        session=session,
        hash=intent.hashes[0],
        issued_at_s=intent.issued_at_s,
        forget_at_s=intent.expires_at_s + DRIFT_S + 1,
        signed_hash=signed_hash,
        signature=signature,
    )


def _verify_any_form(intent: Intent, session: SessionKey, signature: str, p256: P256Verifier) -> bytes:
    """The hash that was signed: that of one of the canonical forms."""
    *others, last = intent.hashes
    for intent_hash in others:
        try:
            verify_session_signature(session, signature, intent_hash, p256)
        except IntentError:
            continue
        return intent_hash
    verify_session_signature(session, signature, last, p256)
    return last


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise IntentError("intent-name")
    return value


def _time(value: object) -> int:
    """Seconds since 1970, an integer that every reader keeps."""
    if type(value) is not int or not 0 <= value <= MAX_SAFE_INTEGER:
        raise IntentError("intent-time")
    return value


def _signature(value: Any) -> tuple[SessionKey, str]:
    found = members(value, required=("sessionId", "signature"), code="intent-signature-members")
    if not isinstance(found["signature"], str):
        raise IntentError("intent-signature")
    return parse_session_key(found["sessionId"]), found["signature"]
