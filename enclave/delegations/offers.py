"""What was shown and may be granted: in the RAM of this boot, for a few minutes, to the device that asked.

An offer is signed as it was shown or not at all. A restart voids all of them, and no store can bring one back (RB-04).
"""

from dataclasses import dataclass

from attestation.lru import Lru
from enclave.delegations.limits import MAX_OFFERING_DEVICES, MAX_OFFERS, OFFER_S
from enclave.delegations.proposals import Proposal


@dataclass(frozen=True, slots=True)
class Offered:
    """A proposal that was shown. `deadline_ms` is monotonic."""

    proposal: Proposal
    deadline_ms: int


class Offers:
    """The offers of a worker, by device and hash."""

    def __init__(self) -> None:
        self._of: Lru[tuple[str, str], dict[bytes, Offered]] = Lru(MAX_OFFERING_DEVICES)

    def add(self, scope: str, device: str, proposal: Proposal, now_ms: int) -> None:
        """Remember what is about to be shown."""
        live = self._live(scope, device, now_ms)
        while len(live) >= MAX_OFFERS:
            del live[next(iter(live))]
        live[proposal.hash] = Offered(proposal, now_ms + OFFER_S * 1000)
        self._of.put((scope, device), live)

    def find(self, scope: str, device: str, hash_: bytes, now_ms: int) -> Proposal | None:
        """What was shown to this device under this hash, while it stands."""
        found = self._live(scope, device, now_ms).get(hash_)
        return None if found is None else found.proposal

    def _live(self, scope: str, device: str, now_ms: int) -> dict[bytes, Offered]:
        known = self._of.get((scope, device)) or {}
        return {hash_: each for hash_, each in known.items() if now_ms < each.deadline_ms}
