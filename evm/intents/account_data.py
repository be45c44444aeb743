"""What intents about logins, sessions and accounts hold: one class for each, read strictly."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final, TypeAlias

from evm.address import Address
from evm.intents.errors import IntentError
from evm.intents.fields import Member, address, boolean, text
from evm.intents.session_key import SessionKey, parse_session_key
from protocol import limits

MAX_VERIFIER_BYTES: Final = 512  # a mail address and a session id, or a hash and a time
MAX_NONCE_BYTES: Final = 128  # of ID tokens and proofs; the original's


class IdentityType(Enum):
    """Who vouches for a user."""

    NONE = "None"
    GUEST = "Guest"
    OIDC = "OIDC"
    EMAIL = "Email"
    PLAYFAB = "PlayFab"
    STYTCH = "Stytch"
    TWITTER = "Twitter"


def _session(value: object, _: str) -> SessionKey:
    return parse_session_key(value)


def _identity_type(value: object, code: str) -> IdentityType:
    try:
        return IdentityType(value)
    except ValueError:
        raise IntentError(code) from None


Session: TypeAlias = Annotated[SessionKey, Member("sessionId", _session)]
Wallet: TypeAlias = Annotated[Address, Member("wallet", address)]


@dataclass(frozen=True, slots=True)
class InitiateAuth:
    """A login begins."""

    session: Session
    identity_type: Annotated[IdentityType, Member("identityType", _identity_type)]
    verifier: Annotated[str, Member("verifier", text(MAX_VERIFIER_BYTES))]
    metadata: Annotated[str | None, Member("metadata", text())] = None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A login ends. `email` and `id_token` are of older clients."""

    session: Session
    identity_type: Annotated[IdentityType | None, Member("identityType", _identity_type)] = None
    verifier: Annotated[str | None, Member("verifier", text(MAX_VERIFIER_BYTES))] = None
    answer: Annotated[str | None, Member("answer", text())] = None
    force_create_account: Annotated[bool | None, Member("forceCreateAccount", boolean)] = None
    email: Annotated[str | None, Member("email", text(limits.MAX_EMAIL_BYTES))] = None
    id_token: Annotated[str | None, Member("idToken", text())] = None


@dataclass(frozen=True, slots=True)
class CloseSession:
    """A session of the same user ends."""

    session: Session


@dataclass(frozen=True, slots=True)
class OfWallet:
    """Asks for what belongs to a wallet: `listSessions`, `listAccounts`, `getAdopter`."""

    wallet: Wallet


@dataclass(frozen=True, slots=True)
class GetSession:
    """Asks whether the session has been validated."""

    session: Session
    wallet: Wallet


@dataclass(frozen=True, slots=True)
class ValidateSession:
    """The session is to be validated by another factor."""

    session: Session
    wallet: Wallet
    device_metadata: Annotated[str, Member("deviceMetadata", text())]


@dataclass(frozen=True, slots=True)
class FinishValidateSession:
    """The other factor's answer."""

    session: Session
    wallet: Wallet
    salt: Annotated[str, Member("salt", text(MAX_VERIFIER_BYTES))]
    challenge: Annotated[str, Member("challenge", text(MAX_VERIFIER_BYTES))]


@dataclass(frozen=True, slots=True)
class FederateAccount:
    """Another login way for the same user."""

    session: Session
    wallet: Wallet
    identity_type: Annotated[IdentityType, Member("identityType", _identity_type)]
    verifier: Annotated[str | None, Member("verifier", text(MAX_VERIFIER_BYTES))] = None
    answer: Annotated[str | None, Member("answer", text())] = None


@dataclass(frozen=True, slots=True)
class RemoveAccount:
    """One login way less."""

    wallet: Wallet
    account_id: Annotated[str, Member("accountId", text(MAX_VERIFIER_BYTES))]


@dataclass(frozen=True, slots=True)
class GetIdToken:
    """Asks for an ID token of the service about the user."""

    session: Session
    wallet: Wallet
    nonce: Annotated[str | None, Member("nonce", text(MAX_NONCE_BYTES))] = None


@dataclass(frozen=True, slots=True)
class ConfirmIntent:
    """The answer to a confirmation that the guard asked for."""

    wallet: Wallet
    confirmation_id: Annotated[str, Member("confirmationID", text(MAX_VERIFIER_BYTES))]
    answer: Annotated[str, Member("challengeAnswer", text(MAX_VERIFIER_BYTES))]


@dataclass(frozen=True, slots=True)
class GetConfirmationStatus:
    """Asks whether it has been confirmed."""

    wallet: Wallet
    confirmation_id: Annotated[str, Member("confirmationID", text(MAX_VERIFIER_BYTES))]
