"""Tenants that no image names: whose signatures put one in force, and how far such a tenant can reach."""

from typing import Annotated

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from enclave.config.admin import AdminKey, validate_quorum
from enclave.config.fields import Measured, Pem, Text, host_and_port
from enclave.errors import BootError
from protocol import limits


class AdminTokens(Measured, frozen=True, kw_only=True):
    """Bearer tokens in the form of the published admin service: RS256 under this key, for this audience.

    They read; whoever carries one (the host does) changes nothing with it.
    """

    public_key: Pem
    audience: Text

    def load(self) -> RSAPublicKey:
        """The key; `ValueError` unless it is one of RSA of 2,048 to 8,192 bits."""
        try:
            key = load_pem_public_key(self.public_key.encode())
        except UnsupportedAlgorithm:
            raise ValueError("not a key") from None
        if isinstance(key, RSAPublicKey) and limits.MIN_RSA_BITS <= key.key_size <= limits.MAX_RSA_BITS:
            return key
        raise ValueError("a key of another kind")


class Tenancy(Measured, frozen=True, kw_only=True):
    """A tenant is a document that `quorum` of the officers have signed (ADR 56)."""

    officers: Annotated[tuple[AdminKey, ...], msgspec.Meta(min_length=1, max_length=16)]
    quorum: int
    hosts: Annotated[tuple[Text, ...], msgspec.Meta(max_length=256)] = ()
    """`https://host:port` of identity providers and webhooks that tenants may name, beside those of measured scopes."""
    admin_tokens: AdminTokens | None = None

    def destinations(self) -> frozenset[tuple[str, int]]:
        """What tenants may have the enclave talk to."""
        return frozenset(host_and_port(url) for url in self.hosts)


def validate_tenancy(tenancy: Tenancy) -> None:
    """`BootError` for a quorum that cannot be met or is one person, and for a key that is none."""
    validate_quorum(tenancy.officers, tenancy.quorum, "config-tenancy-quorum")
    if tenancy.admin_tokens is not None:
        try:
            tenancy.admin_tokens.load()
        except ValueError:
            raise BootError("config-tenancy-key") from None
