"""A scope: who may log in there, how, from where, and what may be signed."""

import re
from typing import Annotated, Final

import msgspec

from enclave.config.fields import Measured, Text
from enclave.config.oidc import OidcClient, validate_client
from enclave.config.rights import Right
from enclave.config.wallet import WalletTemplate, validate_wallet_template
from enclave.errors import BootError
from protocol import limits

_SCOPE: Final = re.compile(r"@[1-9][0-9]*(:[A-Za-z0-9_-]+)?\Z")
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?\Z")
_MAILBOX: Final = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+"  # RFC 5322 atoms
_SENDER: Final = re.compile(rf'(?:{_MAILBOX}|[^\x00-\x1f\x7f<>",;:@]+ <{_MAILBOX}>)\Z')


class Scope(Measured, frozen=True, kw_only=True):
    """A tenant. Rights not named here are not granted; signing an opaque digest is a right of its own (SE-06)."""

    scope: Annotated[str, msgspec.Meta(min_length=2, max_length=limits.MAX_SCOPE_CHARS)]
    origins: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=16)]
    """Accepted origins; the first stands for clients whose wire format names none."""
    rights: tuple[Right, ...]
    email_login: bool = False
    email_sender: Text = "no-reply@localhost"
    email_subject: Text = "Your sign-in code"
    oidc: tuple[OidcClient, ...] = ()
    wallet: WalletTemplate | None = None
    """What smart wallets of this scope begin with; without it none are made."""


def validate_scope(scope: Scope) -> None:
    """`BootError` where a rule is broken that the types do not carry."""
    if not _SCOPE.match(scope.scope):
        raise BootError("config-scope", scope.scope)
    if not all(_ORIGIN.match(origin) for origin in scope.origins):
        raise BootError("config-origin", scope.scope)
    if not (
        _SENDER.match(scope.email_sender) and scope.email_subject.isprintable()
    ):  # they become mail headers (OT-09)
        raise BootError("config-email", scope.scope)
    if len(set(scope.rights)) != len(scope.rights):
        raise BootError("config-rights", scope.scope)
    pairs = [(client.issuer.removesuffix("/"), client.audience) for client in scope.oidc]
    if len(set(pairs)) != len(pairs):
        raise BootError("config-oidc", scope.scope)
    if scope.wallet is not None:
        validate_wallet_template(scope.wallet, scope.scope)
    for client in scope.oidc:
        validate_client(client)
