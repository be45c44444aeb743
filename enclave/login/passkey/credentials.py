"""Registered passkeys: one sealed record for each credential of a site in a scope, with its key and counter."""

from dataclasses import dataclass
from typing import Final

from enclave.errors import Refusal
from enclave.login.passkey.authenticator_data import AuthenticatorData, NewCredential
from enclave.login.passkey.public_key import PasskeyPublicKey, read_public_key
from enclave.records import Conflict, Records
from protocol.errors import BUSY, DATA_INTEGRITY_ERROR, INVALID_REQUEST, PROOF_VERIFICATION_FAILED
from protocol.services import RecordKey

_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class Credential:
    """An opened record."""

    key: RecordKey
    version: int
    id: bytes
    public_key: PasskeyPublicKey
    sign_count: int
    backup_eligible: bool


class Credentials:
    """Adds credentials, finds them, and moves their counters."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def add(self, scope: str, rp_id: str, made: NewCredential, data: AuthenticatorData) -> None:
        """Keep a new credential. INVALID_REQUEST when there is one of that id, whoever's it is."""
        body = [made.id, made.public_key.encoded, data.sign_count, data.backup_eligible]
        try:
            await self._records.save(self._records.change(self._key(scope, rp_id, made.id), 0, body))
        except Conflict:
            raise Refusal(INVALID_REQUEST, "the passkey is registered") from None

    async def find(self, scope: str, rp_id: str, credential_id: bytes) -> Credential:
        """The credential of that id; PROOF_VERIFICATION_FAILED when there is none."""
        key = self._key(scope, rp_id, credential_id)
        [record] = await self._records.load(key)
        if record is None:
            raise Refusal(PROOF_VERIFICATION_FAILED, "passkey is unknown")
        match record.body:
            case [bytes(id_), bytes(encoded), int(count), bool(backup_eligible)] if id_ == credential_id:
                return Credential(key, record.version, id_, read_public_key(encoded), count, backup_eligible)
        raise Refusal(DATA_INTEGRITY_ERROR)

    async def advance(self, scope: str, rp_id: str, credential_id: bytes, data: AuthenticatorData) -> None:
        """Take the counter of a verified assertion, durably, before it has an effect (section 6.1.1).

        PROOF_VERIFICATION_FAILED when it does not rise, which means that the authenticator was copied, or that this
        assertion was used before. Authenticators without a counter always say 0.
        """
        for _ in range(_TRIES):
            known = await self.find(scope, rp_id, credential_id)
            if data.sign_count == known.sign_count == 0:
                return None
            if data.sign_count <= known.sign_count:
                raise Refusal(PROOF_VERIFICATION_FAILED, "passkey counter did not rise")
            body = [known.id, known.public_key.encoded, data.sign_count, known.backup_eligible]
            try:
                return await self._records.save(self._records.change(known.key, known.version, body))
            except Conflict:
                continue
        raise Refusal(BUSY)

    def _key(self, scope: str, rp_id: str, credential_id: bytes) -> RecordKey:
        return self._records.key("passkey", scope, rp_id, credential_id)
