"""A booted guard for the tests of its wire, and requests as published clients write them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct

from evm.address import Address, checksum, parse_address
from evm.keccak import keccak256
from evm.wallet.attestation import Attestation
from evm.wallet.operation_hash import operation_hash
from evm.wallet.payload import Call, CallsPayload, Payload
from evm.wallet.payload_json import typed_data
from protocol import canonical_json
from protocol.errors import TABLE
from protocol.guard_errors import GUARD_TABLE
from tests.appliance import World
from tests.enclave_guard.guard_rules import DOCUMENT, PAYROLL, USD
from tests.evm_effects.made import WALLET, calldata

OWNER: Final = EthAccount.from_key(b"\x11" * 32)
OFFICERS: Final = tuple(EthAccount.from_key(bytes([n]) * 32) for n in (0x21, 0x22, 0x23))
CHAIN: Final = 1
_ROWS: Final = {row.code: row for row in (*TABLE, *GUARD_TABLE)}


def officer(number: int) -> dict[str, str]:
    """An officer's key, as configuration and wire have it."""
    return {"key_type": "Ethereum_Secp256k1", "address": OFFICERS[number].address.lower()}


def guard_config(
    *, wallets: str = "any", second_factors: Any = None, second_generation: Any = None, **changes: Any
) -> dict[str, Any]:
    """What makes the appliance of the tests a guard; `changes` are of the rule document."""
    officers = [{"name": f"officer-{n}", **officer(n)} for n in range(len(OFFICERS))]
    guard = {"rules": {**DOCUMENT, **changes}, "officers": officers, "quorum": 2, "wallets": wallets}
    more = {"second_factors": second_factors, "second_generation": second_generation}
    guard |= {name: member for name, member in more.items() if member is not None}
    return {"role": "guard", "scopes": [], "guard": guard}


class RefusedByGuard(Exception):
    """The body of a refusal, which is a row of one of the tables."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        row = _ROWS[body["code"]]
        assert (body["error"], body["msg"], body["status"], status) == (row.name, row.message, row.status, row.status)
        self.code: int = body["code"]
        self.cause: str = body.get("cause", "")


class GuardWorld(World):
    """A guard, and calls of it."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        super().__init__(folder, **guard_config(**changes))

    async def ask(self, method: str, arguments: Any, service: str = "Guard", **headers: str) -> dict[str, Any]:
        """A method; `RefusedByGuard` for a refusal."""
        sent = {"content-type": "application/json"} | headers
        response = await self.raw(f"/rpc/{service}/{method}", json.dumps(arguments).encode(), sent)
        body: dict[str, Any] = json.loads(response.body)
        if response.status != 200:
            raise RefusedByGuard(response.status, body)
        return body

    async def address(self) -> Address:
        """The guard's address, as it signs."""
        signed = await self.ask("Sign", {"request": pay()})
        return recovered(pay(), signed["sig"])

    async def sign(self, request: Mapping[str, Any]) -> str:
        """The default signer's signature."""
        sig: str = (await self.ask("Sign", {"request": request}))["sig"]
        return sig


def request_for(
    what: Payload | Attestation, *, chain_id: int = CHAIN, wallet: Address = WALLET, **changes: Any
) -> dict[str, Any]:
    """A request, signed by the wallet's owner."""
    if isinstance(what, Attestation):
        kind, document, digest = "SessionImplicitAuthorize", what.as_json(), what.hash
    else:
        document = typed_data(what, wallet, chain_id)
        kind, digest = document["primaryType"], operation_hash(what, wallet, chain_id)
    found = {
        "chainId": chain_id,
        "msg": "0x" + digest.hex(),
        "wallet": checksum(wallet),
        "payloadType": kind,
        "payloadData": "0x" + json.dumps(document).encode().hex(),
        "signatures": [hash_signature(digest)],
    }
    return found | changes


def hash_signature(digest: bytes, by: Any = OWNER) -> dict[str, str]:
    """The owner's signature over the digest itself."""
    return {"address": by.address, "type": "Hash", "data": "0x" + bytes(by.unsafe_sign_hash(digest).signature).hex()}


def eth_signature(digest: bytes, by: Any = OWNER) -> dict[str, str]:
    """The owner's signature as wallets make it of a message."""
    signed = by.sign_message(encode_defunct(primitive=digest))
    return {"address": by.address, "type": "EthSign", "data": "0x" + bytes(signed.signature).hex()}


def pay(amount: int = 5, to: Address = PAYROLL, nonce: int = 0) -> dict[str, Any]:
    """A payment in the token of the rules."""
    call = Call(USD, data=calldata("transfer(address,uint256)", to, amount))
    return request_for(CallsPayload((call,), nonce=nonce))


def recovered(request: Mapping[str, Any], signature: str) -> Address:
    """Whose signature it is over the request's digest."""
    digest = bytes.fromhex(request["msg"][2:])
    return parse_address(EthAccount._recover_hash(digest, signature=signature))


def approval(number: int, statement: bytes) -> dict[str, Any]:
    """An officer's signature over a statement, in the form of request signatures."""
    text = "0x" + keccak256(statement).hex()
    signed = OFFICERS[number].sign_message(encode_defunct(text=text))
    key = {"keyType": "Ethereum_Secp256k1", "address": OFFICERS[number].address.lower()}
    return {"key": key, "signature": "0x" + bytes(signed.signature).hex()}


def said(action: str, document: bytes, version: int, deployment: str = "test-deployment") -> bytes:
    """What officers sign, written here by hand."""
    import hashlib

    digest = hashlib.sha256(document).hexdigest()
    return canonical_json.canonicalize(
        {"action": action, "deployment": deployment, "version": version, "sha256": digest}
    )
