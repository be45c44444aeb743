"""Relays in the host's configuration: an account of the operator's own, or a relayer's API."""

from typing import Annotated

import msgspec

from host_proxy.config_fields import Strict, Text


class RelayConfig(Strict, frozen=True, kw_only=True):
    """An account that pays gas on one chain; its key is with `signer`, which answers `eth_signTransaction`."""

    chain_id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    node: Text
    """The URL of a node's JSON-RPC."""
    signer: Text
    account: Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]
    journal: Text
    """Path of a SQLite file that belongs to this account on this chain alone."""
    max_fee_gwei: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 500
    max_gas: Annotated[int, msgspec.Meta(ge=21_000, le=30_000_000)] = 3_000_000
    confirmations: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 12


class RelayerConfig(Strict, frozen=True, kw_only=True):
    """A relayer's API in Sequence's form for one chain: it has an account of its own, and its own fees."""

    chain_id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    url: Text
    access_key: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,255}\Z")] | None = None
    node: Text
    """The URL of a node's JSON-RPC, which says whether a wallet is there."""
    outbox: Text
    """Path of a SQLite file that belongs to this relayer on this chain alone."""
