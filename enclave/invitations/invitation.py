"""One invitation for each mail address of a tenant: made, opened by its link, and used up by the first login.

The record lies under the address, so that a login finds it without the link: clients that know nothing of invitations
log in as always. The link's code is kept as a hash. Whoever has the link alone has nothing: a login takes the mailbox.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from enclave.errors import Refusal
from enclave.invitations.events import Event, Events
from enclave.records import Conflict, Record, Records
from protocol import errors
from protocol.base64url import encode_b64u

ID_BYTES: Final = 16
_CODE_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class Invitation:
    """An opened record. `reference` is the inviter's word for the person; `wallet` is there once it was used."""

    version: int
    id: bytes
    email: str
    reference: str
    code_digest: bytes
    expires_s: int
    opened_s: int | None = None
    wallet: str | None = None

    def body(self) -> list[Any]:
        """What the record keeps."""
        facts = [self.id, self.email, self.reference, self.code_digest, self.expires_s]
        return [*facts, self.opened_s, self.wallet]


class Invitations:
    """Makes, opens and uses up invitations."""

    def __init__(self, records: Records, events: Events, random: Callable[[int], bytes]) -> None:
        self._records = records
        self._events = events
        self._random = random

    async def create(self, scope: str, email: str, reference: str, life_s: int) -> tuple[Invitation, str]:
        """An invitation of a normalised address, and the code of its link. One that was not used is replaced, and its
        link is good no more. INVITATION_USED, or BUSY.
        """
        held = await self.find(scope, email)
        if held is not None and held.wallet is not None:
            raise Refusal(errors.INVITATION_USED)
        code = encode_b64u(self._random(_CODE_BYTES))
        version = 0 if held is None else held.version
        expires_s = self._records.now_s() + life_s
        made = Invitation(version, self._random(ID_BYTES), email, reference, _digest(code), expires_s)
        await self._save(scope, made)
        return made, code

    async def open(self, scope: str, email: str, code: str) -> Invitation:
        """The invitation whose link has this code; opened from now on. INVITATION_NOT_FOUND for a wrong code, an
        address that is not invited, and after the end; INVITATION_USED.
        """
        held = await self.find(scope, email)
        if held is None or not hmac.compare_digest(held.code_digest, _digest(code)):
            raise Refusal(errors.INVITATION_NOT_FOUND)
        if held.wallet is not None:
            raise Refusal(errors.INVITATION_USED)
        if held.expires_s <= self._records.now_s():
            raise Refusal(errors.INVITATION_NOT_FOUND)
        if held.opened_s is None:
            held = replace(held, opened_s=self._records.now_s())
            await self._save(scope, held)
        return held

    async def find(self, scope: str, email: str) -> Invitation | None:
        """The invitation of an address, whatever became of it, or None."""
        [record] = await self._records.load(self._records.key("invitation", scope, email))
        return None if record is None else _read(record, email)

    async def admitted(self, scope: str, email: str, *, known: bool) -> Invitation | None:
        """The opened invitation of an address whose owner is logging in, if it is still to be used up.

        For somebody who has an account already (`known`) its end does not matter: the account may have been made in
        time, and the enclave stopped before it was written that the invitation was used.
        """
        held = await self.find(scope, email)
        if held is None or held.opened_s is None or held.wallet is not None:
            return None
        return held if known or self._records.now_s() < held.expires_s else None

    async def use(self, scope: str, held: Invitation, wallet: str) -> None:
        """Use an invitation up for a wallet, and write down the event about it, both or neither."""
        key = self._records.key("invitation", scope, held.email)
        event = Event(held.id, scope, held.reference, wallet, self._records.now_s())
        used = replace(held, wallet=wallet)
        try:
            await self._records.save(self._records.change(key, held.version, used.body()), self._events.change(event))
        except Conflict:  # by another login of the same person
            return
        self._events.add(event)

    async def _save(self, scope: str, made: Invitation) -> None:
        key = self._records.key("invitation", scope, made.email)
        try:
            await self._records.save(self._records.change(key, made.version, made.body()))
        except Conflict:
            raise Refusal(errors.BUSY) from None


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()


def _read(record: Record, email: str) -> Invitation:
    match record.body:
        case [bytes(id_), str(kept), str(reference), bytes(digest), int(expires_s), opened_s, wallet]:
            whole = (opened_s is None or isinstance(opened_s, int)) and (wallet is None or isinstance(wallet, str))
            if kept == email and whole:
                return Invitation(record.version, id_, kept, reference, digest, expires_s, opened_s, wallet)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)
