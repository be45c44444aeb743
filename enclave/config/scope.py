"""A scope: who may log in there, how, from where, and what may be signed."""

import re
from typing import Annotated, Final, Literal

import msgspec

from enclave.config.delegations import Delegations, validate_delegations
from enclave.config.embedded import EmbeddedWallets, validate_embedded
from enclave.config.fields import Measured, Text
from enclave.config.oidc import OidcClient, validate_client
from enclave.config.rights import Right
from enclave.config.wallet import WalletTemplate, validate_wallet_template
from enclave.errors import BootError
from protocol import limits

_SCOPE: Final = re.compile(r"@[1-9][0-9]*(:[A-Za-z0-9_-]+)?\Z")
_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9.-]+)(:[0-9]{1,5})?\Z")
_MAILBOX: Final = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+"  # RFC 5322 atoms
_DOMAIN: Final = re.compile(r"localhost\Z|(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]\Z")
_LOGO_URL: Final = re.compile(r"https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/[!$%&-;=?@A-Z_a-z~]*\Z")
_SENDER: Final = re.compile(rf'(?:{_MAILBOX}|[^\x00-\x1f\x7f<>",;:@]+ <{_MAILBOX}>)\Z')


class Scope(Measured, frozen=True, kw_only=True):
    """A tenant. Rights not named here are not granted; signing an opaque digest is a right of its own (SE-06)."""

    scope: Annotated[str, msgspec.Meta(min_length=2, max_length=limits.MAX_SCOPE_CHARS)]
    origins: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=16)]
    """Accepted origins; the first stands for clients whose wire format names none."""
    rights: tuple[Right, ...]
    plain_login: bool = False
    """Whether logins are taken in the clear, the only way that published clients know, and not only sealed (CH-01)."""
    email_login: bool = False
    email_code: Literal["long", "digits"] = "long"
    """`digits` for clients that take nothing else: few digits can be guessed, so fewer codes are sent (OT-01)."""
    email_sender: Text = "no-reply@localhost"
    email_subject: Text = "Your sign-in code"
    """The first `{auth_code}` in it becomes the code, which lock screens then show (OT-08)."""
    email_intro: Annotated[str, msgspec.Meta(max_length=500)] = ""
    email_logo_url: Annotated[str, msgspec.Meta(max_length=limits.MAX_URL_CHARS)] = ""
    """An https URL. Mail programs fetch it when the mail is opened."""
    oidc: tuple[OidcClient, ...] = ()
    passkey_rp_id: Annotated[str, msgspec.Meta(max_length=253)] = ""
    """The site that passkeys are for: the domain of an origin, or above it. Without one there are no passkeys."""
    wallet: WalletTemplate | None = None
    """What smart wallets of this scope begin with; without it none are made."""
    embedded: EmbeddedWallets | None = None
    """Whether applications may use the wire of embedded wallets, and with which access keys."""
    delegations: Delegations | None = None
    """What accounts may delegate, to whom, and up to which amounts; without it nothing."""

    @property
    def passkey_origins(self) -> tuple[str, ...]:
        """The origins on which a browser uses passkeys of the site (Web Authentication section 5.1.3)."""
        return tuple(origin for origin in self.origins if _is_within(origin, self.passkey_rp_id))


def validate_scope(scope: Scope) -> None:
    """`BootError` where a rule is broken that the types do not carry."""
    if not _SCOPE.match(scope.scope):
        raise BootError("config-scope", scope.scope)
    if not all(_ORIGIN.match(origin) for origin in scope.origins):
        raise BootError("config-origin", scope.scope)
    _validate_mail(scope)
    if len(set(scope.rights)) != len(scope.rights):
        raise BootError("config-rights", scope.scope)
    pairs = [(client.issuer.removesuffix("/"), client.audience) for client in scope.oidc]
    if len(set(pairs)) != len(pairs):
        raise BootError("config-oidc", scope.scope)
    if scope.wallet is not None:
        validate_wallet_template(scope.wallet, scope.scope)
    if scope.embedded is not None:
        validate_embedded(scope.embedded, scope.wallet, scope.origins, scope.scope)
    if scope.delegations is not None:
        validate_delegations(scope.delegations, scope.scope)
    for client in scope.oidc:
        validate_client(client)
    if scope.passkey_rp_id and not (_DOMAIN.match(scope.passkey_rp_id) and scope.passkey_origins):
        raise BootError("config-passkey", scope.scope)


def _is_within(origin: str, rp_id: str) -> bool:
    match = _ORIGIN.match(origin)
    if match is None or not rp_id:
        return False
    scheme, host = match[1], match[2]
    return (host == rp_id or host.endswith(f".{rp_id}")) and (scheme == "https" or rp_id == "localhost")


def _validate_mail(scope: Scope) -> None:
    """Sender and subject become mail headers (OT-09), the rest is shown to people."""
    if not _SENDER.match(scope.email_sender):
        raise BootError("config-email", scope.scope)
    if not (scope.email_subject.isprintable() and scope.email_intro.isprintable()):
        raise BootError("config-email", scope.scope)
    if scope.email_logo_url and not _LOGO_URL.match(scope.email_logo_url):
        raise BootError("config-email", scope.scope)
