"""Officers who sign tenants, documents for them, and calls of their administration."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct

from evm.keccak import keccak256
from protocol import canonical_json
from protocol.approvals import SET_TENANT, statement
from tests.appliance import AUDIENCE, ISSUER, World
from tests.waas.embedded import TEMPLATE, embedded, scopes

ADMIN: Final = "/rpc/WaasAuthenticatorAdmin/"
OFFICERS: Final = tuple(EthAccount.from_key(bytes([n]) * 32) for n in (0x21, 0x22, 0x23))
STRANGER: Final = EthAccount.from_key(b"\x29" * 32)
PROJECT: Final = 500
TENANT_KEY: Final = "tenant-access-key"
TENANT_ORIGIN: Final = "https://game.example.test"


def tenancy(**changes: Any) -> dict[str, Any]:
    """The member of the measured configuration."""
    officers = [
        {"name": f"officer-{n}", "key_type": "Ethereum_Secp256k1", "address": key.address.lower()}
        for n, key in enumerate(OFFICERS)
    ]
    return {"officers": officers, "quorum": 2, "hosts": ["https://other.example.test"]} | changes


def sign(key: Any, signed: bytes) -> dict[str, Any]:
    """An approval by the key, as the wire has it."""
    text = b"0x" + keccak256(signed).hex().encode()
    signature = "0x" + key.sign_message(encode_defunct(text)).signature.hex().removeprefix("0x")
    return {"key": {"keyType": "Ethereum_Secp256k1", "address": key.address}, "signature": signature}


def hashed(access_key: str) -> str:
    return hashlib.sha256(access_key.encode()).hexdigest()


class TenantWorld(World):
    """An appliance whose image names officers."""

    def __init__(self, folder: Path, of_tenancy: dict[str, Any] | None = None, **changes: Any) -> None:
        self._nonce = 0
        super().__init__(folder, scopes=scopes(), tenancy=tenancy(**(of_tenancy or {})), **changes)

    def tenant(self, project: int = PROJECT, access_key: str = TENANT_KEY, **changes: Any) -> dict[str, Any]:
        """A tenant's scope; `changes` of `embedded` are merged."""
        inside = embedded(project_id=project, access_keys=[], access_key_hashes=[hashed(access_key)])
        facts = {
            "scope": f"@{project}",
            "origins": [TENANT_ORIGIN],
            "rights": ["sign_payload"],
            "plain_login": True,
            "email_login": True,
            "email_code": "digits",
            "oidc": [{"issuer": ISSUER, "audience": AUDIENCE}],
            "wallet": TEMPLATE,
        }
        return facts | changes | {"embedded": inside | changes.get("embedded", {})}

    def document(self, version: int = 1, *, tenant: dict[str, Any] | None = None, **changes: Any) -> bytes:
        facts = {"version": version, "deployment": self.config.deployment}
        facts["activate_before_s"] = self.clock.wall_ms() // 1000 + 3600
        return canonical_json.canonicalize(facts | {"tenant": tenant or self.tenant()} | changes)

    def approvals(self, document: bytes, *keys: Any) -> list[dict[str, Any]]:
        facts = json.loads(document)
        signed = statement(SET_TENANT, facts["deployment"], facts["version"], document)
        return [sign(key, signed) for key in keys or OFFICERS[:2]]

    async def ask(self, method: str, body: Any, **headers: str) -> dict[str, Any]:
        """What a method of the administration answers, a refusal or a result."""
        sent = {"content-type": "application/json"} | headers
        answer = await self.raw(ADMIN + method, json.dumps(body).encode(), sent)
        value: dict[str, Any] = json.loads(answer.body)
        return value

    async def put(self, method: str, document: bytes, *keys: Any) -> dict[str, Any]:
        """CreateTenant or UpdateTenant, with the approvals of these keys or else of two officers."""
        body = {"document": document.decode(), "approvals": self.approvals(document, *keys)}
        return await self.ask(method, body)

    async def read(self, method: str, key: Any = OFFICERS[0], **members: Any) -> dict[str, Any]:
        """A reading method, in an envelope that an officer has signed."""
        return await self.ask(method, self.envelope(method, key, **members))

    def envelope(self, method: str, key: Any, **members: Any) -> dict[str, Any]:
        self._nonce += 1
        bound = {"method": ADMIN + method, "deployment": self.config.deployment, "nonce": hex(self._nonce)}
        params = bound | {"expires": self.clock.wall_ms() + 30_000} | members
        signed = sign(key, canonical_json.canonicalize(params))
        return {"params": params, "authKey": signed["key"], "signature": signed["signature"]}
