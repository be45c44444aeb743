"""A way to log in: `commit` starts a login, `complete` proves it. Each mode is one class in a file of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from enclave.auth_key import Key
from enclave.config import Scope
from enclave.identity import Identity, IdentityKind
from enclave.login.commitments import Commitment


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """A validated request to start a login, signed by `auth_key`."""

    scope: Scope
    identity_type: IdentityKind
    auth_key: Key
    handle: str
    signer: Key | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LoginStarted:
    """The answer to it, as the wire names the members."""

    verifier: str
    login_hint: str
    challenge: str


class LoginMode(Protocol):
    """One way to log in."""

    def normalize_verifier(self, verifier: str) -> str:
        """The one form of a verifier that clients may write in several ways."""
        ...

    async def commit(self, request: LoginRequest) -> LoginStarted:
        """Start a login and file its commitment. Raises `Refusal`."""
        ...

    async def complete(self, commitment: Commitment, answer: str, scope: Scope) -> Identity:
        """The identity that `answer` proves. The try has been counted; raises `Refusal`."""
        ...
