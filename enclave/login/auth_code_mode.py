"""Logins by an authorization code that the enclave exchanges itself (identity-instrument.md 2.3 and 2.4; OI-16).

AuthCode: the client shows the hash of a code first, then the code (Apple). AuthCodePKCE: the enclave makes the code
verifier and keeps it; the client takes the challenge to the provider and brings back a code (RFC 7636).
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from enclave.auth_key import Key, parse_key_text
from enclave.clock import TrustedClock
from enclave.config import OidcClient, Scope
from enclave.errors import Refusal
from enclave.identity import Identity
from enclave.login.client_secrets import ClientSecrets
from enclave.login.commitments import Commitment, CommitmentKey, Commitments
from enclave.login.id_token import token_handle
from enclave.login.modes import LoginRequest, LoginStarted
from enclave.login.oidc_proof import OidcProofs, require_client
from enclave.login.proven import Proven
from enclave.login.token_endpoint import TokenEndpoint
from protocol import errors, limits
from protocol.base64url import encode_b64u

MODE: Final = "AuthCode"
PKCE_MODE: Final = "AuthCodePKCE"
_VERIFIER_BYTES: Final = 32
_HANDLE: Final = re.compile(r"0x[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class CodeLogins:
    """What both modes do alike: which client, whom it is for, the exchange, the proof."""

    clock: TrustedClock
    commitments: Commitments
    proven: Proven
    secrets: ClientSecrets
    endpoint: TokenEndpoint
    proofs: OidcProofs

    async def file(
        self, mode: str, request: LoginRequest, handle: str, *, challenge: str = "", code_verifier: str = ""
    ) -> LoginStarted:
        """File a commitment under `handle`, and under the signer that the request names, if any."""
        hint, also = "", None
        if request.signer is not None:
            login = await self.proven.require_login(request.scope.scope, request.signer, "OIDC")
            hint = await self.proven.hint(request.scope.scope, request.auth_key, login)
            also = _key(mode, request.scope, str(request.signer), request.auth_key)
        now_ms = self.clock.monotonic_ms()
        commitment = Commitment(
            key=_key(mode, request.scope, handle, request.auth_key),
            also=also,
            handle=handle,
            deadline_ms=now_ms + limits.CODE_LOGIN_S * 1000,
            signer=request.signer,
            code_verifier=code_verifier,
            metadata=dict(request.metadata),
        )
        self.commitments.add(commitment, now_ms)
        return LoginStarted(handle if also is None else also.verifier, hint, challenge)

    async def prove(self, commitment: Commitment, code: str, scope: Scope) -> Identity:
        """The identity behind `code`, by way of the provider's token endpoint."""
        client, redirect_uri = self.client(scope, commitment)
        proof = await self.secrets.prove(scope.scope, client, self.clock.now_s())
        token = await self.endpoint.redeem(client, proof, code, redirect_uri, commitment.code_verifier)
        return await self.proofs.prove(token, client, scope.scope, commitment.key.auth_key)

    def client(self, scope: Scope, login: LoginRequest | Commitment) -> tuple[OidcClient, str]:
        """The configured client and redirect URI that the metadata of a login name; INVALID_REQUEST otherwise."""
        metadata = login.metadata
        if metadata.keys() != {"iss", "aud", "redirect_uri"}:
            cause = "extract metadata: metadata must contain iss, aud, and redirect_uri"
            raise Refusal(errors.INVALID_REQUEST, cause)
        client = require_client(scope, metadata["iss"], metadata["aud"])
        if metadata["redirect_uri"] not in client.redirect_uris:
            raise Refusal(errors.INVALID_REQUEST, "extract metadata: redirect_uri is not accepted")
        return client, metadata["redirect_uri"]


class AuthCodeMode:
    """Implements `LoginMode` without PKCE: for providers that cannot do it, and send their codes by form post."""

    def __init__(self, logins: CodeLogins) -> None:
        self._logins = logins

    def normalize_verifier(self, verifier: str) -> str:
        """A signer's text or the handle, in the form that `commit` returned."""
        return _signer_text(verifier) or verifier.lower()

    async def commit(self, request: LoginRequest) -> LoginStarted:
        """File a commitment to a code's hash."""
        _require_oidc(request)
        self._logins.client(request.scope, request)
        handle = request.handle.lower()
        if not _HANDLE.match(handle):
            raise Refusal(errors.INVALID_REQUEST, "handle must be the hash of the code")
        return await self._logins.file(MODE, request, handle)

    async def complete(self, commitment: Commitment, answer: str, scope: Scope) -> Identity:
        """PROOF_VERIFICATION_FAILED unless `answer` is the committed code and the provider takes it."""
        if not hmac.compare_digest(token_handle(answer).encode(), commitment.handle.encode()):
            raise Refusal(errors.PROOF_VERIFICATION_FAILED, "invalid token hash")
        return await self._logins.prove(commitment, answer, scope)


class AuthCodePkceMode:
    """Implements `LoginMode` with PKCE: a code is worth nothing without the verifier that stays here."""

    def __init__(self, logins: CodeLogins, random: Callable[[int], bytes]) -> None:
        self._logins = logins
        self._random = random

    def normalize_verifier(self, verifier: str) -> str:
        """A signer's text in the form that `commit` returned, or the challenge as it is."""
        return _signer_text(verifier) or verifier

    async def commit(self, request: LoginRequest) -> LoginStarted:
        """Make a code verifier and file a commitment under its challenge."""
        _require_oidc(request)
        self._logins.client(request.scope, request)
        code_verifier = f"0x{self._random(_VERIFIER_BYTES).hex()}"
        challenge = code_challenge(code_verifier)
        return await self._logins.file(PKCE_MODE, request, challenge, challenge=challenge, code_verifier=code_verifier)

    async def complete(self, commitment: Commitment, answer: str, scope: Scope) -> Identity:
        """PROOF_VERIFICATION_FAILED or OAUTH_ERROR unless the provider takes the code with our verifier."""
        return await self._logins.prove(commitment, answer, scope)


def code_challenge(code_verifier: str) -> str:
    """The S256 challenge of RFC 7636 section 4.2."""
    digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
    return encode_b64u(digest)


def _require_oidc(request: LoginRequest) -> None:
    if request.identity_type != "OIDC":
        raise Refusal(errors.INVALID_REQUEST, f"unsupported identity type: {request.identity_type}")


def _signer_text(verifier: str) -> str:
    signer = parse_key_text(verifier)
    return "" if signer is None else str(signer)


def _key(mode: str, scope: Scope, verifier: str, auth_key: Key) -> CommitmentKey:
    return CommitmentKey(scope.scope, mode, "OIDC", verifier, auth_key)
