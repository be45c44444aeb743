"""The guard's own key: made once in a deployment, in shares like a wallet's, opened for one signature at a time."""

from collections.abc import AsyncIterator, Callable

from enclave.records import Records
from enclave.sharded_key import ShardedKey
from enclave.shards import Owner, Shards


class GuardKey(ShardedKey):
    """There is one in a deployment."""

    def __init__(
        self, records: Records, shards: Shards, shape: tuple[int, int], random: Callable[[int], bytes]
    ) -> None:
        """`shape` is (threshold, count) of the holders."""
        key = records.key("guard-key")
        super().__init__(records, shards, shape, random, key=key, owner=Owner("guard", "", key.id, bytes(32)))

    async def renewing(self, _after: bytes, _most: int) -> AsyncIterator[bytes]:
        """The walk of a rotation: there is this one key, whatever the store lists."""
        await self.renew()
        return
        yield
