"""A request as a file for dry runs: what would be signed, by which wallet, when. No key and no signature is in it.

`{"wallet", "nowS", "scope"?, "session"?}` and one of `transaction`, `message`, `typedData`, `authorization`,
`attestation`, `payload` or `userOperation`; the last two with `chainId`. Each value is what the signing methods take.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from enclave.guard.conditions import Circumstances
from enclave.guard.limits import MAX_REQUEST_BYTES
from evm.address import Address, parse_address
from evm.authorization import MAX_CHAIN_ID, parse_authorization
from evm.effects import (
    Effect,
    Tokens,
    effects_of_attestation,
    effects_of_authorization,
    effects_of_message,
    effects_of_payload,
    effects_of_transaction,
    effects_of_typed_data,
    effects_of_user_operation,
)
from evm.errors import EvmError
from evm.fields import members
from evm.message import parse_message
from evm.transaction import parse_transaction
from evm.typed_data import parse_typed_data
from evm.wallet.attestation import attestation_from_json
from evm.wallet.payload_json import parse_payload
from evm.wallet.user_operation import parse_user_operation
from evm.wallet.values import parse_decimal
from protocol import canonical_json
from protocol.errors import ProtocolError

_Reader: TypeAlias = Callable[[Any, Address, int, Tokens], tuple[Effect, ...]]
_KINDS: Final[Mapping[str, _Reader]] = {
    "transaction": lambda value, wallet, _, tokens: effects_of_transaction(parse_transaction(value), wallet, tokens),
    "message": lambda value, wallet, _, tokens: effects_of_message(parse_message(value), wallet, tokens),
    "typedData": lambda value, wallet, _, tokens: effects_of_typed_data(parse_typed_data(value), wallet, tokens),
    "authorization": lambda value, wallet, _, tokens: effects_of_authorization(
        parse_authorization(value), wallet, tokens
    ),
    "attestation": lambda value, wallet, _, tokens: effects_of_attestation(
        attestation_from_json(value), wallet, tokens
    ),
    "payload": lambda value, wallet, chain, tokens: effects_of_payload(parse_payload(value), wallet, chain, tokens),
    "userOperation": lambda value, wallet, chain, tokens: effects_of_user_operation(
        parse_user_operation(value, wallet), chain, tokens
    ),
}
_ON_A_CHAIN: Final = ("payload", "userOperation")
_CODE: Final = "guard-request"


@dataclass(frozen=True, slots=True)
class Request:
    """What would be judged."""

    effects: tuple[Effect, ...]
    about: Circumstances


def parse_request(data: bytes, tokens: Tokens) -> Request:
    """The request in a file; `EvmError` for anything that is not one, with the code of the rule that it breaks."""
    try:
        value = canonical_json.parse(data, max_bytes=MAX_REQUEST_BYTES)
    except ProtocolError:
        raise EvmError(_CODE) from None
    found = members(value, required=("wallet", "nowS"), optional=("scope", "session", "chainId", *_KINDS), code=_CODE)
    named = [kind for kind in _KINDS if kind in found]
    if len(named) != 1 or ("chainId" in found) is not (named[0] in _ON_A_CHAIN):
        raise EvmError(_CODE)
    texts = [found.get(name, "") for name in ("scope", "session")]
    if not all(isinstance(text, str) for text in texts):
        raise EvmError(_CODE)
    wallet = parse_address(found["wallet"])
    chain_id = parse_decimal(found.get("chainId", 0), _CODE, most=MAX_CHAIN_ID)
    effects = _KINDS[named[0]](found[named[0]], wallet, chain_id, tokens)
    return Request(effects, Circumstances(wallet, parse_decimal(found["nowS"], _CODE), *texts))
