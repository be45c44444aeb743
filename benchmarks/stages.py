"""Where the time of one `Sign` goes, stage by stage: the tables of docs/performance.md.

    python -m benchmarks.stages

Each stage is a function whose calls are timed, without the stages that it calls. The enclave is measured in this
process over a store in memory, by the clock, in the quietest of many short runs; the host in a whole appliance under 64
connections, by the processor time of its threads. Timing costs 1 to 2 µs a call, which the totals include.
"""

import asyncio
import functools
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import local
from typing import Any, Final

import uvloop

from benchmarks import devices, load, machine, starting
from benchmarks.devices import P256, SIGN, KeyType
from benchmarks.load import Load
from enclave import curve, dispatch, shamir
from enclave.records import Records
from enclave.rpc import envelope, params
from enclave.sessions import Sessions
from enclave.shards import Shards
from host_proxy import enclave_link, framing, http
from host_proxy.enclave_link import WorkerPool
from host_proxy.gathered import GatheredWrites
from host_proxy.http_cycle import Cycle
from host_proxy.http_edge import EdgeProtocol
from host_proxy.rate_limit import TokenBuckets
from host_proxy.store import SqliteStore
from protocol import canonical_json, frames, services
from protocol.frames import FrameConnection, Request
from simulator import settings
from simulator.enclaves import SOURCE_ROOT
from tests.appliance import SCOPE, Client, World

Stage = tuple[str, Any, str]
"""Label, owner and attribute of a function. Functions of one label add up."""

ENCLAVE: Final[Sequence[Stage]] = (
    ("verify the auth key's signature", envelope, "verify_request_signature"),
    ("sign, and check the signature", curve, "sign"),
    ("open t shares", Shards, "_open"),
    ("combine, and check the result", shamir, "combine"),
    ("seal the nonce record", Records, "_seal"),
    ("read the frame", FrameConnection, "receive"),
    ("write the frame", frames, "encode"),
    ("parse the body", envelope, "parse_object"),
    ("parse the auth key", envelope, "parse_key"),
    ("canonical form of params", canonical_json, "canonicalize"),
    ("read members of params", params, "scope"),
    ("read members of params", params, "signer"),
    ("read members of params", params, "digest"),
    ("read members of params", params, "nonce"),
    ("find records (keyed hashes)", Records, "key"),
    ("verify login and session", Sessions, "require_login"),
    ("verify login and session", Sessions, "verify"),
    ("write the answer's body", dispatch, "encode_json"),
)

HOST: Final[Sequence[Stage]] = (
    ("parse HTTP, start the request", EdgeProtocol, "data_received"),
    ("limits, routing", TokenBuckets, "take"),
    ("limits, routing", http, "routing_key"),
    ("limits, routing", WorkerPool, "owner"),
    ("write frames", framing, "encode"),
    ("read frames", FrameConnection, "receive"),
    ("hand bytes to the system", GatheredWrites, "_flush"),
    ("read the enclave's write", services, "decode_puts"),
    ("store: transaction and flush (own thread)", SqliteStore, "_write_all"),
    ("answer: headers", http, "_reply_of"),
    ("answer: HTTP", Cycle, "send"),
    ("metrics", http.Ingress, "_account"),
    ("match answers to requests", enclave_link._Session, "message_received"),  # noqa: SLF001
)


