"""Which worker of an enclave answers for a key: the same in every process, inside and outside.

The host routes by it to save the enclave a hop; the enclave decides by it (design section 8, ADR 0028).
"""

import hashlib
from functools import lru_cache


@lru_cache(maxsize=4096)  # it is asked several times for each request
def worker_of(key: str, workers: int) -> int:
    """The number (from 0) of the worker that holds `key`'s short-lived state."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % workers
