"""Whose signatures count for a wallet: told by its configuration, which proves itself.

A wallet's address is made of the hash of its first configuration, so anybody may show that one. Later ones count if the
guard itself has signed the update to their hash, which is written down before the signature is made, or if the wallet's
own updates lead to them.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from enclave.errors import Refusal
from enclave.guard.cosigners import Module
from enclave.guard.limits import MAX_APPROVED_UPDATES, MAX_WALLET_MODULES, MAX_WALLET_SIGNERS
from enclave.guard.signing_key import GuardKey
from enclave.guard.wallet_updates import verify_updates
from enclave.records import Conflict, Record, Records
from evm.address import ADDRESS_BYTES, Address
from evm.errors import EvmError
from evm.wallet.configuration import Configuration
from evm.wallet.context import Context
from evm.wallet.topology import SapientLeaf, SignerLeaf
from evm.wallet.values import HASH_BYTES
from evm.wallet.words import places
from protocol import errors, guard_errors

_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class KnownWallet:
    """A wallet that has shown a configuration: accounts and modules that sign for it.

    `approved`: image hashes that the guard has signed updates to. `since_s`: when it was shown first, in Unix seconds.
    """

    version: int
    signers: frozenset[Address] = frozenset()
    approved: tuple[bytes, ...] = ()
    modules: tuple[Module, ...] = ()
    since_s: int = 0


class WalletBook:
    """Known wallets, in sealed records."""

    def __init__(self, records: Records, key: GuardKey) -> None:
        self._records = records
        self._key = key

    async def find(self, wallet: Address) -> KnownWallet | None:
        """What is known about a wallet; None if it has shown nothing."""
        [record] = await self._records.load(self._records.key("guard-wallet", wallet))
        return None if record is None else _read(record)

    async def register(
        self,
        configuration: Configuration,
        context: Context,
        wallet: Address | None = None,
        updates: Sequence[bytes] = (),
    ) -> tuple[Address, KnownWallet]:
        """The wallet of this configuration, and all who count for it from now on.

        `wallet` is named for a later configuration; `updates` are the wallet's signatures that lead to it from the
        first one, for a guard that has not signed the last of them itself. VALIDATION_FAILED for one that is not the
        wallet's, that this guard does not guard, or that has too many signers.
        """
        signers = _signers(configuration)
        guard = await self._key.address()
        if guard not in signers or len(signers) > MAX_WALLET_SIGNERS:
            raise Refusal(guard_errors.VALIDATION_FAILED, "guard:configuration")
        made_of_it = context.wallet_address(configuration.image_hash)
        address = wallet or made_of_it
        later = None if address == made_of_it else configuration.image_hash
        if later is not None and updates:
            with suppress(EvmError):  # then it has to be one that this guard has signed
                verify_updates(address, configuration, context, updates)
                later = None
        return address, await self._add(address, signers - {guard}, later, _modules(configuration))

    async def register_child(self, wallet: Address, signers: Iterable[bytes]) -> None:
        """A wallet of the second generation, whose parent the caller has verified, and who signs beside the guard."""
        await self._add(wallet, frozenset(map(Address, signers)), None)

    async def _add(
        self,
        wallet: Address,
        signers: frozenset[Address],
        later: bytes | None,
        modules: Sequence[Module] = (),
    ) -> KnownWallet:
        """More signers of a wallet. `later`: the image hash of a configuration that has to be an approved one."""
        for _ in range(_TRIES):
            known = await self.find(wallet) or KnownWallet(0, since_s=self._records.now_s())
            if later is not None and later not in known.approved:
                raise Refusal(guard_errors.VALIDATION_FAILED, "guard:configuration")
            more = [module for module in modules if module not in known.modules]
            newest = (*known.modules, *more)[-MAX_WALLET_MODULES:]
            added = replace(known, signers=known.signers | signers, modules=newest)
            if len(added.signers) > MAX_WALLET_SIGNERS:
                raise Refusal(guard_errors.VALIDATION_FAILED, "guard:configuration")
            if added == known or await self._saved(wallet, added):
                return added
        raise Refusal(errors.BUSY)

    async def approve(self, wallet: Address, image_hash: bytes) -> None:
        """Write down, before it is signed, that an update of a known wallet leads to this configuration."""
        for _ in range(_TRIES):
            known = await self.find(wallet)
            if known is None or image_hash in known.approved:
                return
            approved = (*known.approved, image_hash)[-MAX_APPROVED_UPDATES:]
            if await self._saved(wallet, replace(known, approved=approved)):
                return
        raise Refusal(errors.BUSY)

    async def _saved(self, wallet: Address, known: KnownWallet) -> bool:
        key = self._records.key("guard-wallet", wallet)
        modules = b"".join(address + image_hash for address, image_hash in known.modules)
        body: list[Any] = [b"".join(sorted(known.signers)), b"".join(known.approved), modules, known.since_s]
        try:
            await self._records.save(self._records.change(key, known.version, body))
        except Conflict:
            return False
        return True


def _signers(configuration: Configuration) -> frozenset[Address]:
    """Every account with a weight, however deep in the tree."""
    leaves = [place.leaf for place in places(configuration.topology)]
    return frozenset(leaf.address for leaf in leaves if isinstance(leaf, SignerLeaf) and leaf.weight)


def _modules(configuration: Configuration) -> list[Module]:
    """Every module with a weight: passkeys, sessions."""
    leaves = [place.leaf for place in places(configuration.topology) if isinstance(place.leaf, SapientLeaf)]
    return list(dict.fromkeys((leaf.address, leaf.image_hash) for leaf in leaves if leaf.weight))


def _read(record: Record) -> KnownWallet:
    match record.body:
        case [bytes(signers), bytes(approved), bytes(modules), int(since_s)]:
            addresses = frozenset(map(Address, _pieces(signers, ADDRESS_BYTES)))
            pairs = _pieces(modules, ADDRESS_BYTES + HASH_BYTES)
            known = tuple([(Address(pair[:ADDRESS_BYTES]), pair[ADDRESS_BYTES:]) for pair in pairs])
            return KnownWallet(record.version, addresses, tuple(_pieces(approved, HASH_BYTES)), known, since_s)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
