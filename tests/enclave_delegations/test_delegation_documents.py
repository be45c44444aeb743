"""No method that signs documents signs a delegation: a contract would take it for the word of the account or wallet."""

from pathlib import Path
from typing import Any

from evm.address import Address, checksum
from evm.delegations.deployment import METAMASK
from tests.appliance import World
from tests.enclave_wallet.wallet_support import SmartUser, refused, wallet_scopes
from tests.evm_delegations.samples import CHAIN, delegation


def document(delegator: Address) -> dict[str, Any]:
    return delegation(delegator=delegator).document(METAMASK.manager, CHAIN)


async def test_wallets_of_both_generations_sign_no_delegation(pki_folder: Path) -> None:
    world = World(pki_folder, scopes=wallet_scopes())
    await world.boot()
    user = await SmartUser.with_wallet(world)
    by_wallet = await refused(user.ask("SignPayload", chainId=CHAIN, typedData=document(user.wallet)))
    assert (by_wallet.name, by_wallet.cause) == ("WalletRule", "wallet-asked-delegation")
    legacy = {"parent": checksum(Address(b"\x0a" * 20)), "user": "1", "userSalt": "0x" + "17" * 32}
    asked = {"session": user.session, "chainId": CHAIN, "typedData": document(user.wallet), **legacy}
    by_legacy = await refused(user.client.own("/rpc/LegacyWallet/Sign", **asked))
    assert (by_legacy.name, by_legacy.cause) == ("WalletRule", "wallet-legacy-delegation")
    await world.stop()
