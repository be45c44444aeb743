"""Effects as JSON, and back: for answers, and for the log of decisions that a new rule document is tried on.

Members that have nothing to say are left out. Integers are decimal text, an asset is `native`, `erc20:0x…` or
`erc721:0x…:id`. Reading is strict: unknown members, other spellings and trees that are too large are refused.
"""

import re
from typing import Any, Final

from evm.address import Address, checksum, parse_address
from evm.effects.model import COIN, MAX_DEPTH, MAX_EFFECTS, Asset, Effect, Kind, Reason
from evm.errors import EvmError
from evm.fields import UINT256_MAX, hex_bytes, items, members

_CODE: Final = "effects-json"
_REQUIRED: Final = ("kind", "chainId", "account")
_OPTIONAL: Final = (
    "contract",
    "selector",
    "function",
    "counterparty",
    "asset",
    "amount",
    "expiresS",
    "signed",
    "conditional",
    "site",
    "reason",
    "effects",
)
_ASSET: Final = re.compile(r"(erc20|erc721|erc1155|token):(0x[0-9a-fA-F]{40})(?::(0|[1-9][0-9]{0,77}))?\Z")
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,154})\Z")
_MAX_AMOUNT: Final = 2**512  # a fee is a product of two words
_MAX_TEXT: Final = 512
# A container adds a level of its own to each level of calls.
_MAX_LEVELS: Final = 2 * MAX_DEPTH + 4


def effect_to_json(effect: Effect) -> dict[str, Any]:
    """The effect and all that it contains."""
    found: dict[str, Any] = {
        "kind": effect.kind.value,
        "chainId": str(effect.chain_id),
        "account": checksum(effect.account),
        "contract": None if effect.contract is None else checksum(effect.contract),
        "selector": "0x" + effect.selector.hex() if effect.selector else None,
        "function": effect.function or None,
        "counterparty": None if effect.counterparty is None else checksum(effect.counterparty),
        "asset": None if effect.asset is None else asset_to_text(effect.asset),
        "amount": None if effect.amount is None else str(effect.amount),
        "expiresS": None if effect.expires_s is None else str(effect.expires_s),
        "signed": effect.signed or None,
        "conditional": effect.conditional or None,
        "site": effect.site or None,
        "reason": None if effect.reason is None else effect.reason.value,
        "effects": [effect_to_json(inner) for inner in effect.effects] or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def effects_from_json(value: object) -> tuple[Effect, ...]:
    """The effects in a JSON array; `EvmError("effects-json")` otherwise."""
    return _Reader().effects(value, 0)


def asset_to_text(asset: Asset) -> str:
    """`native`, `erc20:0x…`, or with an item `erc721:0x…:7`."""
    if asset.contract is None:
        return asset.standard
    item = "" if asset.id is None else f":{asset.id}"
    return f"{asset.standard}:{checksum(asset.contract)}{item}"


def asset_from_text(text: object) -> Asset:
    """The asset in its text form; `EvmError("effects-json")` otherwise."""
    if text == COIN.standard:
        return COIN
    match = _ASSET.match(text) if isinstance(text, str) else None
    if match is None or (match[3] is not None and (match[1] in ("erc20", "token") or int(match[3]) > UINT256_MAX)):
        raise EvmError(_CODE)
    id_ = None if match[3] is None else int(match[3])
    return Asset(match[1], parse_address(match[2], _CODE), id_)  # type: ignore[arg-type]  # the expression's choices


class _Reader:
    """Counts effects while it reads them."""

    def __init__(self) -> None:
        self._left = MAX_EFFECTS

    def effects(self, value: object, depth: int) -> tuple[Effect, ...]:
        if depth > _MAX_LEVELS:
            raise EvmError(_CODE)
        return tuple([self._effect(item, depth) for item in items(value, most=MAX_EFFECTS, code=_CODE)])

    def _effect(self, value: object, depth: int) -> Effect:
        self._left -= 1
        if self._left < 0:
            raise EvmError(_CODE)
        found = members(value, required=_REQUIRED, optional=_OPTIONAL, code=_CODE)
        try:
            kind = Kind(found["kind"])
            reason = Reason(found["reason"]) if "reason" in found else None
        except ValueError:
            raise EvmError(_CODE) from None
        return Effect(
            kind=kind,
            chain_id=_number(found["chainId"], UINT256_MAX),
            account=parse_address(found["account"], _CODE),
            contract=_address(found, "contract"),
            selector=hex_bytes(found.get("selector", "0x"), _CODE, most=4),
            function=_text(found, "function"),
            counterparty=_address(found, "counterparty"),
            asset=asset_from_text(found["asset"]) if "asset" in found else None,
            amount=_number(found["amount"], _MAX_AMOUNT) if "amount" in found else None,
            expires_s=_number(found["expiresS"], UINT256_MAX) if "expiresS" in found else None,
            signed=_flag(found, "signed"),
            conditional=_flag(found, "conditional"),
            site=_text(found, "site"),
            reason=reason,
            effects=self.effects(found.get("effects", []), depth + 1),
        )


def _number(value: object, most: int) -> int:
    if not isinstance(value, str) or not _DECIMAL.match(value) or int(value) > most:
        raise EvmError(_CODE)
    return int(value)


def _address(found: dict[str, Any], name: str) -> Address | None:
    return parse_address(found[name], _CODE) if name in found else None


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name, "")
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise EvmError(_CODE)
    return value


def _flag(found: dict[str, Any], name: str) -> bool:
    value = found.get(name, False)
    if not isinstance(value, bool):
        raise EvmError(_CODE)
    return value
