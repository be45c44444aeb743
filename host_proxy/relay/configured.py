"""Relays as the host's configuration describes them: an account of its own on a node, or a relayer's API."""

from pathlib import Path

from host_proxy.config import HostConfig
from host_proxy.relay.config import RelayConfig, RelayerConfig
from host_proxy.relay.fees import FeeRules
from host_proxy.relay.journal import Journal
from host_proxy.relay.node import Node
from host_proxy.relay.node_relay import NodeRelay, Patience
from host_proxy.relay.outbox import Outbox
from host_proxy.relay.rpc import JsonRpc
from host_proxy.relay.sequence_relay import SequenceRelay
from host_proxy.relay.transactions import RemoteSigner
from host_proxy.relay.wallet_relay import ChainRelay, WalletRelays


def configured_relays(config: HostConfig) -> WalletRelays:
    """All relays of a host, each chain with its own."""
    found = {relay.chain_id: node_relay(relay) for relay in config.relays}
    return WalletRelays(found | {relayer.chain_id: sequence_relay(relayer) for relayer in config.relayers})


def sequence_relay(config: RelayerConfig) -> ChainRelay:
    """The relayer of one chain; `RelayFault("relay-journal…")` where its file is another's."""
    relay = SequenceRelay(config.url, Outbox(Path(config.outbox)), access_key=config.access_key)
    return ChainRelay(relay, Node(JsonRpc(config.node)))


def node_relay(config: RelayConfig) -> ChainRelay:
    """The relay of one chain; `RelayFault("relay-journal…")` where its file is another's."""
    node = Node(JsonRpc(config.node))
    account = config.account.lower()
    relay = NodeRelay(
        node,
        RemoteSigner(JsonRpc(config.signer), account),
        Journal(Path(config.journal), chain_id=config.chain_id, account=account),
        chain_id=config.chain_id,
        rules=FeeRules(max_fee_cap=config.max_fee_gwei * 10**9, max_gas=config.max_gas),
        patience=Patience(confirmations=config.confirmations),
    )
    return ChainRelay(relay, node)
