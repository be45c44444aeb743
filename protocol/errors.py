"""The client-visible error codes: one closed, append-only table.

Rows up to 7206 are those of the Identity Instrument's wire format; rows from 7300 are ours. The body of an error is
`{"error", "code", "msg", "cause", "status"}` in that order, `cause` left out when empty.
`cause` comes from a closed set of texts and never carries data taken from a secret (LP-01, LP-03).
"""

from dataclasses import dataclass
from typing import Final


class ProtocolError(Exception):
    """Bytes that do not follow a format of this package. `code` is stable; the text holds no input bytes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table: wire name, numeric code, HTTP status and fixed message."""

    name: str
    code: int
    status: int
    message: str


ENDPOINT_ERROR: Final = ErrorCode("WebrpcEndpoint", 0, 400, "endpoint error")
BAD_ROUTE: Final = ErrorCode("WebrpcBadRoute", -2, 404, "bad route")
BAD_METHOD: Final = ErrorCode("WebrpcBadMethod", -3, 405, "bad method")
BAD_REQUEST: Final = ErrorCode("WebrpcBadRequest", -4, 400, "bad request")

INTERNAL_ERROR: Final = ErrorCode("InternalError", 7100, 500, "Internal error")
ENCRYPTION_ERROR: Final = ErrorCode("EncryptionError", 7101, 500, "Encryption error")
DATABASE_ERROR: Final = ErrorCode("DatabaseError", 7102, 500, "Database error")
DATA_INTEGRITY_ERROR: Final = ErrorCode("DataIntegrityError", 7103, 500, "Data integrity error")
IDENTITY_PROVIDER_ERROR: Final = ErrorCode("IdentityProviderError", 7104, 500, "Identity provider error")
INVALID_REQUEST: Final = ErrorCode("InvalidRequest", 7200, 400, "The request was invalid")
INVALID_SIGNATURE: Final = ErrorCode("InvalidSignature", 7201, 400, "The signature was invalid")
KEY_NOT_FOUND: Final = ErrorCode("KeyNotFound", 7202, 404, "The authentication key was not found")
KEY_EXPIRED: Final = ErrorCode("KeyExpired", 7203, 400, "The authentication key expired")
SIGNER_NOT_FOUND: Final = ErrorCode("SignerNotFound", 7204, 404, "The signer was not found")
USAGE_LIMIT_EXCEEDED: Final = ErrorCode("UsageLimitExceeded", 7205, 429, "Too many requests")
PRECONDITION_FAILED: Final = ErrorCode(
    "PreconditionFailed", 7206, 412, "Precondition failed; try again with a higher nonce value"
)
PROOF_VERIFICATION_FAILED: Final = ErrorCode(
    "ProofVerificationFailed", 7002, 400, "The authentication proof could not be verified"
)
ANSWER_INCORRECT: Final = ErrorCode("AnswerIncorrect", 7003, 400, "The provided answer is incorrect")
CHALLENGE_EXPIRED: Final = ErrorCode("ChallengeExpired", 7004, 400, "The challenge has expired")
TOO_MANY_ATTEMPTS: Final = ErrorCode("TooManyAttempts", 7005, 400, "Too many attempts")
OAUTH_ERROR: Final = ErrorCode("OAuthError", 7006, 400, "Failed to exchange OAuth credentials")
ACCESS_ERROR: Final = ErrorCode("AccessError", 7007, 401, "Access error")

