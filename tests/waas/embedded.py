"""A tenant with embedded wallets, and applications that call it as published clients do."""

import json
from collections.abc import Mapping
from typing import Any

from evm.address import Address, parse_address
from evm.intents.canonical import intent_hashes
from evm.keccak import keccak256
from evm.wallet.context import DEFAULT_CONTEXT
from evm.wallet.deploy import parse_erc6492
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import MessagePayload
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover
from protocol.frames import Request
from tests.appliance import ORIGIN, World, config_json
from tests.evm_intents.samples import K1Key, Key

ACCESS_KEY, OTHER_ACCESS_KEY = "access-key-one", "access-key-two"
CHAIN = 137
SERVICE = "/rpc/WaasAuthenticator"
TEMPLATE = {"recovery": [{"key": "identity", "delay_s": 30 * 86_400}]}


def embedded(**changes: Any) -> dict[str, Any]:
    facts = {"project_id": 123, "access_keys": [ACCESS_KEY], "guest_login": True}
    return facts | {"chains": [{"id": CHAIN, "name": "polygon"}]} | changes


def scopes(**changes: Any) -> list[dict[str, Any]]:
    """The scopes of the tests, each with embedded wallets; `changes` are those of the first."""
    first, second = config_json()["scopes"]
    common = {"rights": ["sign_payload"], "wallet": TEMPLATE, "email_code": "digits"}
    return [
        first | common | {"embedded": embedded()} | changes,
        second | common | {"embedded": embedded(project_id=7, access_keys=[OTHER_ACCESS_KEY])},
    ]


class Application:
    """One device's session with the service."""

    def __init__(self, world: World, key: Key | None = None, access_key: str = ACCESS_KEY) -> None:
        self.world = world
        self.key = key or K1Key()
        self.headers = {"content-type": "application/json", "x-access-key": access_key, "origin": ORIGIN}
        self.wallet = ""

    def intent(self, name: str, data: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        now_s = self.world.clock.wall_ms() // 1000
        value = {
            "version": "1",
            "name": name,
            "issuedAt": now_s,
            "expiresAt": now_s + 300,
            "data": dict(data),
        } | changes
        signature = {"sessionId": self.key.id, "signature": self.key.sign(intent_hashes(value)[0])}
        return {**value, "signatures": [signature]}

    async def call(self, method: str, body: Any) -> dict[str, Any]:
        """The JSON that came back, a refusal or a result."""
        request = Request(1, f"POST {SERVICE}/{method}", self.headers, json.dumps(body).encode())
        answer = await self.world.enclave.answer(request)
        value: dict[str, Any] = json.loads(answer.body)
        return value

    async def send(self, name: str, data: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """`code` and `data` of an answer, or the refusal."""
        answer = await self.call("SendIntent", {"intent": self.intent(name, data or {}, **changes)})
        return answer.get("response", answer)  # type: ignore[no-any-return]

    async def of_wallet(self, name: str, **data: Any) -> dict[str, Any]:
        return await self.send(name, {"wallet": self.wallet, **data})

    async def begin(self, kind: str, verifier: str) -> dict[str, Any]:
        return await self.send("initiateAuth", {"sessionId": self.key.id, "identityType": kind, "verifier": verifier})

    async def open(self, kind: str, verifier: str, answer: str) -> dict[str, Any]:
        data = {"sessionId": self.key.id, "identityType": kind, "verifier": verifier, "answer": answer}
        return await self.call("RegisterSession", {"intent": self.intent("openSession", data), "friendlyName": "phone"})

    async def sign_in_as_guest(self) -> dict[str, Any]:
        begun = await self.begin("Guest", self.key.id)
        opened = await self.open("Guest", self.key.id, hash_text(begun["data"]["challenge"] + self.key.id))
        self.wallet = opened["response"]["data"]["wallet"]
        return opened

    async def sign_in_by_mail(self, address: str) -> dict[str, Any]:
        verifier = f"{address};{self.key.id}"
        begun = await self.begin("Email", verifier)
        code = self.world.mailer.last_code()
        opened = await self.open("Email", verifier, hash_text(begun["data"]["challenge"] + code))
        self.wallet = opened["response"]["data"]["wallet"]
        return opened


def hash_text(text: str) -> str:
    return "0x" + keccak256(text.encode()).hex()


def verify_message(wallet: str, chain_id: int, preimage: bytes, signature: str) -> None:
    """As a verifier of ERC-6492 does: the signature's wallet is this one, and its signers signed the message."""
    address = Address(parse_address(wallet))
    inner, _ = parse_erc6492(bytes.fromhex(signature[2:]))
    operation = Operation(MessagePayload(preimage), address, chain_id)
    recovered = recover(parse_signature(inner), operation, KnownContracts(chain_id))
    assert recovered.weight >= recovered.threshold
    assert DEFAULT_CONTEXT.wallet_address(recovered.image_hash) == address
