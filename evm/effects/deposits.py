"""Assets that are handed over and come back in another form: wrapped coins, vaults, lending, staking, bridges.

Prices are not known here. What is paid in leaves for the contract, or, where somebody else gets what comes of it, for
that somebody; coins sent along are the beneficiary's to take. What a vault pays out leaves as the vault's own token.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from evm.address import ADDRESS_BYTES, Address
from evm.effects.call import Call, reads
from evm.effects.model import ALL, COIN, Effect, Kind
from evm.effects.tokens import approval, transfer
from evm.effects.user_operations import ENTRY_POINTS

_WORD_PADDING: Final = bytes(32 - ADDRESS_BYTES)
_EXECUTION_CREDENTIALS: Final = (0x01, 0x02)  # withdrawals go to an address: EIP-4895, EIP-7251


def coins_for(call: Call, beneficiary: Address | None) -> Effect:
    """The coins that are sent along become somebody's to take, or whatever they are turned into."""
    return call.effect(Kind.APPROVAL, counterparty=beneficiary, asset=COIN, amount=call.value)


def paid_in(call: Call, token: Address, amount: int, beneficiary: Address | None) -> Effect:
    """The sender pays a token in, for itself or for somebody else."""
    to = call.to if beneficiary == call.sender else beneficiary
    return transfer(call, call.asset("erc20", token=token), call.sender, to, amount)


def word_address(word: bytes) -> Address | None:
    """The account in a word, as bridges write it; None for one that no chain of ours has."""
    return Address(word[-ADDRESS_BYTES:]) if word[:-ADDRESS_BYTES] == _WORD_PADDING else None


@reads("deposit()", "submit(address)", "stake()")
def _wrap(call: Call, *_referral: Address) -> Iterable[Effect]:
    """WETH, staking pools: what comes of the coins is the sender's."""
    return [coins_for(call, call.sender)]


@reads("withdraw(uint256)")
def _unwrap(call: Call, amount: int) -> Iterable[Effect]:
    """WETH, and vaults that count in their own token: it is given to the contract, which pays the sender."""
    return [transfer(call, call.asset("erc20"), call.sender, call.to, amount)]


@reads("depositTo(address)")
def _deposit_to(call: Call, who: Address) -> Iterable[Effect]:
    """Entry points of ERC-4337, and wrapped coins for somebody."""
    return [coins_for(call, who)]


@reads("withdrawTo(address,uint256)")
def _withdraw_to(call: Call, to: Address, amount: int) -> Iterable[Effect]:
    """The sender's deposit at an entry point; elsewhere the wrapped token."""
    if call.to in ENTRY_POINTS:
        return [call.coins(to, amount)]
    return [transfer(call, call.asset("erc20"), call.sender, to, amount)]


@reads("depositFor(address,uint256)")
def _deposit_for(call: Call, who: Address, amount: int) -> Iterable[Effect]:
    """Wrappers of ERC-20: the wrapped token is as if it went on to `who`."""
    return [transfer(call, call.asset("erc20"), call.sender, who, amount)]


@reads("deposit(uint256,address)")
def _vault_deposit(call: Call, _assets: int, receiver: Address) -> Iterable[Effect]:
    """ERC-4626: how many shares that is, the vault says later; they are as if they went on to the receiver."""
    return [transfer(call, call.asset("erc20"), call.sender, receiver, ALL)]


@reads("mint(uint256,address)")
def _vault_mint(call: Call, shares: int, receiver: Address) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20"), call.sender, receiver, shares)]


@reads("withdraw(uint256,address,address)")
def _vault_withdraw(call: Call, _assets: int, receiver: Address, owner: Address) -> Iterable[Effect]:
    """How many of the owner's shares that takes is not said."""
    return [transfer(call, call.asset("erc20"), owner, receiver, ALL)]


@reads("redeem(uint256,address,address)")
def _vault_redeem(call: Call, shares: int, receiver: Address, owner: Address) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20"), owner, receiver, shares)]


@reads("supply(address,uint256,address,uint16)", "deposit(address,uint256,address,uint16)")
def _lend(call: Call, token: Address, amount: int, beneficiary: Address, _referral: int) -> Iterable[Effect]:
    """Aave."""
    return [paid_in(call, token, amount, beneficiary)]


@reads("withdraw(address,uint256,address)")
def _lend_back(call: Call, token: Address, amount: int, to: Address) -> Iterable[Effect]:
    return [transfer(call, call.asset("erc20", token=token), call.sender, to, amount)]


@reads("approveDelegation(address,uint256)")
def _lend_credit(call: Call, who: Address, amount: int) -> Iterable[Effect]:
    """Somebody may borrow on the sender's account."""
    return [approval(call, call.asset("erc20"), call.sender, who, amount, None)]


@reads("requestWithdrawals(uint256[],address)")
def _unstake(call: Call, amounts: Sequence[int], owner: Address) -> Iterable[Effect]:
    """Lido's queue, which is not the token itself: which token it takes is not said, `owner` can claim."""
    to = call.to if owner == call.sender else owner
    return [transfer(call, call.asset("erc20"), call.sender, to, sum(amounts))]


@reads("deposit(bytes,bytes,bytes,bytes32)")
def _stake_validator(call: Call, _key: bytes, credentials: bytes, *_signature_root: bytes) -> Iterable[Effect]:
    """The deposit contract of the beacon chain: who gets the stake back stands in the credentials."""
    executes = len(credentials) == 32 and credentials[0] in _EXECUTION_CREDENTIALS
    return [coins_for(call, word_address(b"\0" + credentials[1:]) if executes else None)]


@reads("depositETH(uint32,bytes)", "bridgeETH(uint32,bytes)", "depositEth()")
def _bridge_coins(call: Call, *_gas_and_data: object) -> Iterable[Effect]:
    return [coins_for(call, call.sender)]


@reads("depositETHTo(address,uint32,bytes)", "bridgeETHTo(address,uint32,bytes)")
def _bridge_coins_to(call: Call, to: Address, *_gas_and_data: object) -> Iterable[Effect]:
    return [coins_for(call, to)]


@reads("depositERC20(address,address,uint256,uint32,bytes)", "bridgeERC20(address,address,uint256,uint32,bytes)")
def _bridge(call: Call, token: Address, _other: Address, amount: int, *_gas_and_data: object) -> Iterable[Effect]:
    return [paid_in(call, token, amount, call.sender)]


@reads(
    "depositERC20To(address,address,address,uint256,uint32,bytes)",
    "bridgeERC20To(address,address,address,uint256,uint32,bytes)",
)
def _bridge_to(
    call: Call, token: Address, _other: Address, to: Address, amount: int, *_gas_and_data: object
) -> Iterable[Effect]:
    return [paid_in(call, token, amount, to)]


@reads("depositForBurn(uint256,uint32,bytes32,address)")
def _bridge_by_burning(call: Call, amount: int, _domain: int, to: bytes, token: Address) -> Iterable[Effect]:
    """Circle's bridge."""
    return [paid_in(call, token, amount, word_address(to))]
