"""Factors that are shown for one request alone: a code by mail, a passkey, an ID token. Our own, beside the published.

Each answers a challenge that is about the wallet and the very digest that is to be signed. They are verified by what
verifies logins; none can be guessed, so none is counted.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal, TypeAlias

import msgspec

from enclave.errors import Refusal
from enclave.guard.factors.book import FactorBook
from enclave.guard.factors.challenges import Challenges
from enclave.guard.factors.record import Factors, Passkey
from enclave.guard.factors.recovery_codes import is_same_code
from enclave.guard.factors.users import Users
from enclave.guard.limits import MAX_FACTOR_CHALLENGE_CHARS
from enclave.login.id_token import parse_unverified_claims
from enclave.login.passkey.authenticator_data import NewCredential, parse_authenticator_data
from enclave.login.passkey.client_data import verify_client_data
from enclave.login.passkey.public_key import read_public_key
from enclave.login.passkey.response import parse_assertion, parse_registration
from evm.address import Address
from protocol import canonical_json, guard_errors, limits
from protocol.errors import PROOF_VERIFICATION_FAILED, ProtocolError

Kind: TypeAlias = Literal["Email", "Passkey", "OIDC"]
KINDS: Final[tuple[Kind, ...]] = ("Email", "Passkey", "OIDC")


@dataclass(frozen=True, slots=True)
class Site:
    """What passkeys are for, and where browsers use them; without a name there are none."""

    name: str = ""
    origins: tuple[str, ...] = ()


class BoundFactors:
    """Issues challenges about requests, and verifies what answers them."""

    def __init__(self, challenges: Challenges, users: Users, book: FactorBook, site: Site) -> None:
        self.challenges = challenges
        self.site = site
        self._users = users
        self._book = book

    def challenge(self, kind: Kind, wallet: Address, digest: bytes) -> str:
        """What the factor has to answer, about this digest alone."""
        return self.challenges.issue(kind, wallet, digest)

    async def take(self, kind: Kind, wallet: Address, digest: bytes, shown: str) -> bool:
        """Whether the wallet's factor of this kind was shown for this digest; its challenge is then used up."""
        factors = await self._book.load(wallet)
        try:
            match kind:
                case "Email":
                    await self._take_code(factors, wallet, digest, shown)
                case "Passkey":
                    await self._take_assertion(factors, wallet, digest, shown)
                case "OIDC":
                    await self._take_token(factors, wallet, digest, shown)
        except Refusal as refusal:
            if refusal.error in (guard_errors.UNAUTHORIZED, PROOF_VERIFICATION_FAILED):
                return False
            raise
        return True

    async def _take_code(self, factors: Factors, wallet: Address, digest: bytes, shown: str) -> None:
        """`<challenge>.<code>`."""
        challenge, _, code = shown.partition(".")
        if not factors.email or not self.is_code(challenge, code):
            raise _wrong()
        await self.challenges.use_up(challenge, "Email", wallet, digest)

    async def _take_assertion(self, factors: Factors, wallet: Address, digest: bytes, shown: str) -> None:
        given, kept = parse_assertion(shown), factors.passkey
        if kept is None or given.credential_id != kept.id:
            raise _wrong()
        challenge = _challenge_in(given.client_data)
        verify_client_data(given.client_data, "get", challenge, self.site.origins)
        data = parse_authenticator_data(given.authenticator_data, self.site.name, created=False)
        signed = given.authenticator_data + sha256(given.client_data).digest()
        read_public_key(kept.public_key).verify(given.signature, signed)
        await self.challenges.use_up(challenge, "Passkey", wallet, digest)
        await self._book.change(wallet, lambda now: _counted(now, kept.id, data.sign_count))

    async def _take_token(self, factors: Factors, wallet: Address, digest: bytes, shown: str) -> None:
        nonce = parse_unverified_claims(shown).get("nonce")
        if not factors.oidc or not isinstance(nonce, str):
            raise _wrong()
        if await self._users.verify(shown, nonce=nonce) != factors.user:
            raise _wrong()
        await self.challenges.use_up(nonce, "OIDC", wallet, digest)

    def is_code(self, challenge: str, code: str) -> bool:
        """Whether this is the code of a challenge, however it was typed."""
        return len(challenge) <= MAX_FACTOR_CHALLENGE_CHARS and is_same_code(self.challenges.code(challenge), code)

    async def made(self, wallet: Address, registration: str) -> Passkey:
        """The passkey that was made for a challenge of the kind `create` about the wallet, which is used up."""
        given = parse_registration(registration)
        challenge = _challenge_in(given.client_data)
        verify_client_data(given.client_data, "create", challenge, self.site.origins)
        data = parse_authenticator_data(given.authenticator_data, self.site.name, created=True)
        credential: NewCredential | None = data.credential
        if credential is None or credential.id != given.credential_id:
            raise _wrong()
        await self.challenges.use_up(challenge, "create", wallet)
        return Passkey(credential.id, credential.public_key.encoded, data.sign_count)


def _counted(factors: Factors, credential: bytes, count: int) -> Factors:
    """With the counter of an assertion taken (Web Authentication section 6.1.1)."""
    kept = factors.passkey
    if kept is None or kept.id != credential or (count <= kept.sign_count and (count or kept.sign_count)):
        raise _wrong()
    return msgspec.structs.replace(factors, passkey=Passkey(kept.id, kept.public_key, count))


def _challenge_in(client_data: bytes) -> str:
    """The challenge that a browser says it answered; it names itself, and is verified as a whole afterwards."""
    try:
        members = canonical_json.parse(client_data, max_bytes=limits.MAX_CLIENT_DATA_BYTES)
    except ProtocolError:
        raise _wrong() from None
    challenge = members.get("challenge") if isinstance(members, dict) else None
    if not isinstance(challenge, str):
        raise _wrong()
    return challenge


def _wrong() -> Refusal:
    return Refusal(guard_errors.UNAUTHORIZED, "guard:factor")
