"""A guard that keeps second factors, its identity provider, and users whose wallets it guards."""

import base64
import hmac
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

from eth_account import Account as EthAccount

from attestation import channel
from attestation.channel import InnerRequest
from evm.address import Address, checksum, parse_address
from evm.keccak import keccak256
from evm.signature import parse_signature
from evm.wallet.configuration import Configuration
from evm.wallet.configuration_json import configuration_to_json
from evm.wallet.context import DEFAULT_CONTEXT
from evm.wallet.deploy import deploy_call, wrap_erc6492
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import Call, CallsPayload, MessagePayload
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import key_signature
from evm.wallet.signature.merging import assemble
from evm.wallet.topology import Branch, NestedLeaf, SignerLeaf
from simulator.authorization import RegisteredClient
from simulator.identity_provider import IdentityProvider
from tests.appliance import ISSUER, _tls_authority
from tests.enclave_guard.guard_rules import PAYROLL, STRANGER, USD
from tests.enclave_login.login_support import LoopbackEgress
from tests.evm_effects.made import calldata
from tests.guard_wire.guard_world import GuardWorld, RefusedByGuard, hash_signature, request_for

AUDIENCE: Final = "guard-client"
SETTINGS: Final = {"oidc": [{"issuer": ISSUER, "audience": AUDIENCE}], "plain": True}
_DOMAIN: Final = keccak256(
    keccak256(b"EIP712Domain(string name,string version,uint256 chainId)")
    + keccak256(b"Sequence Guard")
    + keccak256(b"1")
    + (1).to_bytes(32, "big")
)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def utc_text(time_s: int) -> str:
    """As `Date.toUTCString` writes it, with `UTC` for `GMT`."""
    at = time.gmtime(time_s)
    day = f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year}"
    return f"{day} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} UTC"


def update_message(time_s: int) -> bytes:
    """The preimage of `AuthUpdate`, written here by hand."""
    told = keccak256(keccak256(b"AuthUpdate(string timestamp)") + keccak256(utc_text(time_s).encode()))
    return b"\x19\x01" + _DOMAIN + told


def ownership_digest(wallet: Address, time_s: int) -> bytes:
    """The digest of `AuthMethods`, written here by hand."""
    kind = keccak256(b"AuthMethods(address wallet,string timestamp)")
    told = keccak256(kind + wallet.rjust(32, b"\0") + keccak256(utc_text(time_s).encode()))
    return keccak256(b"\x19\x01" + _DOMAIN + told)


