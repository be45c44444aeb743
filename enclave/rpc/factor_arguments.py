"""Reading what proves something about a user in the guard's published wire: tokens, and proofs that were signed.

Clients write what is absent as null, as an empty text, or not at all; all three mean the same here. Malformed values
are INVALID_ARGUMENT.
"""

from typing import Any

from enclave.errors import Refusal
from enclave.guard.factors.authorizing import OwnershipProof, UpdateProof
from enclave.guard.factors.step_up import AuthToken
from enclave.guard.factors.users import bearer_token
from enclave.guard.limits import MAX_FACTOR_CHARS, MAX_FACTOR_CODE_CHARS, MAX_FACTOR_PROOF_BYTES
from enclave.rpc.envelope import Call
from evm.address import parse_address
from evm.errors import EvmError
from evm.fields import hex_bytes
from protocol import guard_errors


def require_private(call: Call, *, plain: bool) -> None:
    """PERMISSION_DENIED `guard:unsealed` for a call that the host could read, where that is not allowed (CH-01)."""
    if not (call.sealed or plain):
        raise Refusal(guard_errors.PERMISSION_DENIED, "guard:unsealed")


def parse_auth_token(value: object) -> AuthToken | None:
    """The factor in `{id, token, resetAuth?}`."""
    if value in (None, ""):
        return None
    match value:
        case {"id": "TOTP" | "PIN" | "recovery" as id_, "token": str(token), **more} if (
            len(token) <= MAX_FACTOR_CODE_CHARS
        ):
            reset = more.pop("resetAuth", None)
            if not more and reset in (None, "", True, False):
                return AuthToken(id_, token, bool(reset))
        case {"id": "Email" | "Passkey" | "OIDC" as id_, "token": str(token), **more} if not more:
            if len(token) <= MAX_FACTOR_CHARS:
                return AuthToken(id_, token)
    raise _invalid("token")


def require_bearer(call: Call) -> str:
    """The token of the `Authorization` header. UNAUTHORIZED where there is none."""
    token = bearer_token(call.headers.get("authorization"))
    if not token:
        raise Refusal(guard_errors.UNAUTHORIZED, "guard:token")
    return token


def parse_update_proof(call: Call, arguments: dict[str, Any]) -> UpdateProof:
    """`{timestamp, signature, chainId, wallet?}` and the header's token."""
    token = require_bearer(call)
    try:
        wallet = parse_address(arguments["wallet"]) if arguments.get("wallet") else None
        signature = hex_bytes(arguments.get("signature"), "proof", most=MAX_FACTOR_PROOF_BYTES)
    except EvmError:
        raise _invalid("proof") from None
    return UpdateProof(token, _integer(arguments, "timestamp"), _integer(arguments, "chainId"), signature, wallet)


def parse_ownership_proof(value: object) -> OwnershipProof | None:
    """The proof in `{wallet, timestamp, signer, signature, chainId}`."""
    if value in (None, ""):
        return None
    if not isinstance(value, dict):
        raise _invalid("proof")
    try:
        wallet, signer = parse_address(value.get("wallet")), parse_address(value.get("signer"))
        signature = hex_bytes(value.get("signature"), "proof", most=MAX_FACTOR_PROOF_BYTES)
    except EvmError:
        raise _invalid("proof") from None
    return OwnershipProof(wallet, signer, _integer(value, "timestamp"), _integer(value, "chainId"), signature)


def parse_code(arguments: dict[str, Any], name: str) -> str:
    """A code or PIN, as it was typed."""
    found = arguments.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= MAX_FACTOR_CODE_CHARS:
        raise _invalid("token")
    return found


def parse_text(arguments: dict[str, Any], name: str) -> str:
    """A longer text."""
    found = arguments.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= MAX_FACTOR_CHARS:
        raise _invalid(name)
    return found


def _integer(arguments: dict[str, Any], name: str) -> int:
    found = arguments.get(name)
    if type(found) is not int or found < 0:
        raise _invalid("proof")
    return found


def _invalid(what: str) -> Refusal:
    return Refusal(guard_errors.INVALID_ARGUMENT, f"guard:{what}")
