"""eth-account's word on every digest: no boot waits for it, and no signature is made without it.

Trust side: enclave. Importing it takes longer than everything else together, so it is done in a thread once the enclave
serves. Whoever needs it before that waits; if it cannot be loaded, nothing is signed.
"""

import asyncio
from types import ModuleType


class SecondOpinion:
    """Gives `evm.cross_check`."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._module: ModuleType | None = None

    async def load(self) -> ModuleType:
        """Import it, once, without holding up the event loop."""
        async with self._turn:
            if self._module is None:
                self._module = await asyncio.to_thread(_import)
            return self._module

    async def get(self) -> ModuleType:
        """The module, as soon as it is there."""
        return self._module or await self.load()


def _import() -> ModuleType:
    from evm import cross_check

    return cross_check
