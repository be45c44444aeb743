"""What the cryptography of one `Sign` costs alone: the enclave's own functions, called in a loop on one core.

Verify the auth key's signature; open t sealed shares, each under a derived key; combine them and check the result;
sign, and check the signature before it is released. No HTTP, frames, store, sessions or JSON.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from benchmarks.devices import Device, KeyType
from enclave import curve, shamir
from enclave.auth_key import Key, parse_key, verify_request_signature
from enclave.config import Holder
from enclave.generations import Generations
from enclave.holders import HolderKeys
from enclave.ports import DataKey
from enclave.secret import Secret
from enclave.shards import Owner, Shards, ShardSet
from protocol import canonical_json

_THRESHOLD = 2
_HOLDERS = 3
_OWNER = Owner("wallet", "@123", bytes(32), bytes(32))


@dataclass(frozen=True, slots=True)
class CryptoOnly:
    """Microseconds for one signature, and of that the four stages, each measured in a loop of its own."""

    total_us: float
    verify_us: float
    open_us: float
    combine_us: float
    sign_us: float

    @property
    def per_s(self) -> float:
        """Signatures a second on one core."""
        return 1e6 / self.total_us


def yardstick(key_type: KeyType, seconds: float) -> float:
    """The microseconds for one signature at this moment. Figures are held against it before and after they are taken,
    because a machine that others share changes its speed from one second to the next.
    """
    return asyncio.run(_yardstick(key_type, seconds))


def measure(key_type: KeyType, seconds: float) -> CryptoOnly:
    """Spend about `seconds` on the whole and half of that on the stages."""
    return asyncio.run(_measure(key_type, seconds))


class _Signing:
    """One signature's cryptography, again and again."""

    def __init__(self, key_type: KeyType, shards: Shards, shard_set: ShardSet) -> None:
        self.shards = shards
        self.shard_set = shard_set
        self._key, self._signature, self._canonical = _request(key_type)
        self._digests = (number.to_bytes(32, "big") for number in count(1))

    def verify(self) -> None:
        verify_request_signature(self._key, self._signature, self._canonical)

    def sign(self, secret: Secret) -> None:
        curve.sign(secret, next(self._digests), self.shard_set.public_key)

    async def whole(self) -> None:
        self.verify()
        with await self.shards.open(self.shard_set, _OWNER) as secret:
            self.sign(secret)


async def _prepared(key_type: KeyType) -> _Signing:
    shards = Shards(await _generations(), "benchmark", os.urandom)
    with curve.random_scalar(os.urandom) as scalar:
        return _Signing(key_type, shards, await shards.split(scalar, _OWNER, 1))


async def _yardstick(key_type: KeyType, seconds: float) -> float:
    return await _mean_us((await _prepared(key_type)).whole, seconds)


async def _measure(key_type: KeyType, seconds: float) -> CryptoOnly:
    signing = await _prepared(key_type)
    total_us = await _mean_us(signing.whole, seconds)
    verify_us = await _mean_us(_as_async(signing.verify), seconds / 8)
    with await signing.shards.open(signing.shard_set, _OWNER) as secret:
        sign_us = await _mean_us(_as_async(partial(signing.sign, secret)), seconds / 8)
    opened_us = await _mean_us(partial(_open, signing.shards, signing.shard_set), seconds / 8)
    combine_us = await _combine_us(seconds / 8)
    return CryptoOnly(total_us, verify_us, opened_us - combine_us, combine_us, sign_us)


async def _mean_us(step: Callable[[], Any], seconds: float) -> float:
    """The mean time of `await step()`, after a short warm-up."""
    done, end = 0, 0.0
    for duration in (seconds / 10, seconds):
        done, start = 0, time.perf_counter()
        end = start
        while end - start < duration:
            for _ in range(20):
                await step()
            done += 20
            end = time.perf_counter()
    return (end - start) / done * 1e6


def _as_async(step: Callable[[], None]) -> Callable[[], Any]:
    async def stepped() -> None:
        step()

    return stepped


async def _open(shards: Shards, shard_set: ShardSet) -> None:
    (await shards.open(shard_set, _OWNER)).wipe()


async def _combine_us(seconds: float) -> float:
    with curve.random_scalar(os.urandom) as scalar:
        parts = shamir.split(scalar, _THRESHOLD, _HOLDERS, os.urandom)
    chosen = {1: parts.shares[0], 2: parts.shares[1]}

    async def combine() -> None:
        shamir.combine(chosen, parts.commitments).wipe()

    return await _mean_us(combine, seconds)


def _request(key_type: KeyType) -> tuple[Key, str, bytes]:
    """A key, and its signature over params as `Sign` has them."""
    device = Device.generate(key_type, "crypto")
    auth_key = device.signer()
    key = parse_key(auth_key.wire)
    assert key is not None
    signer = {"keyType": "Ethereum_Secp256k1", "address": "0x" + "11" * 20}
    params = {"scope": "@123", "signer": signer, "nonce": hex(time.time_ns()), "digest": "0x" + "22" * 32}
    canonical = canonical_json.canonicalize(params)
    return key, auth_key.sign(canonical), canonical


async def _generations() -> Generations:
    arns = [f"arn:aws:kms:eu-west-{i}:{i}11111111111:key/benchmark" for i in range(1, _HOLDERS + 1)]
    holders = [Holder(name=f"holder-{i}", key_arn=arn) for i, arn in enumerate(arns, 1)]
    keys = HolderKeys(
        KmsInMemory(), deployment="benchmark", holders=holders, threshold=_THRESHOLD, clock=Clock(), lease_s=3600
    )
    generations = Generations(lambda _: keys)
    await keys.provision()
    return generations


class KmsInMemory:
    """Port `Kms` in memory: the lease is what the hot path meets, not the call."""

    def __init__(self) -> None:
        self._keys: dict[bytes, bytes] = {}

    async def generate_data_key(self, _: Holder, context: Mapping[str, str]) -> DataKey:  # noqa: ARG002  the port's
        blob, key = os.urandom(16), os.urandom(32)
        self._keys[blob] = key
        return DataKey(blob, Secret.take(bytearray(key)))

    async def decrypt(self, _: Holder, ciphertext_blob: bytes, context: Mapping[str, str]) -> Secret:  # noqa: ARG002
        return Secret.take(bytearray(self._keys[ciphertext_blob]))


class Clock:
    """Port `Clock`."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def source(self) -> str:
        return "benchmark"
