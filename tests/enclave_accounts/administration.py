"""An administrator for the tests: a key named in the measured configuration, and the calls that it signs."""

from pathlib import Path
from typing import Any

from tests.appliance import Client, World
from tests.enclave_accounts.people import LIMITS

ADMIN = "/rpc/IdentityInstrumentAdmin/"


class Administrator:
    """Signs admin calls. `world` is one that knows this key, unless it is told otherwise."""

    def __init__(self, *, ethereum: bool = True) -> None:
        self.client = Client(None, ethereum=ethereum)  # type: ignore[arg-type]  a world is made for its key
        self._nonce = 0

    def key(self, name: str = "operations") -> dict[str, str]:
        """The member of `admins` in the measured configuration."""
        key = self.client.auth_key
        return {"name": name, "key_type": key["keyType"], "address": key["address"].lower()}

    def world(self, folder: Path, **changes: Any) -> World:
        self.client.world = World(folder, admins=[self.key()], limits=LIMITS, **changes)
        return self.client.world

    def params(self, method: str, /, **members: Any) -> dict[str, Any]:
        self._nonce += 1
        world = self.client.world
        common = {"method": ADMIN + method, "deployment": world.config.deployment, "nonce": hex(self._nonce)}
        return common | {"expires": world.clock.wall_ms() + 30_000} | members

    async def call(self, method: str, /, **members: Any) -> dict[str, Any]:
        return await self.client.send(ADMIN + method, self.client.envelope(self.params(method, **members)))

    async def rotate(self, key_ref: str) -> dict[str, Any]:
        return await self.call("RotateCipherKey", keyRef=key_ref)

    async def refresh(self, key_ref: str, batch: int = 64, table: str = "Signers") -> bool:
        result = await self.call("RefreshEncryptedData", table=table, keyRef=key_ref, batch=batch)
        assert list(result) == ["done"]
        return bool(result["done"])

    async def cleanup(self) -> int:
        result = await self.call("CleanupUnusedCipherKeys")
        assert list(result) == ["deleted"]
        return int(result["deleted"])
