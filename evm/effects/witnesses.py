"""What a contract is told beside a transfer that Permit2 is shown: the witness, of a type of the contract's own.

Whoever may spend obeys the witness, which can name anybody. So one that is in no table is unknown, however well the
spender is known.
"""

from collections.abc import Iterable
from typing import Final

from evm.effects.call import Call
from evm.effects.fields import Fields
from evm.effects.model import Effect, Kind, Reason

# UniswapX: the orders of its reactors, and where each says who is paid.
_OUTPUTS: Final = {
    "LimitOrder": "outputs",
    "DutchOrder": "outputs",
    "ExclusiveDutchOrder": "outputs",
    "PriorityOrder": "outputs",
    "V2DutchOrder": "baseOutputs",
    "V3DutchOrder": "baseOutputs",
}


def read_witness(call: Call, fields: Fields, name: str, type_: str) -> Iterable[Effect]:
    """Who else is paid out of the transfer in `fields`, whose member `name` is the witness."""
    if type_ not in _OUTPUTS:
        return [call.unknown(Reason.TYPED_DATA, function=f"{call.function} with a witness")]
    return [
        call.effect(
            Kind.TRANSFER,
            counterparty=output.address("recipient"),
            asset=call.asset("erc20", token=output.address("token")),
            expires_s=fields.number("deadline"),
        )
        for output in fields.struct(name).structs(_OUTPUTS[type_])
        if output.address("recipient") != call.sender
    ]
