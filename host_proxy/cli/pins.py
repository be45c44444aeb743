"""Contracts that a measured configuration pins, held against the code that a node says they have.

The enclave cannot look at a chain, so this is for people: it says of each contract that the node has other code there.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.errors import RelayFault

_CODE_BYTES: Final = 24_576  # EIP-170


def mismatches(node_url: str, chain: dict[str, Any]) -> list[str]:
    """A sentence for each contract of `chain` (an element of `Delegation/Supported`) whose code is another.

    Leaves with a hint if the node cannot be asked, or is one of another chain.
    """
    named = {
        "the manager": chain["manager"],
        **chain["enforcers"],
        **{f"account code {number}": code for number, code in enumerate(chain["accountCode"], start=1)},
    }
    try:
        codes = asyncio.run(_codes(node_url, int(chain["chainId"], 16), [one["address"] for one in named.values()]))
    except RelayFault as fault:
        leave(ExitCode.UNREACHABLE, f"the node does not answer ({fault.code})")
    return [
        f"{name} at {pinned['address']} has code with the hash {found}, not {pinned['codeHash']}"
        for (name, pinned), found in zip(named.items(), codes, strict=True)
        if found != pinned["codeHash"]
    ]


async def _codes(node_url: str, chain_id: int, addresses: list[str]) -> list[str]:
    """The hash of the code at each address."""
    from host_proxy.relay.rpc import JsonRpc

    rpc = JsonRpc(node_url)
    try:
        answered = await rpc.call("eth_chainId")
        if answered != hex(chain_id):
            leave(ExitCode.FAILED, f"the node is one of another chain than {chain_id}")
        return [_hash(await rpc.call("eth_getCode", address, "latest")) for address in addresses]
    finally:
        await rpc.close()


def _hash(code: Any) -> str:
    from evm.errors import EvmError
    from evm.fields import hex_bytes
    from evm.keccak import keccak256

    try:
        return "0x" + keccak256(hex_bytes(code, "code", most=_CODE_BYTES)).hex()
    except EvmError:
        raise RelayFault("relay-answer", "code") from None
