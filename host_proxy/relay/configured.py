"""A relay as the host's configuration describes it."""

from pathlib import Path

from host_proxy.config import RelayConfig
from host_proxy.relay.fees import FeeRules
from host_proxy.relay.journal import Journal
from host_proxy.relay.node import Node
from host_proxy.relay.node_relay import NodeRelay, Patience
from host_proxy.relay.rpc import JsonRpc
from host_proxy.relay.transactions import RemoteSigner
from host_proxy.relay.wallet_relay import ChainRelay


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
