"""The security module as typed calls.

Trust side: enclave. The device answers one request at a time and takes about a millisecond for a document: in the event
loop use `attest`, which waits its turn without blocking the loop.
"""

import asyncio

from enclave.nsm import messages
from enclave.nsm.messages import Description, Pcr
from enclave.ports import Nsm


class NsmClient:
    """All seven calls over port `Nsm`. Every method raises `enclave.errors.NsmError` and no other exception."""

    def __init__(self, nsm: Nsm) -> None:
        self._nsm = nsm
        self._turn = asyncio.Lock()

    def describe(self) -> Description:
        """Version, module id and which registers are locked."""
        return messages.parse_describe(self._nsm.call(messages.encode_describe()))

    def describe_pcr(self, index: int) -> Pcr:
        """Register `index` (0 to 31)."""
        return messages.parse_describe_pcr(self._nsm.call(messages.encode_describe_pcr(index)))

    def extend_pcr(self, index: int, data: bytes) -> bytes:
        """Extend an unlocked register with 1 to 1,024 raw bytes; its new value (48 bytes)."""
        return messages.parse_extend_pcr(self._nsm.call(messages.encode_extend_pcr(index, data)))

    def lock_pcr(self, index: int) -> None:
        """Make an unlocked register final; from then on it appears in attestation documents."""
        messages.check_done(self._nsm.call(messages.encode_lock_pcr(index)), "LockPCR")

    def lock_pcrs(self, count: int) -> None:
        """Make registers 0 to `count` - 1 final, whether or not they are already."""
        messages.check_done(self._nsm.call(messages.encode_lock_pcrs(count)), "LockPCRs")

    def attestation(
        self, user_data: bytes | None = None, nonce: bytes | None = None, public_key: bytes | None = None
    ) -> bytes:
        """An attestation document that carries these fields (each at most 1,024 bytes), as the module signed it."""
        return messages.parse_attestation(self._nsm.call(messages.encode_attestation(user_data, nonce, public_key)))

    def random(self) -> bytes:
        """1 to 256 bytes of the module's own generator: to be mixed with the kernel's, never used alone (MS-06)."""
        return messages.parse_random(self._nsm.call(messages.encode_random()))

    async def attest(
        self, user_data: bytes | None = None, nonce: bytes | None = None, public_key: bytes | None = None
    ) -> bytes:
        """`attestation` from the event loop: callers queue here, so that they hold one worker thread and not many."""
        async with self._turn:
            return await asyncio.to_thread(self.attestation, user_data, nonce, public_key)
