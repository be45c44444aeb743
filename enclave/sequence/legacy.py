"""Legacy: a user's wallet of the second generation, whose one signer is a parent that the login's key signs for.

Only to keep serving wallets that exist: their address, and signatures for what they do. Digests of that generation say
nothing about what they are, so each is computed here from what was asked, and nothing approves of configurations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from evm.address import Address, checksum, parse_address
from evm.calldata import understand
from evm.delegations.delegation_type import is_delegation
from evm.errors import EvmError
from evm.fields import hex_bytes, hex_word, items, members
from evm.message import parse_message
from evm.typed_data import parse_typed_data
from evm.wallet.errors import require
from evm.wallet.legacy.digests import LegacyCall, bundle_digest, bundle_nonce, subdigest
from evm.wallet.legacy.embedded import embedded_address, embedded_configuration, parent_subdigest, unique_signer
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.payload import MAX_PAYLOAD_BYTES
from evm.wallet.values import parse_bool, parse_decimal, to_hex
from protocol import limits

WHOSE: Final = frozenset({"parent", "user", "userSalt"})
SOURCES: Final = frozenset({"transactions", "message", "typedData"})

_CODE: Final = "wallet-legacy"
_CALL_FIELDS: Final = ("to", "value", "data", "gasLimit", "delegateCall", "revertOnError")


@dataclass(frozen=True, slots=True)
class LegacyWallet:
    """A user's wallet under a parent. Whether the login's key signs for that parent, its contract knows."""

    parent: Address
    unique: Address

    @property
    def configuration(self) -> V2Configuration:
        """The parent with weight 1, and an address with weight 0 that makes the wallet the user's own."""
        return embedded_configuration(self.parent, self.unique)

    @property
    def address(self) -> Address:
        """Where the wallet is."""
        return embedded_address(self.configuration)

    def described(self) -> dict[str, Any]:
        """The wallet in JSON and in words."""
        leaves = [(self.parent, 1), (self.unique, 0)]
        return {
            "legacy": True,
            "wallet": checksum(self.address),
            "parent": checksum(self.parent),
            "imageHash": to_hex(self.configuration.image_hash),
            "threshold": 1,
            "checkpoint": 0,
            "signers": [{"address": checksum(address), "weight": weight} for address, weight in leaves],
            "words": [
                f"LEGACY: the wallet {checksum(self.address)}, of the second generation",
                f"The parent wallet {checksum(self.parent)} alone acts for it",
            ],
        }


@dataclass(frozen=True, slots=True)
class LegacyAsked:
    """What the wallet is to approve of. `digest` is the wallet's own, not yet bound to anything."""

    wallet: LegacyWallet
    chain_id: int
    digest: bytes
    understood: dict[str, Any]

    @property
    def signed_digest(self) -> bytes:
        """What the login's key signs, as a signer of the parent."""
        return parent_subdigest(self.chain_id, self.wallet.parent, self.wallet.address, self.digest)

    def described(self) -> dict[str, Any]:
        """The digests on the way."""
        return {
            "legacy": True,
            "wallet": checksum(self.wallet.address),
            "parent": checksum(self.wallet.parent),
            "subdigest": to_hex(subdigest(self.chain_id, self.wallet.address, self.digest)),
            "digest": to_hex(self.signed_digest),
            "understood": self.understood,
        }


def parse_legacy_wallet(params: dict[str, Any]) -> LegacyWallet:
    """From `parent`, `user` (the tenant's name for the user) and `userSalt`."""
    user = params.get("user")
    require(isinstance(user, str) and bool(user), f"{_CODE}-user")
    salt = hex_word(params.get("userSalt"), f"{_CODE}-salt")
    return LegacyWallet(parse_address(params.get("parent")), unique_signer(str(user), salt))


def parse_legacy(params: dict[str, Any], second: ModuleType) -> LegacyAsked:
    """The wallet, `chainId`, and one of `transactions`, `message`, `typedData`; `EvmError` otherwise."""
    wallet = parse_legacy_wallet(params)
    named = [name for name in sorted(SOURCES) if params.get(name) is not None]
    require(len(named) == 1, f"{_CODE}-source")
    # Chain 0 is how this generation approves of configurations; nothing else is signed for every chain.
    chain_id = parse_decimal(params.get("chainId"), "wallet-chain-id")
    require(chain_id > 0, "wallet-chain-id")
    digest, understood = _PARSERS[named[0]](params[named[0]], wallet, chain_id, second)
    words = [*understood["words"], f"In the name of the LEGACY wallet {checksum(wallet.address)}, on chain {chain_id}"]
    return LegacyAsked(wallet, chain_id, digest, understood | {"words": words})


_Parsed = tuple[bytes, dict[str, Any]]


def _parse_transactions(value: object, wallet: LegacyWallet, chain_id: int, second: ModuleType) -> _Parsed:
    found = members(value, required=("space", "nonce", "calls"), code=_CODE)
    space, nonce = (parse_decimal(found[name], f"{_CODE}-nonce") for name in ("space", "nonce"))
    listed = items(found["calls"], most=limits.MAX_WALLET_CALLS, code="wallet-calls-count")
    calls = tuple(map(_parse_call, listed))
    for call in calls:
        require(not call.delegate_call, "wallet-call-delegate")
        # A call of a wallet to itself, or of its parent, changes who acts for it.
        require(call.target not in (wallet.address, wallet.parent) or not call.data, "wallet-call-self")
    number = bundle_nonce(space, nonce)
    digest = bundle_digest(calls, number)
    second.check_legacy_bundle(calls, number, digest)
    by = wallet.address
    effects = [understand(call.target, call.value, call.data, sender=by, chain_id=chain_id) for call in calls]
    words = [
        f"{number}. {effect.words}{'' if call.revert_on_error else ', and go on if it fails'}"
        for number, (call, effect) in enumerate(zip(calls, effects, strict=True), start=1)
    ]
    shown = [
        {"to": checksum(call.target), "value": str(call.value), "data": to_hex(call.data)} | effect.as_json()
        for call, effect in zip(calls, effects, strict=True)
    ]
    return digest, {"kind": "calls", "space": str(space), "nonce": str(nonce), "calls": shown, "words": words}


def _parse_call(value: object) -> LegacyCall:
    found = members(value, required=_CALL_FIELDS, code="wallet-call")
    return LegacyCall(
        target=parse_address(found["to"], "wallet-call-to"),
        value=parse_decimal(found["value"], "wallet-call-value"),
        data=hex_bytes(found["data"], "wallet-call-data", most=MAX_PAYLOAD_BYTES),
        gas_limit=parse_decimal(found["gasLimit"], "wallet-call-gas-limit"),
        delegate_call=parse_bool(found["delegateCall"], "wallet-call"),
        revert_on_error=parse_bool(found["revertOnError"], "wallet-call"),
    )


def _parse_message(value: object, _wallet: LegacyWallet, _chain_id: int, second: ModuleType) -> _Parsed:
    message = parse_message(value)
    second.check_message(message)
    return message.digest, message.understood()


def _parse_typed_data(value: object, _wallet: LegacyWallet, _chain_id: int, second: ModuleType) -> _Parsed:
    document = parse_typed_data(value)
    if not isinstance(value, dict):
        raise EvmError("typed-members")
    require(not is_delegation(document), f"{_CODE}-delegation")
    second.check_typed_data(document, value)
    return document.digest, document.understood()


_PARSERS: Final[Mapping[str, Callable[[Any, LegacyWallet, int, ModuleType], _Parsed]]] = {
    "transactions": _parse_transactions,
    "message": _parse_message,
    "typedData": _parse_typed_data,
}
