"""What the enclave hands to the parent instance to bring onto a chain, on `SERVICES_PORT` like `protocol.services`.

    relay.send     [chain id, id, wallet, [[to, data], ...], [to, data], quote | null]   -> status
    relay.fees     the same, unsigned                                     -> [options as JSON text, quote | null]
    relay.status   [chain id, id]                                         -> status, or 404 for one never taken
    status         [state, tx hash | null, succeeded | null, receipt as JSON text | null]

`id` is the digest that the wallet's signers signed, so an operation is known by what it does. It has several forms:
the wallet's own call, for each configuration that a chain may know of it, and the one that creates the wallet first;
whoever relays looks which of them applies. All of it is public and signed: a host can delay it, drop it, or lie.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from protocol import cbor, limits
from protocol.errors import ProtocolError

RELAY_SEND: Final = "relay.send"
RELAY_FEES: Final = "relay.fees"
RELAY_STATUS: Final = "relay.status"
WOULD_REVERT_STATUS: Final = 422
BUSY_STATUS: Final = 423
State = Literal["pending", "mined", "final"]
_STATES: Final = get_args(State)
MAX_FORMS: Final = 2
"""For a chain that knows the newest configuration of a wallet, and for one that knows its first."""
_ID_BYTES: Final = 32
_ADDRESS_BYTES: Final = 20
_MAX_CHAIN_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ChainCall:
    """A contract (20 bytes) and the call data for it."""

    to: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Relayed:
    """An operation of a wallet, signed. `id` has 32 bytes, `wallet` 20."""

    chain_id: int
    id: bytes
    wallet: bytes
    execute: tuple[ChainCall, ...]
    create_and_execute: ChainCall
    quote: str | None = None
    """The relayer's, if it is paid by one of the calls."""


@dataclass(frozen=True, slots=True)
class RelayFees:
    """What a relay would take for an operation, by the host's word: a list in JSON, and the relayer's quote."""

    options: str
    quote: str | None = None


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """How far it is, by the host's word. `receipt` is the node's JSON, as text."""

    state: State
    tx_hash: str | None = None
    succeeded: bool | None = None
    receipt: str | None = None


def encode_relayed(relayed: Relayed) -> bytes:
    execute = [[call.to, call.data] for call in relayed.execute]
    create = [relayed.create_and_execute.to, relayed.create_and_execute.data]
    return cbor.dumps([relayed.chain_id, relayed.id, relayed.wallet, execute, create, relayed.quote])


def decode_relayed(body: bytes) -> Relayed:
    match cbor.loads(body, max_bytes=limits.MAX_FRAME_BYTES):
        case [int(chain_id), bytes(id_), bytes(wallet), list(execute), create, str() | None as quote]:
            _check(chain_id, id_)
            if len(wallet) == _ADDRESS_BYTES and 1 <= len(execute) <= MAX_FORMS and _is_quote(quote):
                return Relayed(chain_id, id_, wallet, tuple(map(_call, execute)), _call(create), quote)
    raise ProtocolError("relaying-shape")


def encode_question(chain_id: int, id_: bytes) -> bytes:
    return cbor.dumps([chain_id, id_])


def decode_question(body: bytes) -> tuple[int, bytes]:
    match cbor.loads(body):
        case [int(chain_id), bytes(id_)]:
            _check(chain_id, id_)
            return chain_id, id_
    raise ProtocolError("relaying-shape")


def encode_fees(fees: RelayFees) -> bytes:
    return cbor.dumps([fees.options, fees.quote])


def decode_fees(body: bytes) -> RelayFees:
    match cbor.loads(body, max_bytes=limits.MAX_FRAME_BYTES):
        case [str(options), str() | None as quote] if len(options.encode()) <= limits.MAX_FEE_OPTIONS_BYTES:
            if _is_quote(quote):
                return RelayFees(options, quote)
    raise ProtocolError("relaying-shape")


def encode_status(status: RelayStatus) -> bytes:
    return cbor.dumps([status.state, status.tx_hash, status.succeeded, status.receipt])


def decode_status(body: bytes) -> RelayStatus:
    match cbor.loads(body, max_bytes=limits.MAX_FRAME_BYTES):
        case [str(state), str() | None as tx_hash, bool() | None as succeeded, str() | None as receipt]:
            if state in _STATES and _is_hash(tx_hash):
                return RelayStatus(state, tx_hash, succeeded, receipt)  # type: ignore[arg-type]  # one of the three
    raise ProtocolError("relaying-shape")


def _check(chain_id: int, id_: bytes) -> None:
    if type(chain_id) is not int or not 0 < chain_id <= _MAX_CHAIN_ID or len(id_) != _ID_BYTES:
        raise ProtocolError("relaying-shape")


def _call(item: Any) -> ChainCall:
    match item:
        case [bytes(to), bytes(data)] if len(to) == _ADDRESS_BYTES and len(data) <= limits.MAX_RELAY_REQUEST_BYTES:
            return ChainCall(to, data)
    raise ProtocolError("relaying-shape")


def _is_quote(quote: str | None) -> bool:
    return quote is None or len(quote.encode()) <= limits.MAX_FEE_QUOTE_BYTES


def _is_hash(text: str | None) -> bool:
    return text is None or (len(text) == 2 + 2 * _ID_BYTES and text.startswith("0x") and text[2:].isalnum())
