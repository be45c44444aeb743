"""A user with a smart wallet, the guard beside them, and what both send."""

from dataclasses import dataclass, field
from typing import Any

import coincurve
import pytest

from evm.address import Address, address_from_public_key, checksum, parse_address
from evm.keccak import keccak256
from evm.signature import Signature, parse_recoverable
from evm.wallet.configuration import Configuration
from evm.wallet.configuration_json import parse_configuration
from evm.wallet.operation_hash import Operation
from evm.wallet.payload_json import parse_payload
from evm.wallet.signature.contracts import NoContracts
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import key_signature
from evm.wallet.signature.merging import assemble, merge
from evm.wallet.signature.signature_json import parse_leaf_signature
from evm.wallet.signature.verifying import verify_signature
from tests.appliance import SCOPE, Client, Refused, World, config_json

DAY = 86_400
GUARD, GUARD_OF_SESSIONS, FALLBACK, DEVICE, STRANGER = (
    coincurve.PrivateKey(keccak256(name.encode())) for name in ("guard", "sessions", "fallback", "device", "stranger")
)
ALL_RIGHTS = ["sign_payload", "update_wallet", "attest_session", "recover_wallet", "sign_legacy_wallet"]
TOKEN = Address(b"\x70" * 20)
CHAIN_ID = 137


def address_of(key: coincurve.PrivateKey) -> Address:
    return address_from_public_key(key.public_key.format(compressed=False))


def sign(key: coincurve.PrivateKey, digest: bytes) -> Signature:
    return parse_recoverable(key.sign_recoverable(digest, hasher=None))


def template(**changes: Any) -> dict[str, Any]:
    keys = {"wallet": GUARD, "sessions": GUARD_OF_SESSIONS, "fallback": FALLBACK}
    return {
        "guard": {name: checksum(address_of(key)) for name, key in keys.items()},
        "recovery": [{"key": "device", "delay_s": 30 * DAY}, {"key": "identity", "delay_s": 90 * DAY}],
    } | changes


def wallet_scopes(**changes: Any) -> list[dict[str, Any]]:
    first, second = config_json()["scopes"]
    return [
        first | {"rights": [*first["rights"], *ALL_RIGHTS], "wallet": template(**changes)},
        second | {"rights": ["sign_message"], "wallet": template(guard=None)},
    ]


def call(to: Address = TOKEN, **changes: Any) -> dict[str, Any]:
    return {
        "to": checksum(to),
        "value": "0",
        "data": "0x",
        "gasLimit": "0",
        "delegateCall": False,
        "onlyFallback": False,
        "behaviorOnError": "revert",
    } | changes


def calls(*listed: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"type": "call", "space": "0", "nonce": "0", "calls": list(listed)} | changes


def word(value: int | bytes) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def transfer(to: Address, amount: int) -> str:
    return "0xa9059cbb" + word(to).hex() + word(amount).hex()


def permissions(signer: Address, *, deadline: int, **changes: Any) -> dict[str, Any]:
    """A session that may transfer 500 of the token in all."""
    selector = {
        "cumulative": False,
        "operation": 0,
        "value": "0xa9059cbb" + "00" * 28,
        "offset": "0",
        "mask": "0xffffffff" + "00" * 28,
    }
    amount = {
        "cumulative": True,
        "operation": 3,
        "value": "0x" + word(500).hex(),
        "offset": "36",
        "mask": "0x" + "ff" * 32,
    }
    return {
        "signer": checksum(signer),
        "chainId": str(CHAIN_ID),
        "valueLimit": "0",
        "deadline": str(deadline),
        "permissions": [{"target": checksum(TOKEN), "rules": [selector, amount]}],
    } | changes


