"""What must hold before the first key is made, and what is made then (design section 4; MS-06, TI-02, TI-04, AT-12).

Order: measurements are real (no debug mode), the clock source and hardware generator are the expected ones, NSM bytes
are stirred into the kernel's pool, the clock agrees with a document, the registers are locked. Any doubt is a
`BootError`.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from attestation import channel
from enclave import curve
from enclave.clock import CHECK_INTERVAL_MS, TrustedClock
from enclave.errors import BootError, NsmError
from enclave.nsm.client import NsmClient
from enclave.nsm.messages import parse_document_timestamp
from enclave.ownership import channel_key_name
from enclave.ports import Entropy
from enclave.workers import ALONE, Worker

_STIRS: Final = 8
_FREE_REGISTERS: Final = range(16, 32)
_EPOCH_BYTES: Final = 16
PCR_BYTES: Final = 48


@dataclass(frozen=True, slots=True)
class BootKeys:
    """Made in this boot and never stored."""

    epoch: bytes
    channel_key: X25519PrivateKey
    """The first; `enclave.channel` makes the later ones."""


def stir_entropy(nsm: NsmClient, entropy: Entropy, accepted: tuple[str, ...]) -> None:
    """Mix the NSM's generator into the kernel's before any key is made; a failure of either is no boot (MS-06)."""
    if entropy.hardware_source() not in accepted:
        raise BootError("entropy-source", entropy.hardware_source()[:32])
    drawn = {nsm.random() for _ in range(_STIRS)}
    if len(drawn) != _STIRS:
        raise BootError("entropy-repeats")
    for data in drawn:
        entropy.mix(data)
    curve.blind(entropy.random(32))


def require_measured(nsm: NsmClient) -> bytes:
    """PCR0, once PCR0 to PCR2 are not those of debug mode; afterwards no register can be extended any more."""
    pcrs = [nsm.describe_pcr(index).value for index in range(3)]
    if any(value == bytes(PCR_BYTES) for value in pcrs):
        raise BootError("debug-mode", "PCR0, PCR1 or PCR2 is zero: this image has no measurement that could be trusted")
    for index in _FREE_REGISTERS:
        _lock(nsm, index)
    return pcrs[0]


def _lock(nsm: NsmClient, index: int) -> None:
    try:
        nsm.lock_pcr(index)
    except NsmError:
        if not nsm.describe_pcr(index).locked:  # another worker was quicker
            raise


def make_keys(entropy: Entropy, worker: Worker = ALONE) -> BootKeys:
    """The keys of this boot. Its workers share the epoch; each has channel keys of its own."""
    epoch = entropy.random(_EPOCH_BYTES) if worker.shared is None else worker.shared.epoch
    return BootKeys(epoch, generate_channel_key(worker))


def generate_channel_key(worker: Worker = ALONE) -> X25519PrivateKey:
    """A channel key that `worker` owns, so that everybody can tell from its id who can open what is sealed to it."""
    while True:
        private = X25519PrivateKey.generate()
        if worker.owns(channel_key_name(channel.key_id(private.public_key().public_bytes_raw()))):
            return private


async def synchronize(nsm: NsmClient, clock: TrustedClock) -> None:
    """Compare the clock with the timestamp of a fresh document (TI-04)."""
    before_ms = clock.monotonic_ms()
    document = await nsm.attest()
    clock.synchronize(before_ms, parse_document_timestamp(document))


async def keep_synchronized(nsm: NsmClient, clock: TrustedClock) -> None:
    """`synchronize` for ever. A failed comparison leaves the clock to grow stale, which stops whatever needs time."""
    while True:
        await asyncio.sleep(CHECK_INTERVAL_MS / 1000)
        try:
            await synchronize(nsm, clock)
        except NsmError:
            continue