def authenticator(seed: bytes, time_s: int) -> str:
    """What an authenticator app shows (RFC 6238), written here by hand."""
    mac = hmac.digest(seed, (time_s // 30).to_bytes(8, "big"), "sha1")
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def seed_of(uri: str) -> bytes:
    """The seed in an `otpauth` URI."""
    [secret] = parse_qs(urlsplit(uri).query)["secret"]
    return base64.b32decode(secret + "=" * (-len(secret) % 8))


class FactorWorld(GuardWorld):
    """A guard that keeps second factors."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        super().__init__(folder, **({"second_factors": SETTINGS} | changes))
        self.provider = IdentityProvider(
            ISSUER,
            [RegisteredClient(AUDIENCE, ("http://localhost:8080/callback",))],
            now_s=lambda: self.clock.wall_ms() // 1000,
        )

    async def ask_sealed(self, method: str, arguments: Any, service: str = "Guard", **headers: str) -> dict[str, Any]:
        """As `ask`, past the host."""
        key = self.enclave._dispatcher._channel.public_key  # type: ignore[union-attr]  it serves
        sent = {"content-type": "application/json"} | headers
        inner = InnerRequest(f"POST /rpc/{service}/{method}", sent, json.dumps(arguments).encode())
        body, exchange = channel.seal_request(key, inner, os.urandom(channel.REQUEST_ID_BYTES))
        answer = await self.raw(channel.PATH, body, {"content-type": channel.CONTENT_TYPE})
        opened = exchange.open_response(answer.body)
        found: dict[str, Any] = json.loads(opened.body)
        if opened.status != 200:
            raise RefusedByGuard(opened.status, found)
        return found

    def now_s(self) -> int:
        return self.clock.wall_ms() // 1000


W = TypeVar("W", bound=FactorWorld)


@asynccontextmanager
async def running(folder: Path, kind: type[W] = FactorWorld, **changes: Any) -> AsyncIterator[W]:  # type: ignore[assignment]
    """A booted guard with its provider; `changes` as for `guard_config`."""
    world = kind(folder, **changes)
    context = _tls_authority().issue("idp.example.test").server_context()
    async with await world.provider.serve("127.0.0.1", 0, context) as served:
        world.egress = LoopbackEgress({("idp.example.test", 443): served.port})
        await world.boot()
        try:
            yield world
        finally:
            await world.stop()


class Holder:
    """A user with a wallet of two: a login's key, and the guard."""

    def __init__(self, world: FactorWorld, guard: Address, subject: str, owner: Any) -> None:
        self.world = world
        self.guard = guard
        self.subject = subject
        self.owner = owner
        keys = Branch(SignerLeaf(parse_address(owner.address), 1), SignerLeaf(STRANGER, 0))
        self.configuration = Configuration(2, 0, Branch(NestedLeaf(keys, 1, 1), SignerLeaf(guard, 1)))
        self.wallet = DEFAULT_CONTEXT.wallet_address(self.configuration.image_hash)
        self.seed = b""
        self.codes: list[str] = []

    @classmethod
    async def registered(cls, world: FactorWorld, subject: str = "ada") -> Self:
        made = cls(world, await world.address(), subject, EthAccount.from_key(os.urandom(32)))
        await world.ask("Register", {"configuration": configuration_to_json(made.configuration)}, "GuardWallets")
        return made

    def token(self, **claims: Any) -> str:
        return self.world.provider.issue_token(self.subject, AUDIENCE, claims=claims)

    def bearer(self, token: str | None = None) -> dict[str, str]:
        return {"authorization": f"BEARER {token or self.token()}"}

    async def signed_update(self, factor: Any = None, *, guarded: bool = True, later_s: int = 1) -> dict[str, Any]:
        """A proof as published wallets make it: the login signs, the guard signs, ERC-6492 wraps both. A second later
        than the one before, for a second has one proof. `guarded=False`: without the guard's part.
        """
        await self.world.pass_time(later_s)
        time_ms = self.world.clock.wall_ms()
        request = self.update_request(time_ms)
        digest = bytes.fromhex(request["msg"][2:])
        leaves = [key_signature(parse_address(self.owner.address), self._own(digest))]
        if guarded:
            signed = await self.world.ask("SignWith", self._with(request, factor))
            leaves.append(key_signature(self.guard, parse_signature(bytes.fromhex(signed["sig"][2:]))))
        whole = encode_signature(assemble(self.configuration, _operation(self.wallet, time_ms // 1000), leaves))
        wrapped = wrap_erc6492(whole, deploy_call(DEFAULT_CONTEXT, self.configuration.image_hash))
        return {"timestamp": time_ms, "signature": "0x" + wrapped.hex(), "chainId": 1}

    def update_request(self, time_ms: int | None = None) -> dict[str, Any]:
        """What the wallet signs so that its factors may be changed, signed by its owner."""
        time_ms = self.world.clock.wall_ms() if time_ms is None else time_ms
        request = request_for(MessagePayload(update_message(time_ms // 1000)), wallet=self.wallet)
        return request | {"signatures": [hash_signature(bytes.fromhex(request["msg"][2:]), self.owner)]}

    async def update(self, method: str, factor: Any = None, **more: Any) -> dict[str, Any]:
        """A published method that takes token and signature of the wallet."""
        return await self.world.ask(method, await self.signed_update(factor) | more, **self.bearer())

    async def enrol_totp(self) -> None:
        self.seed = seed_of((await self.update("CreateTOTP"))["uri"])
        answer = await self.world.ask("CommitTOTP", {"token": self.code()}, **self.bearer())
        self.codes = [code["code"] for code in answer["codes"]]
        await self.world.pass_time(30)  # the code's step is used

    def code(self, steps: int = 0) -> str:
        return authenticator(self.seed, self.world.now_s() + 30 * steps)

    def totp(self, steps: int = 0) -> dict[str, str]:
        return {"id": "TOTP", "token": self.code(steps)}

    def payment(self, amount: int = 5, nonce: int = 0) -> dict[str, Any]:
        call = Call(USD, data=calldata("transfer(address,uint256)", PAYROLL, amount))
        request = request_for(CallsPayload((call,), nonce=nonce), wallet=self.wallet)
        return request | {"signatures": [hash_signature(bytes.fromhex(request["msg"][2:]), self.owner)]}

    async def pay(self, factor: Any = None, **more: Any) -> str:
        """The guard's signature for a payment."""
        sig: str = (await self.world.ask("SignWith", self._with(self.payment(**more), factor)))["sig"]
        return sig

    def ownership(self, time_ms: int | None = None, by: Any = None) -> dict[str, Any]:
        """A proof of one of the wallet's signers."""
        time_ms = self.world.clock.wall_ms() if time_ms is None else time_ms
        by = by or self.owner
        signature = bytes(by.unsafe_sign_hash(ownership_digest(self.wallet, time_ms // 1000)).signature)
        who = {"wallet": checksum(self.wallet), "signer": by.address}
        return who | {"timestamp": time_ms, "signature": "0x" + signature.hex(), "chainId": 1}

    def _with(self, request: dict[str, Any], factor: Any) -> dict[str, Any]:
        asked = {"signer": checksum(self.guard), "request": request}
        return asked if factor is None else asked | {"token": factor}

    def _own(self, digest: bytes) -> Any:
        return parse_signature(bytes(self.owner.unsafe_sign_hash(digest).signature))


def _operation(wallet: Address, time_s: int) -> Operation:
    return Operation(MessagePayload(update_message(time_s)), wallet, 1)
