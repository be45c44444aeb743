"""The framework's contracts on a local chain: the authors' code at the addresses that they have on public chains."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from evm.address import Address
from evm.delegations.deployment import METAMASK
from evm.keccak import keccak256
from tests.relay.chain import Chain

from .delegation_support import CODE, hex_of

OWNER = "00" * 12 + "0e" * 20
ENTRY_POINT = "00" * 12 + "0000000071727de22e5e9d8baf0edac6f37da032"
MANAGER = METAMASK.manager.address
TOKEN_CODE = "60243533548181106028578190033355600435805491909101905560015f5260205ff300000000005b5f5ffd"
"""A token that knows `transfer` and nothing else; it keeps a balance in the slot of its owner's address."""


async def install(chain: Chain, folder: Path) -> dict[Address, str]:
    """Everything at its place; the hash of each contract's code, by address.

    Creation code that is called as if it were the contract returns what it would have become there: with the immutable
    values of that address and that chain.
    """
    published = await asyncio.to_thread(_published, folder)
    contracts = {MANAGER: published["DelegationManager"] + OWNER}
    contracts[CODE] = published["EIP7702StatelessDeleGator"] + MANAGER.hex().zfill(64) + ENTRY_POINT
    contracts |= {address: published[name] for name, address in METAMASK.enforcers.items()}
    hashes = {}
    for address, creation in contracts.items():
        override = {hex_of(address): {"code": creation}}
        code = await chain.rpc.call("eth_call", {"to": hex_of(address)}, "latest", override)
        await chain.rpc.call("anvil_setCode", hex_of(address), code)
        hashes[address] = hex_of(keccak256(bytes.fromhex(code[2:])))
    return hashes


def _published(folder: Path) -> dict[str, str]:
    done = subprocess.run(["node", "bytecode.mjs"], cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, str] = json.loads(done.stdout)
    return found


async def deployed_hash(chain: Chain, address: str) -> str:
    """The hash of the code at an address, as whoever checks a configuration computes it."""
    return hex_of(keccak256(bytes.fromhex((await chain.rpc.call("eth_getCode", address, "latest"))[2:])))


class Ledger:
    """Balances on the chain, in coins and in the token."""

    def __init__(self, chain: Chain, token: Address) -> None:
        self._chain = chain
        self._token = hex_of(token)

    async def give(self, account: Address, amount: int) -> None:
        await self._chain.rpc.call("anvil_setBalance", hex_of(account), hex(amount))
        await self._chain.rpc.call("anvil_setStorageAt", self._token, _slot(account), "0x" + f"{amount:064x}")

    async def of(self, account: Address, *, coins: bool) -> int:
        if coins:
            return int(await self._chain.rpc.call("eth_getBalance", hex_of(account), "latest"), 16)
        return int(await self._chain.rpc.call("eth_getStorageAt", self._token, _slot(account), "latest"), 16)


async def send(chain: Chain, **transaction: Any) -> bool:
    """Whether a transaction of one of the chain's own accounts succeeds."""
    sent = {"gas": "0x1e8480"} | transaction
    found = await chain.rpc.call("eth_sendTransaction", sent)
    await chain.mine()
    receipt = await chain.rpc.call("eth_getTransactionReceipt", found)
    return bool(int(receipt["status"], 16))


def _slot(account: Address) -> str:
    return "0x" + account.hex().zfill(64)
