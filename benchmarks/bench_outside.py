"""How often the enclave turns to KMS and to its security module, counted.

    python -m benchmarks.bench_outside

After a lease has ended, any number of waiting requests make one call to each holder, and go on with the fastest t. The
module makes a document for an answer only where the caller asked for one; receipts need none, and the same question
about the status within a second shares one.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.crypto import Clock, KmsInMemory
from benchmarks.report import Figure
from enclave.config import Holder
from enclave.holders import HolderKeys
from enclave.secret import Secret
from simulator.nsm import SimulatedNsm
from tests.appliance import Client, World

_WAITING = 64
_DELAYS_S = (0.2, 0.4, 4.0)
"""Of the holders, of which two are needed."""
_TIMES = 20


class _SlowKms(KmsInMemory):
    """Each holder answers after a time of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.slow = False

    async def decrypt(self, holder: Holder, ciphertext_blob: bytes, context: Mapping[str, str]) -> Secret:
        self.calls += 1
        if self.slow:
            await asyncio.sleep(_DELAYS_S[int(holder.name[-1])])
        return await super().decrypt(holder, ciphertext_blob, context)


class _CountingNsm(SimulatedNsm):
    calls = 0

    def call(self, request: bytes) -> bytes:
        self.calls += 1
        return super().call(request)


class _World(World):
    def new_nsm(self, *arguments: object, **options: object) -> SimulatedNsm:
        made = super().new_nsm(*arguments, **options)  # type: ignore[arg-type]
        made.__class__ = _CountingNsm
        return made


def measure() -> list[Figure]:
    """All counts."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    return [*await _after_a_lease(), *await _documents()]


async def _after_a_lease() -> list[Figure]:
    kms = _SlowKms()
    arns = [f"arn:aws:kms:eu-west-{i}:{i}11111111111:key/benchmark" for i in range(1, len(_DELAYS_S) + 1)]
    holders = [Holder(name=f"holder-{i}", key_arn=arn) for i, arn in enumerate(arns)]
    keys = HolderKeys(kms, deployment="benchmark", holders=holders, threshold=2, clock=Clock(), lease_s=3600)
    keys.adopt(await keys.provision())  # which ends the leases that provisioning began
    kms.calls, kms.slow = 0, True
    start = time.perf_counter()
    await asyncio.gather(*(keys.available() for _ in range(_WAITING)))
    elapsed_s = time.perf_counter() - start
    keys.close()
    return [
        Figure(f"KMS calls of {_WAITING} requests after a lease", kms.calls, "calls", at_most=len(_DELAYS_S)),
        Figure("  their time, to that of the second holder", elapsed_s / _DELAYS_S[1], "x", at_most=1.5),
    ]


async def _documents() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        world = _World(Path(folder))
        await world.boot()
        client, nonces = Client(world), count()
        signer = (await world.log_in(client))["signer"]

        async def sign(**headers: str) -> None:
            params = {"scope": client.scope, "signer": signer, "nonce": hex(next(nonces)), "digest": "0x" + "22" * 32}
            await client.send("/rpc/IdentityInstrument/Sign", client.envelope(params), **headers)

        async def status() -> None:
            await world.raw("/status", b"", {"x-attestation-nonce": "the-same"}, "GET")

        found = []
        with_receipt, with_document = partial(sign, x_receipt_nonce="a"), partial(sign, x_attestation_nonce="a")
        asking: Sequence[Callable[[], Awaitable[None]]] = (sign, with_receipt, with_document, status)
        for ask in asking:
            before = world.nsm.calls  # type: ignore[attr-defined]
            await asyncio.gather(*(ask() for _ in range(_TIMES)))
            found.append(world.nsm.calls - before)  # type: ignore[attr-defined]
        await world.stop()
    plain, receipts, documents, same = found
    return [
        Figure(f"module calls of {_TIMES} signatures", plain, "calls", at_most=0),
        Figure("  with a receipt each", receipts, "calls", at_most=0),
        Figure("  with a document each", documents, "calls", at_least=_TIMES, at_most=_TIMES),
        Figure(f"module calls of {_TIMES} times the same status", same, "calls", at_most=2),  # a second may turn
    ]


def main() -> None:
    """Print the figures."""
    for figure in measure():
        print(f"{figure.name:<44} {figure.value:8.2f} {figure.unit:<6} {figure.target:<24} {figure.verdict}")


if __name__ == "__main__":
    main()
