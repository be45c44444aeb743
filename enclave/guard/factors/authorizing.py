"""Who may be told about a wallet's factors, and who may change them: the authentication of the published wire.

A token of a provider says who the user is; a signature of one of the wallet's signers, or of the wallet, says that it
is theirs. A proof counts within five minutes of its time, in this boot, once: it is used up durably before its effect
(RB-03). The login's key alone gives none that changes anything: a wallet's signature has the guard's part in it, for
which the guard asks for a factor where there is one.
"""

from dataclasses import dataclass, field

from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.guard.factors.book import FactorBook
from enclave.guard.factors.proofs import CHAIN_ID, PROOF_WINDOW_S, ownership_digest
from enclave.guard.factors.record import User
from enclave.guard.factors.update_signatures import unwrap, verify_update
from enclave.guard.factors.users import Users
from enclave.guard.wallet_book import KnownWallet, WalletBook
from enclave.records import Conflict, Records
from evm.address import Address
from evm.errors import EvmError
from evm.message import PersonalMessage
from evm.signature import SIGNATURE_BYTES, parse_signature
from evm.wallet.legacy.signer import IsValidSignature, no_contract
from protocol import guard_errors
from protocol.services import SPENT_TABLE


@dataclass(frozen=True, slots=True)
class OwnershipProof:
    """`AuthMethods`, signed by an account. Parsed, nothing verified; `time_ms` in Unix milliseconds."""

    wallet: Address
    signer: Address
    time_ms: int
    chain_id: int
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class UpdateProof:
    """`AuthUpdate`, signed by a wallet, and the token of its user. Parsed, nothing verified."""

    token: str = field(repr=False)
    time_ms: int
    chain_id: int
    signature: bytes = field(repr=False)
    wallet: Address | None = None
    """Named by those who know of this member, our own; else it is the user's, or the one that ERC-6492 names."""


@dataclass(frozen=True, slots=True)
class Authorized:
    """A user whose wallet has signed. Made by `Authorizing` alone."""

    wallet: Address
    user: User


class Authorizing:
    """Verifies proofs."""

    def __init__(
        self,
        users: Users,
        wallets: WalletBook,
        book: FactorBook,
        records: Records,
        clock: TrustedClock,
        ask: IsValidSignature = no_contract,
        *,
        enrol_within_s: int,
    ) -> None:
        """`ask` is ERC-1271 for the contracts that sign for wallets of older generations: the guard's own."""
        self._users = users
        self._wallets = wallets
        self._book = book
        self._records = records
        self._clock = clock
        self._ask = ask
        self._enrol_within_s = enrol_within_s
        self._boot_ms = clock.now_ms()

    async def by_token(self, token: str) -> Address:
        """The wallet of the user whose token it is. `Refusal` UNAUTHORIZED."""
        wallet = await self._book.wallet_of(await self._users.verify(token))
        if wallet is None:
            raise _unauthorized("user")
        return wallet

    async def by_ownership(self, proof: OwnershipProof) -> Address:
        """The wallet of which an account that counts has signed. `Refusal` UNAUTHORIZED, NOT_FOUND."""
        known = await self._require_known(proof.wallet)
        time_s = self._require_near(proof.time_ms, proof.chain_id)
        digest = ownership_digest(proof.wallet, time_s)
        if proof.signer not in known.signers or not _signed(proof.signer, digest, proof.signature):
            raise _unauthorized("proof")
        await self._use_up("ownership", time_s, proof.wallet, proof.signer)
        return proof.wallet

    async def by_update(self, proof: UpdateProof, *, enrolling: bool = False) -> Authorized:
        """Whose wallet may be changed. Only who enrols a factor becomes the user of a wallet that has none.

        `Refusal` UNAUTHORIZED, NOT_FOUND for an unknown wallet; PERMISSION_DENIED `guard:enrolment-over`.
        """
        user = await self._users.verify(proof.token)
        try:
            signature, claimed = unwrap(proof.signature)
        except EvmError:
            raise _unauthorized("proof") from None
        wallet = proof.wallet or claimed or await self._book.wallet_of(user)
        if wallet is None:
            raise _unauthorized("user")
        known = await self._require_known(wallet)
        time_s = self._require_near(proof.time_ms, proof.chain_id)
        try:
            verify_update(signature, wallet, time_s, known.approved, self._ask)
        except EvmError:
            raise _unauthorized("proof") from None
        bound = (await self._book.load(wallet)).user
        if bound != user:
            if bound is not None or not enrolling:
                raise _unauthorized("user")
            if self._clock.now_s() > known.since_s + self._enrol_within_s:
                raise Refusal(guard_errors.PERMISSION_DENIED, "guard:enrolment-over")
        await self._use_up("update", time_s, wallet)
        return Authorized(wallet, user)

    async def _require_known(self, wallet: Address) -> KnownWallet:
        known = await self._wallets.find(wallet)
        if known is None:
            raise Refusal(guard_errors.NOT_FOUND, "guard:wallet")
        return known

    def _require_near(self, time_ms: int, chain_id: int) -> int:
        """The second of a proof that counts now: not from before this boot, whose used proofs a host could hide."""
        if chain_id != CHAIN_ID:
            raise _unauthorized("proof")
        if abs(time_ms - self._clock.now_ms()) > PROOF_WINDOW_S * 1000 or time_ms < self._boot_ms:
            raise _unauthorized("proof-time")
        return time_ms // 1000

    async def _use_up(self, kind: str, time_s: int, *whose: bytes) -> None:
        key = self._records.key(SPENT_TABLE, "guard-proof", kind, str(time_s), *whose)
        try:
            await self._records.save(self._records.change(key, 0, self._clock.now_s()))
        except Conflict:
            raise _unauthorized("proof-used") from None


def _signed(signer: Address, digest: bytes, data: bytes) -> bool:
    """Whether an account signed, the digest itself or as a message; a byte for the type may follow."""
    try:
        signature = parse_signature(data[:SIGNATURE_BYTES])
        return len(data) <= SIGNATURE_BYTES + 1 and signer in (
            signature.recover(digest),
            signature.recover(PersonalMessage(digest, None).digest),
        )
    except EvmError:
        return False


def _unauthorized(what: str) -> Refusal:
    return Refusal(guard_errors.UNAUTHORIZED, f"guard:{what}")
