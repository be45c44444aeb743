"""Reading the members of `params`: type, size and grammar, with the wire's cause texts.

A member of the wrong JSON type fails as the original's decoder does (BAD_REQUEST); a value that breaks a rule is
INVALID_REQUEST "invalid params: …".
"""

import re
from typing import Any, Final, NoReturn

import msgspec

from enclave.auth_key import Key, parse_key
from enclave.config import ClientSecret, Config, Scope
from enclave.config.oidc import validate_secret
from enclave.errors import BootError, Refusal
from enclave.identity import KINDS, IdentityKind
from enclave.login.proofs import LoginAnswer
from enclave.rpc.envelope import SignedCall
from protocol import errors, limits

AUTH_MODES: Final = ("OTP", "IDToken", "AccessToken", "AuthCode", "AuthCodePKCE", "Passkey")
_SCOPE: Final = re.compile(r"@[1-9][0-9]*(?::[A-Za-z0-9_-]+)?\Z")
_NONCE: Final = re.compile(r"0[xX][0-9a-fA-F]{1,80}\Z")
_MEMBER: Final = re.compile(r"[A-Za-z0-9_]+\Z")
_DIGEST: Final = re.compile(r"0[xX][0-9a-fA-F]{64}\Z")


def invalid(cause: str) -> NoReturn:
    """INVALID_REQUEST "invalid params: <cause>"."""
    raise Refusal(errors.INVALID_REQUEST, f"invalid params: {cause}")


def undecodable(name: str) -> NoReturn:
    """BAD_REQUEST: a member has a JSON type that the method does not take."""
    raise Refusal(errors.BAD_REQUEST, f"failed to unmarshal request data: {name}")


def text(params: dict[str, Any], name: str, *, max_bytes: int = limits.MAX_HANDLE_BYTES) -> str:
    """A string member; absent and null are empty, longer than `max_bytes` is "<name> is too long"."""
    value = params.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        undecodable(name)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        undecodable(name)
    if size > max_bytes:
        invalid(f"{name} is too long")
    return value


def choice(params: dict[str, Any], name: str, values: tuple[str, ...], cause: str) -> str:
    """A string member out of `values`; `cause` otherwise."""
    value = text(params, name, max_bytes=limits.MAX_BODY_BYTES)
    if value not in values:
        invalid(cause)
    return value


def signer(params: dict[str, Any], *, required: bool) -> Key | None:
    """The `signer` member."""
    value = params.get("signer")
    if value is None and not required:
        return None
    if value is not None and not isinstance(value, dict):
        undecodable("signer")
    key = parse_key(value)
    if key is None:
        invalid("invalid signer")
    return key


def metadata(params: dict[str, Any]) -> dict[str, str]:
    """The `metadata` member: at most 10 short texts."""
    value = params.get("metadata")
    if value is None:
        return {}
    if not isinstance(value, dict) or any(type(item) is not str for item in value.values()):
        undecodable("metadata")
    if len(value) > limits.MAX_METADATA_ENTRIES:
        invalid("too many metadata entries")
    if any(len(name.encode()) > limits.MAX_METADATA_KEY_BYTES for name in value):
        invalid("metadata key is too long")
    for name, item in value.items():
        if len(item.encode()) > limits.MAX_METADATA_VALUE_BYTES:
            shown = name if _MEMBER.match(name) else "?"
            invalid(f"metadata value for key {shown} is too long")
    return value


def nonce(params: dict[str, Any]) -> int:
    """The `nonce` member: a hex quantity of at most 30 decimal digits."""
    value = text(params, "nonce", max_bytes=limits.MAX_BODY_BYTES)
    if not value:
        invalid("nonce is required")
    if not _NONCE.match(value):
        invalid("invalid nonce")
    number = int(value, 16)
    if number >= 10**limits.MAX_NONCE_DIGITS:
        invalid("nonce is too long")
    return number


def digest(params: dict[str, Any]) -> bytes:
    """The `digest` member: exactly 32 bytes."""
    value = text(params, "digest", max_bytes=limits.MAX_BODY_BYTES)
    if not _DIGEST.match(value):
        invalid("invalid digest")
    return bytes.fromhex(value[2:])


def lifetime_s(params: dict[str, Any], config: Config) -> int:
    """The `lifetime` member in seconds, default and ceiling from the configuration; 0 is expired at once."""
    value = params.get("lifetime")
    if value is None:
        return config.limits.session_s
    if type(value) is not int or value < 0:
        undecodable("lifetime")
    return min(value, config.limits.session_ceiling_s)


def identity_type(params: dict[str, Any]) -> IdentityKind:
    """The `identityType` member."""
    value = choice(params, "identityType", KINDS, "invalid identity type")
    return next(kind for kind in KINDS if kind == value)


def auth_mode(params: dict[str, Any]) -> str:
    """The `authMode` member: a published name or ours, whether there is something behind it or not."""
    return choice(params, "authMode", AUTH_MODES, "invalid auth mode")


def login_answer(params: dict[str, Any]) -> LoginAnswer:
    """The members that finish a login."""
    kind, mode = identity_type(params), auth_mode(params)
    verifier = text(params, "verifier", max_bytes=limits.MAX_VERIFIER_BYTES)
    return LoginAnswer(kind, mode, verifier, text(params, "answer", max_bytes=limits.MAX_ANSWER_BYTES))


def flag(params: dict[str, Any], name: str) -> bool:
    """A boolean member; absent and null are false."""
    value = params.get(name)
    if value is not None and type(value) is not bool:
        undecodable(name)
    return value is True


def scope(call: SignedCall, config: Config) -> Scope:
    """The scope of a call: `params.scope`, else the header that the proxy in front has set."""
    named = call.params.get("scope")
    if named is not None and type(named) is not str:
        undecodable("scope")
    header = call.scope_header or ""
    found = config.scope(named or header)
    if found is not None:
        return found
    if _is_scope(named or header):
        raise Refusal(errors.INVALID_REQUEST, "scope is not served")
    if not _is_scope(header):
        raise Refusal(errors.INVALID_REQUEST, "valid scope is required")
    invalid("invalid scope: neither @id nor @id:name")


def client_secret(params: dict[str, Any]) -> ClientSecret:
    """The `secret` member: `{"value": …}` or `{"generate_jwt": …}`, as the configuration has it."""
    try:
        secret = msgspec.convert(params.get("secret"), ClientSecret)
        validate_secret(secret)
    except (msgspec.ValidationError, BootError):  # their texts could show a part of it
        invalid("invalid secret")
    return secret


def login_scope(call: SignedCall, config: Config) -> Scope:
    """The scope of a login, which has come the way that the scope allows."""
    found = scope(call, config)
    require_login_channel(call, found)
    return found


def require_login_channel(call: SignedCall, scope: Scope) -> None:
    """SEALED_LOGIN_REQUIRED for a login in the clear where the scope does not allow it (CH-01)."""
    if not (call.sealed or scope.plain_login):
        raise Refusal(errors.SEALED_LOGIN_REQUIRED)


def _is_scope(value: str) -> bool:
    return len(value) <= limits.MAX_SCOPE_CHARS and _SCOPE.match(value) is not None
