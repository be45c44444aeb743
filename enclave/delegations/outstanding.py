"""Outstanding authority: what delegations that were signed can still cost, held against measured caps (SE-11).

The exposure of a grant is on the ledgers of its account and of its scope before it is signed, and leaves them when the
grant has expired. Nothing else gives it back: the enclave cannot see the chain, and a delegation that was disabled
there can be enabled again (ADR 0074).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from enclave.delegations.limits import RELEASE_AFTER_S
from enclave.delegations.policy import Asset, Caps
from enclave.errors import Refusal
from enclave.ledger import ID_BYTES, Entry, Ledger
from enclave.ledgers import Ledgers
from enclave.records import Records
from evm.delegations.rules import VerifiedGrant
from evm.delegations.terms import Revocations
from protocol import errors
from protocol.services import RecordKey

_NO_WINDOW_S: Final = 0  # an entry's time is when it ends


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What can still leave of one asset, in base units, and what may be outstanding at the most."""

    account: int
    scope: int
    caps: Caps


class OutstandingAuthority:
    """The ledgers of all accounts and scopes. One instance a worker."""

    def __init__(self, records: Records, now_s: Callable[[], int]) -> None:
        self._records = records
        self._now_s = now_s
        self._ledgers = Ledgers(records, now_s)

    async def of(self, scope: str, account: str, chain_id: int, asset: Asset, caps: Caps) -> Outstanding:
        """What is outstanding now. `Refusal` where records cannot be read."""
        now_s = self._now_s()
        ledgers = await self._ledgers.load(self._keys(scope, account, chain_id, asset))
        used = [ledger.spent(now_s, _NO_WINDOW_S) for ledger in ledgers]
        return Outstanding(used[0], used[1], caps)

    async def reserve(self, scope: str, account: str, verified: VerifiedGrant, caps: Caps | None) -> None:
        """Put the grant's exposure on both ledgers, or neither: durable on return. Once for one delegation.

        EXPOSURE_EXCEEDED where a cap would be passed, or there is none; or what keeps records from working.
        """
        grant = verified.grant
        if isinstance(grant.limit, Revocations):
            return  # nothing leaves
        if caps is None:
            raise Refusal(errors.EXPOSURE_EXCEEDED, "delegation-asset")
        entry = Entry(grant.expires_at_s + RELEASE_AFTER_S, verified.exposure, verified.delegation.hash[:ID_BYTES])
        limits = (("delegation-outstanding-account", caps.account), ("delegation-outstanding-scope", caps.scope))

        def reserved(ledgers: Sequence[Ledger], now_s: int) -> list[Ledger]:
            changed = []
            for ledger, (cause, most) in zip(ledgers, limits, strict=True):
                if ledger.holds(entry.id):
                    changed.append(ledger)
                    continue
                if ledger.spent(now_s, _NO_WINDOW_S) + entry.amount > most:
                    raise Refusal(errors.EXPOSURE_EXCEEDED, cause)
                changed.append(ledger.drawn(now_s, _NO_WINDOW_S, entry))
            return changed

        await self._ledgers.change(self._keys(scope, account, verified.chain_id, grant.asset), reserved)

    def _keys(self, scope: str, account: str, chain_id: int, asset: Asset) -> list[RecordKey]:
        what = (scope, str(chain_id), "native" if asset is None else asset.hex())
        return [
            self._records.key("outstanding-account", *what, account),
            self._records.key("outstanding-scope", *what),
        ]