async def refused(coroutine: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await coroutine
    return caught.value


def handed_over(key: coincurve.PrivateKey, digest: str | bytes) -> dict[str, Any]:
    """A leaf signature in the library's form, over an operation hash."""
    by = sign(key, bytes.fromhex(digest[2:]) if isinstance(digest, str) else digest)
    r, s = ("0x" + number.to_bytes(32, "big").hex() for number in (by.r, by.s))
    signature = {"type": "hash", "r": r, "s": s, "yParity": by.y_parity}
    return {"address": checksum(address_of(key)), "signature": signature}


@dataclass
class SmartUser:
    """A logged-in client, its session, and the answer with which its wallet was made."""

    world: World
    client: Client
    session: str
    created: dict[str, Any] = field(default_factory=dict)
    signer: str = ""

    @classmethod
    async def logged_in(
        cls, world: World, email: str = "user@example.com", *, scope: str = SCOPE, **options: Any
    ) -> "SmartUser":
        client = Client(world, **options)
        signer = (await world.log_in(client, email))["signer"]["address"]
        return cls(world, client, (await client.session())["session"], signer=signer)

    @classmethod
    async def with_wallet(cls, world: World, email: str = "user@example.com", **options: Any) -> "SmartUser":
        user = await cls.logged_in(world, email, **options)
        user.created = await user.ask("Create", device=checksum(address_of(DEVICE)))
        return user

    @property
    def wallet(self) -> Address:
        return parse_address(self.created["address"])

    async def ask(self, method: str, **members: Any) -> dict[str, Any]:
        return await self.client.own(f"/rpc/Wallet/{method}", session=self.session, **members)

    async def configuration(self) -> Configuration:
        return parse_configuration((await self.ask("Configuration"))["configuration"])

    async def sign_payload(self, payload: dict[str, Any], chain_id: int = CHAIN_ID, **members: Any) -> dict[str, Any]:
        return await self.ask("SignPayload", chainId=chain_id, payload=payload, **members)

    def operation(self, payload: dict[str, Any], chain_id: int = CHAIN_ID) -> Operation:
        parsed: Any = parse_payload(payload)
        return Operation(parsed, self.wallet, chain_id, no_chain_id=chain_id == 0)

    async def update(self, method: str, **members: Any) -> dict[str, Any]:
        """Both steps of an update, the guard's signature, and the confirmation; the last answer."""
        described = await self.ask(method, **members)
        signed = await self.ask(method, **members, imageHash=described["imageHash"])
        whole = await self.with_guard(signed["update"])
        return await self.ask("ConfirmUpdate", imageHash=described["imageHash"], signature=whole)

    async def with_guard(self, answer: dict[str, Any]) -> str:
        """The answer's partial signature and the guard's, in one; made from leaf signatures, as clients do."""
        configuration = await self.configuration()
        theirs = parse_leaf_signature(answer["leaf"])
        digest = bytes.fromhex(answer["digest"][2:])
        guard = key_signature(address_of(GUARD), sign(GUARD, digest))
        operation = Known(digest)
        signature = assemble(configuration, operation, [theirs, guard])  # type: ignore[arg-type]
        if bytes.fromhex(answer["partial"][2:])[0] & 0x02:
            signature = type(signature)(
                **{name: getattr(signature, name) for name in signature.__slots__} | {"no_chain_id": True}
            )
        return "0x" + encode_signature(signature).hex()


@dataclass
class Known:
    """An operation of which a co-signer knows the hash alone."""

    digest: bytes
    any_address_digest: bytes = bytes(32)
    no_chain_id: bool = False


def verify(data: str, operation: Operation, configuration: Configuration) -> None:
    """As the wallet's contract does."""
    verify_signature(bytes.fromhex(data[2:]), operation, configuration.image_hash, NoContracts())


def merged(configuration: Configuration, operation: Operation, *partial: str) -> str:
    return "0x" + merge(configuration, operation, [bytes.fromhex(data[2:]) for data in partial]).hex()


def partial_of(key: coincurve.PrivateKey, configuration: Configuration, operation: Operation) -> str:
    leaf = key_signature(address_of(key), sign(key, operation.digest))
    return "0x" + encode_signature(assemble(configuration, operation, [leaf])).hex()
