"""What a call does in the words of effects: so whoever signs and whoever guards say the same about the same call."""

from dataclasses import dataclass
from typing import Final

from evm.address import Address
from evm.effects.call import FUNCTIONS, SELECTOR_BYTES, Call, Walk, read_call
from evm.effects.effect_words import NO_NAMES, sentence
from evm.effects.model import Effect, Kind, Reason, all_effects
from evm.effects.reading import NO_TOKENS
from evm.errors import EvmError

MAX_SENTENCES: Final = 16  # what follows is counted


@dataclass(frozen=True, slots=True)
class CallWords:
    """`understood`: whether that holds for all of it. Without sentences, the arguments are no such function's."""

    function: str
    understood: bool
    sentences: tuple[str, ...]


def call_words(to: Address, data: bytes, sender: Address, chain_id: int) -> CallWords | None:
    """What a call of `sender` does, but for coins that go along; None for a function that is in no table."""
    function = FUNCTIONS.get(data[:SELECTOR_BYTES])
    if function is None:
        return None
    try:
        effects = read_call(Call(Walk(NO_TOKENS), chain_id, sender, to, 0, data))
    except EvmError:  # more effects than anybody takes in
        return None
    if any(effect.reason is Reason.ENCODING for effect in effects):
        return CallWords(function.name, False, ())
    understood = all(effect.kind is not Kind.UNKNOWN for effect in all_effects(effects))
    return CallWords(function.name, understood, tuple(_sentences(effects)))


def _sentences(effects: tuple[Effect, ...]) -> list[str]:
    lines = [sentence(effect, NO_NAMES) for effect in all_effects(effects)]
    more = len(lines) - MAX_SENTENCES
    return lines if more <= 0 else [*lines[:MAX_SENTENCES], f"and {more} MORE"]