RIGHT_NOT_GRANTED: Final = ErrorCode("RightNotGranted", 7300, 403, "The scope does not grant this operation")
SESSION_NOT_FOUND: Final = ErrorCode("SessionNotFound", 7301, 404, "The session was not found")
SESSION_EXPIRED: Final = ErrorCode("SessionExpired", 7302, 401, "The session expired")
SESSION_REVOKED: Final = ErrorCode("SessionRevoked", 7303, 401, "The session was revoked")
SESSION_MISMATCH: Final = ErrorCode(
    "SessionMismatch", 7304, 403, "The session belongs to another key, origin, scope or boot"
)
REQUEST_EXPIRED: Final = ErrorCode("RequestExpired", 7305, 400, "The request expired or lies too far ahead")
UNDECODABLE: Final = ErrorCode("Undecodable", 7306, 400, "What was to be signed could not be decoded")
STALE_RECORD: Final = ErrorCode("StaleRecord", 7307, 500, "The store answered with an older record")
HOLDERS_UNAVAILABLE: Final = ErrorCode("HoldersUnavailable", 7308, 503, "Too few share holders are reachable")
NOT_SERVING: Final = ErrorCode("NotServing", 7309, 503, "The enclave is not serving")
BUSY: Final = ErrorCode("Busy", 7310, 503, "Too much work is waiting")
REQUEST_TOO_LARGE: Final = ErrorCode("RequestTooLarge", 7311, 413, "The request is too large")
DEADLINE_EXCEEDED: Final = ErrorCode("DeadlineExceeded", 7312, 504, "The request took too long")
ENCLAVE_UNREACHABLE: Final = ErrorCode("EnclaveUnreachable", 7313, 502, "The enclave cannot be reached")
CLOCK_UNTRUSTED: Final = ErrorCode("ClockUntrusted", 7314, 503, "The clocks of the enclave disagree")
CHANNEL_KEY_UNKNOWN: Final = ErrorCode("ChannelKeyUnknown", 7316, 409, "The channel key is not in use; attest again")
CHANNEL_UNOPENED: Final = ErrorCode("ChannelUnopened", 7317, 400, "The sealed request could not be opened")
CHANNEL_REPLAYED: Final = ErrorCode("ChannelReplayed", 7318, 409, "The sealed request was opened before")

ACCOUNT_FROZEN: Final = ErrorCode("AccountFrozen", 7330, 403, "The account is frozen")
ACCOUNT_CLOSED: Final = ErrorCode(
    "AccountClosed", 7331, 410, "This login was taken off its account, or deleted with it"
)
LOGIN_TAKEN: Final = ErrorCode("LoginTaken", 7332, 409, "The login leads to another account")
LAST_LOGIN: Final = ErrorCode("LastLogin", 7333, 409, "It is the last login of the account")
LOGIN_NOT_FRESH: Final = ErrorCode("LoginNotFresh", 7334, 401, "Log in again first")
NOT_DUE: Final = ErrorCode("NotDue", 7335, 409, "The waiting time is not over")
WALLET_NOT_FOUND: Final = ErrorCode("WalletNotFound", 7340, 404, "There is no smart wallet; create it first")
WALLET_RULE: Final = ErrorCode("WalletRule", 7341, 400, "A rule of the wallet forbids this")
SEALED_LOGIN_REQUIRED: Final = ErrorCode(
    "SealedLoginRequired", 7319, 403, "This scope takes logins through the sealed channel only"
)
ACCOUNT_ALREADY_LINKED: Final = ErrorCode("AccountAlreadyLinked", 7001, 409, "Account already linked")

DELEGATION_NOT_FOUND: Final = ErrorCode("DelegationNotFound", 7350, 404, "There is no such delegation")
DELEGATION_RULE: Final = ErrorCode("DelegationRule", 7351, 403, "A rule of delegations forbids this")
EXPOSURE_EXCEEDED: Final = ErrorCode("ExposureExceeded", 7352, 403, "More could leave than may be outstanding")
UNAUTHORIZED: Final = ErrorCode("Unauthorized", 1000, 401, "Unauthorized access")
TENANT_NOT_FOUND: Final = ErrorCode("TenantNotFound", 1001, 404, "Tenant not found")
TENANT_CONFLICT: Final = ErrorCode("TenantConflict", 7360, 409, "The tenant, or one of its access keys, is taken")
INVITATION_NOT_FOUND: Final = ErrorCode("InvitationNotFound", 7361, 404, "There is no such invitation any more")
INVITATION_REQUIRED: Final = ErrorCode("InvitationRequired", 7362, 403, "Sign-up takes an opened invitation")
INVITATION_USED: Final = ErrorCode("InvitationUsed", 7363, 409, "The invited person has signed up")

TABLE: Final[tuple[ErrorCode, ...]] = tuple(value for value in globals().values() if isinstance(value, ErrorCode))


def error_body(error: ErrorCode, cause: str = "") -> dict[str, str | int]:
    """The JSON object of an error, members in the order of the wire format."""
    body: dict[str, str | int] = {"error": error.name, "code": error.code, "msg": error.message}
    if cause:
        body["cause"] = cause
    body["status"] = error.status
    return body