class Stopwatch:
    """Times the calls of `stages` by `clock`, each without the stages inside it. Once started it stays."""

    def __init__(self, stages: Sequence[Stage], clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seconds: dict[str, float] = dict.fromkeys((label for label, _, _ in stages), 0.0)
        self._threads = local()
        for label, owner, name in stages:
            setattr(owner, name, self._timed(label, getattr(owner, name)))

    @property
    def _inside(self) -> list[float]:
        """Time spent in stages inside those that run now, of this thread, outermost first."""
        if not hasattr(self._threads, "inside"):
            self._threads.inside = []
        inside: list[float] = self._threads.inside
        return inside

    def _timed(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def begin() -> float:
            self._inside.append(0.0)
            return self._clock()

        def end(start: float) -> None:
            elapsed, inside = self._clock() - start, self._inside
            self.seconds[label] += elapsed - inside.pop()
            if inside:
                inside[-1] += elapsed

        if asyncio.iscoroutinefunction(function):  # only such as do not wait

            async def timed_coroutine(*args: Any, **kwargs: Any) -> Any:
                start = begin()
                try:
                    return await function(*args, **kwargs)
                finally:
                    end(start)

            return functools.wraps(function)(timed_coroutine)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = begin()
            try:
                return function(*args, **kwargs)
            finally:
                end(start)

        return functools.wraps(function)(timed)


async def enclave_stages(chunks: int = 60, per_chunk: int = 50) -> list[tuple[str, float]]:
    """Microseconds of each stage, of the rest and of all, in the quietest of `chunks` chunks."""
    stopwatch = Stopwatch(ENCLAVE, time.perf_counter)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), limits={"signatures_per_minute": 1_000_000})
        await world.boot()
        client = Client(world)
        wallet = (await world.log_in(client))["signer"]
        signed = [frames.encode(sign_request(client, wallet, nonce)) for nonce in range(1, chunks * per_chunk + 1)]
        found = []
        for start in range(0, len(signed), per_chunk):
            stopwatch.seconds = dict.fromkeys(stopwatch.seconds, 0.0)
            begin = time.perf_counter()
            for data in signed[start : start + per_chunk]:
                [request] = FrameConnection().receive(data)
                assert isinstance(request, Request)
                frames.encode(await world.enclave.answer(request))
            found.append((time.perf_counter() - begin, stopwatch.seconds))
        await world.stop()
    total, seconds = min(found, key=lambda one: one[0])
    return _table(seconds, total, per_chunk)


async def host_stages(connections: int = 64, seconds: float = 4.0) -> list[tuple[str, float]]:
    """Microseconds of each stage, of the rest and of all, for each answer."""
    scratch = SOURCE_ROOT / ".chancery"
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        pool, loop = ProcessPoolExecutor(1, mp_context=get_context("spawn")), asyncio.get_running_loop()
        stopwatch = Stopwatch(HOST, time.thread_time)
        with pool:
            async with starting.serving(Path(folder) / "state") as started:
                host = started.appliance
                provider, port = host.stand_ins.identity_provider, host.host.port
                names = (f"user-{number}" for number in range(connections))
                tokens: list[tuple[KeyType, str]]
                tokens = [(P256, provider.issue_token(n, settings.CLIENT_ID, algorithm="ES256")) for n in names]
                users = await loop.run_in_executor(pool, devices.log_in, port, tokens)
                stopwatch.seconds = dict.fromkeys(stopwatch.seconds, 0.0)
                before = machine.cpu_s(os.getpid())
                request = Load(port, SIGN, tuple(users), seconds, 5000)
                outcome = await loop.run_in_executor(pool, load.run, request)
                return _table(stopwatch.seconds, machine.cpu_s(os.getpid()) - before, outcome.answers)


def sign_request(client: Client, wallet: dict[str, str], nonce: int) -> Request:
    """A `Sign` of `client`'s device, as the host passes it on."""
    digest = "0x" + nonce.to_bytes(32, "big").hex()
    body = client.envelope({"scope": SCOPE, "signer": wallet, "nonce": hex(nonce), "digest": digest})
    headers = {"content-type": "application/json", "origin": settings.ORIGIN}
    return Request(nonce, f"POST {SIGN}", headers, json.dumps(body).encode())


def _table(seconds: dict[str, float], total: float, count: int) -> list[tuple[str, float]]:
    rows = sorted(((label, spent / count * 1e6) for label, spent in seconds.items()), key=lambda row: -row[1])
    rest = total / count * 1e6 - sum(us for _, us in rows)
    return [*rows, ("everything else: tasks, event loop, interpreter", rest), ("**all**", total / count * 1e6)]


def main() -> None:
    """Print both tables in Markdown."""
    for side, rows in (("enclave", asyncio.run(enclave_stages())), ("host", uvloop.run(host_stages()))):
        print(f"| {side} | µs |\n|---|---:|")
        print("\n".join(f"| {label} | {us:.1f} |" for label, us in rows), end="\n\n")


if __name__ == "__main__":
    main()
