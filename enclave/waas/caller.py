"""Who sent an intent: the tenant by its access key, the session key by its signature, each intent once."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from enclave import curve
from enclave.auth_key import P256, SECP256K1, Key
from enclave.clock import TrustedClock
from enclave.config import Scope
from enclave.config.embedded import EmbeddedWallets
from enclave.errors import Refusal
from enclave.ownership import require_own
from enclave.rpc.envelope import Call, parse_object, require_json_post
from enclave.sequence.p256 import verify_p256
from enclave.tenants.tenants import Tenants
from enclave.workers import ALONE, Worker
from evm.address import address_from_bytes, checksum
from evm.errors import EvmError
from evm.intents.envelope import VerifiedIntent, parse_intent, verify_intent
from evm.intents.errors import IntentError
from evm.intents.names import validate_session
from evm.intents.session_key import Curve, SessionKey
from evm.message import PersonalMessage
from protocol import errors, limits

ACCESS_KEY_HEADER: Final = "x-access-key"
PROJECT_HEADER: Final = "x-sequence-project"
_LOGINS: Final = frozenset({"initiateAuth", "openSession", "federateAccount"})
_READ_ONLY: Final = frozenset(
    {
        "listSessions",
        "getSession",
        "feeOptions",
        "getTransactionReceipt",
        "listAccounts",
        "getAdopter",
        "getConfirmationStatus",
    }
)
"""Intents that change nothing: clients ask again within a second, in which two of them are the same."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified intent, the tenant for whom it is, and the session key as the rest of the enclave names it."""

    scope: Scope
    tenant: EmbeddedWallets
    origin: str
    intent: VerifiedIntent
    key: Key
    public_key: bytes
    envelope: Mapping[str, Any]
    """The intent as it came, which is shown to a guard."""

    @property
    def request(self) -> object:
        """The intent's data as they came, which answers give back."""
        return self.envelope["data"]


async def require_tenant(tenants: Tenants, call: Call) -> tuple[Scope, EmbeddedWallets, str]:
    """The scope of the access key, and the origin that the request counts for; ACCESS_ERROR otherwise.

    Programs that are no browsers send no origin; the scope's first one stands for them. Who names a project, which
    published clients do not, has to name the access key's.
    """
    scope = await tenants.of_access_key(call.headers.get(ACCESS_KEY_HEADER, ""))
    if scope is None or scope.embedded is None:
        raise Refusal(errors.ACCESS_ERROR, "access key")
    if call.headers.get(PROJECT_HEADER, str(scope.embedded.project_id)) != str(scope.embedded.project_id):
        raise Refusal(errors.ACCESS_ERROR, "project")
    origin = call.headers.get("origin", "") or scope.origins[0]
    if origin not in scope.origins:
        raise Refusal(errors.ACCESS_ERROR, "origin")
    return scope, scope.embedded, origin


class Callers:
    """Verifies intents, and takes each that does something once."""

    def __init__(self, tenants: Tenants, clock: TrustedClock, worker: Worker = ALONE) -> None:
        self._tenants = tenants
        self._worker = worker
        self._clock = clock
        self._used: OrderedDict[bytes, int] = OrderedDict()

    async def verify(self, call: Call, members: frozenset[str]) -> tuple[Caller, dict[str, object]]:
        """The intent in a request with these members, and the members; each intent that does something, once."""
        require_json_post(call)
        body = parse_object(call.body)
        if "intent" not in body or not body.keys() <= members:
            raise Refusal(errors.BAD_REQUEST, "members of the request")
        with intent_rules():
            intent = verify_intent(parse_intent(body["intent"]), self._clock.now_s(), verify_p256)
            validate_session(intent.data, intent.session)
            key, public_key = _key(intent)
        require_own(self._worker, call.path, key)
        scope, tenant, origin = await require_tenant(
            self._tenants, call
        )  # it may be looked up: not for who has signed nothing
        if intent.name in _LOGINS and not (scope.plain_login or call.sealed):
            raise Refusal(errors.SEALED_LOGIN_REQUIRED)
        with intent_rules():
            self._take(intent)
        envelope: dict[str, Any] = body["intent"]
        return Caller(scope, tenant, origin, intent, key, public_key, envelope), body

    def _take(self, intent: VerifiedIntent) -> None:
        if intent.name in _READ_ONLY:
            return
        now_s = self._clock.now_s()
        while self._used and next(iter(self._used.values())) < now_s:
            self._used.popitem(last=False)
        if intent.replay_id in self._used:
            raise IntentError("intent-replayed")
        if len(self._used) >= limits.MAX_INTENTS_REMEMBERED:
            raise Refusal(errors.BUSY)
        self._used[intent.replay_id] = max(intent.forget_at_s, next(reversed(self._used.values()), 0))


@contextmanager
def intent_rules() -> Iterator[None]:
    """Turns refusals of formats and rules into the endpoint error of the wire, with the original's words."""
    try:
        yield
    except IntentError as error:
        raise Refusal(errors.ENDPOINT_ERROR, error.cause) from None
    except EvmError as error:
        raise Refusal(errors.ENDPOINT_ERROR, f"intent is invalid: {error.code}") from None


def _key(intent: VerifiedIntent) -> tuple[Key, bytes]:
    """The session key, and its compressed point: of secp256k1 it is in the signature, which was verified."""
    session = intent.session
    if session.curve is Curve.P256:
        parity = b"\x03" if session.key[-1] & 1 else b"\x02"
        return Key(P256, "0x04" + session.key.hex()), parity + session.key[:32]
    signature = bytes.fromhex(intent.signature[2:])
    digest = PersonalMessage(intent.signed_hash, None).digest
    public = curve.recover(signature[:64], signature[64] % 27, digest)
    return Key(SECP256K1, "0x" + session.key.hex()), public


def session_id(device: str) -> str:
    """The session id of a device key's text, as browsers write it."""
    key_type, _, address = device.partition(":")
    if key_type == P256:
        return "0x01" + address[2:]
    return checksum(address_from_bytes(bytes.fromhex(address[2:])))


def device_of(session: SessionKey) -> str:
    """The device key's text of a session id."""
    if session.curve is Curve.P256:
        return f"{P256}:0x04{session.key.hex()}"
    return f"{SECP256K1}:0x{session.key.hex()}"


class Order:
    """Rising numbers for signatures that no client numbers; a restart goes on above, by the trusted clock."""

    def __init__(self, clock: TrustedClock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        """A number above all before."""
        self._last = max(self._last + 1, self._clock.now_ms() * 1000)
        return self._last
