"""Trust roots: the certificates at which a chain of a document may start (AT-07).

A root is a value that the caller supplies. This package, and everything shipped, knows Amazon's only; simulators bring
their own value to the same functions (SM-02). Nothing here reads a file, a flag or the environment (AT-20).
"""

import hashlib
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """A name for people, and the one certificate in DER that `cabundle[0]` must equal byte for byte."""

    name: str
    der: bytes = field(repr=False)
    sha256: bytes = field(init=False, repr=False)
    """Fingerprint: SHA-256 of `der`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", hashlib.sha256(self.der).digest())


# aws.nitro-enclaves G1, commercial partition, valid 2019-10-28 to 2049-10-28 (nitro-platform.md 3.3).
_AMAZON_SHA256: Final = bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b")
_AMAZON_DER: Final = b64decode(
    "MIICETCCAZagAwIBAgIRAPkxdWgbkK/hHUbMtOTn+FYwCgYIKoZIzj0EAwMwSTELMAkGA1UEBhMCVVMxDzANBgNVBAoMBkFtYXpvbjEMMAoGA1UE"
    "CwwDQVdTMRswGQYDVQQDDBJhd3Mubml0cm8tZW5jbGF2ZXMwHhcNMTkxMDI4MTMyODA1WhcNNDkxMDI4MTQyODA1WjBJMQswCQYDVQQGEwJVUzEP"
    "MA0GA1UECgwGQW1hem9uMQwwCgYDVQQLDANBV1MxGzAZBgNVBAMMEmF3cy5uaXRyby1lbmNsYXZlczB2MBAGByqGSM49AgEGBSuBBAAiA2IABPwC"
    "VOumCMHzaHDimtqQvkY4MpJzbolL//Zy2YlES1BR5TSksfbb48C8WBoyt7F2Bw7eEtaaP+ohG2bnUs990d0JX28TcPQXCEPZ3BABIeTPYwEoCWZE"
    "h8l5YoQwTcU/9KNCMEAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUkCW1DdkFR+eWw5b6cp3PmanfS5YwDgYDVR0PAQH/BAQDAgGGMAoGCCqG"
    "SM49BAMDA2kAMGYCMQCjfy+Rocm9Xue4YnwWmNJVA44fA0P5W2OpYow9OYCVRaEevL8uO1XYru5xtMPWrfMCMQCi85sWBbJwKKXdS6BptQFuZbT7"
    "3o/gBh1qUxl/nNr12UO8Yfwr6wPLb+6NIwLz3/Y="
)

AMAZON: Final = TrustRoot("AWS Nitro Enclaves (Amazon)", _AMAZON_DER)

if AMAZON.sha256 != _AMAZON_SHA256:
    raise ImportError("the embedded root certificate does not match its pinned digest")
